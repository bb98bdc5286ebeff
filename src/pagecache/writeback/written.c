// SPDX-License-Identifier: BSD-2-Clause
/*
 * Device flushes, and what becomes of written data when the device loses its cache. Each written
 * page has the number of the latest device flush that had begun when its write ended: a later one
 * makes it durable. A loss makes all pages that are not durable yet dirty again; what left the
 * cache meanwhile is noted as ranges.
 */
#include "written.h"

#include "pagecache/page/io.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "writeback.h"

/* page->flush has the lowest 13 bits: flags are cleared before these come round. */
#define FLUSH_MASK    0x1fffu
#define CLEAN_FLUSHES 4096u

void written_init(struct volume *volume)
{
	struct written *written = &volume->writeback.written;

	written->begun = written->settled = written->cleaned = 1;
	written->noticed = written->losses = written_losses(volume);
}

uint64_t written_losses(const struct volume *volume)
{
	return atomic_load(&volume->device->cache_losses);
}

uint64_t written_number_locked(const struct written *written, const struct page *page)
{
	const uint64_t since = (page->flush - written->settled) & FLUSH_MASK;

	return since <= written->begun - written->settled ? written->settled + since : 0;
}

static struct range range_of(const struct volume *volume, const struct page *page)
{
	const uint64_t start = pagecache_position(volume->pagecache, page_key(page));

	/* The page's sectors only: the next node may begin behind them. */
	return (struct range){ start, start + pagecache_page_bytes(volume->pagecache, page_key(page)) };
}

/* Notes ---------------------------------------------------------------------------------------- */

/* Begins the next number: ranges that were noted until now have a lower one. */
static void next_number_locked(struct written *written)
{
	written->begun++;
	ranges_add_all(&written->noted_before, &written->noted);
	written->noted.count = 0;
}

/*
 * Notices a loss: writes that end from here on have a number of their own and are not lost. [D] is
 * held in all of these.
 */
static void notice_loss_locked(struct volume *volume)
{
	struct written *written = &volume->writeback.written;
	const uint64_t losses = written_losses(volume);

	if (losses == written->noticed)
		return;
	written->noticed = losses;
	next_number_locked(written);
	written->lost_before = written->begun;
}

bool written_is_lost_locked(struct volume *volume, uint64_t losses)
{
	notice_loss_locked(volume);
	return volume->device->write_cache && losses != volume->writeback.written.noticed;
}

/* Forgets earlier notes of the range, which has been written anew. */
static void supersede_locked(struct written *written, struct range range)
{
	ranges_remove(&written->noted, range.start, range.end);
	ranges_remove(&written->noted_before, range.start, range.end);
	ranges_remove(&written->lost, range.start, range.end);
}

uint32_t written_ended_locked(struct volume *volume, struct page *page)
{
	struct written *written = &volume->writeback.written;

	if (!volume->device->write_cache)
		return 0;
	if (!(page_state(page) & PAGE_STALE))
		supersede_locked(written, range_of(volume, page));
	page->flush = written->begun & FLUSH_MASK;
	return PAGE_UNFLUSHED;
}

uint32_t written_read(struct volume *volume, struct page *page, uint64_t losses)
{
	struct written *written = &volume->writeback.written;
	struct range range = { 0 };
	uint32_t flags = 0;
	bool before, noted;

	spinlock_lock(&volume->writeback.lock);
	notice_loss_locked(volume);
	if (written->noted.count + written->noted_before.count + written->lost.count > 0)
		range = range_of(volume, page);
	before = ranges_touch(&written->noted_before, range.start, range.end);
	noted = before || ranges_touch(&written->noted, range.start, range.end);
	if (noted)
		flags = PAGE_UNFLUSHED;
	if (ranges_touch(&written->lost, range.start, range.end) ||
	    (noted && (written->noticed != losses || (before && losses != written->losses))))
		flags = PAGE_STALE;
	page->flush = written->begun & FLUSH_MASK;
	spinlock_unlock(&volume->writeback.lock);
	return flags;
}

void written_leaves_locked(struct volume *volume, const struct page *page)
{
	struct written *written = &volume->writeback.written;
	const uint64_t number = page_state(page) & PAGE_UNFLUSHED ? written_number_locked(written, page) : 0;
	const struct range range = range_of(volume, page);

	if (page_state(page) & PAGE_LOST)
		ranges_add(&written->lost, range.start, range.end);
	if (number != 0)
		ranges_add(number == written->begun ? &written->noted : &written->noted_before, range.start, range.end);
}

void volume_note_written(struct volume *volume, uint64_t start, uint64_t bytes, uint64_t losses)
{
	struct written *written = &volume->writeback.written;

	if (!volume->device->write_cache)
		return;
	spinlock_lock(&volume->writeback.lock);
	const bool lost = written_is_lost_locked(volume, losses);
	if (!lost)
		supersede_locked(written, (struct range){ start, start + bytes });
	ranges_add(lost ? &written->lost : &written->noted, start, start + bytes);
	spinlock_unlock(&volume->writeback.lock);
}

/* Device flushes ------------------------------------------------------------------------------- */

static void flush_done(struct block_request *request)
{
	struct volume *volume = container_of(request, struct volume, writeback.written.request);
	struct written *written = &volume->writeback.written;

	if (request->status != STATUS_OK)
		atomic_fetch_add(&volume->device->cache_losses, 1);
	spinlock_lock(&volume->writeback.lock);
	written->status = request->status;
	if (request->status == STATUS_OK && !written_is_lost_locked(volume, written->losses)) {
		written->settled = MAX(written->settled, written->running);
		written->noted_before.count = 0;
	}
	written->running = 0;
	atomic_store(&volume->device->flushing, false);
	/* Under the lock: the volume may be detached as soon as no device flush is under way. */
	writeback_progress(volume);
	spinlock_unlock(&volume->writeback.lock);
}

bool written_flush_begin_locked(struct volume *volume)
{
	struct written *written = &volume->writeback.written;

	if (atomic_exchange(&volume->device->flushing, true))
		return false;
	next_number_locked(written);
	written->running = written->begun;
	written->request = (struct block_request){ .operation = BLOCK_FLUSH, .done = flush_done };
	return true;
}

/* Losses --------------------------------------------------------------------------------------- */

static bool may_not_be_durable(uint32_t state)
{
	return page_is_newer(state) || (state & PAGE_UNFLUSHED);
}

static void visit_page(struct volume *volume, struct page *page,
		       void (*visit)(struct volume *volume, struct page *page, void *context), void *context)
{
	struct pagecache *pagecache = volume->pagecache;
	struct index_stripe *stripe = index_lock_page(&pagecache->pages.index, page);

	if (!stripe)
		return;
	spinlock_lock(&volume->writeback.lock);
	if (may_not_be_durable(page_state(page)) && pagecache_node(pagecache, page_key(page))->volume == volume)
		visit(volume, page, context);
	spinlock_unlock(&volume->writeback.lock);
	spinlock_unlock(&stripe->lock);
}

void written_visit(struct volume *volume, void (*visit)(struct volume *volume, struct page *page, void *context), void *context)
{
	const struct pageblock_table *table = &volume->pagecache->pages.table;

	for (uint64_t block = 0; block < table->count; block++) {
		struct pageblock *pageblock = table->blocks[block];

		if (!pageblock || !atomic_load(&pageblock->ready) || atomic_load(&pageblock->volume) != volume)
			continue;
		for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
			if (may_not_be_durable(page_state(&pageblock->pages[i])))
				visit_page(volume, &pageblock->pages[i], visit, context);
	}
}

/* Settles a page that has a lower number than *before; it is lost unless its number is settled. */
static void look_at_locked(struct volume *volume, struct page *page, void *before)
{
	const uint64_t number =
		page_state(page) & PAGE_UNFLUSHED ? written_number_locked(&volume->writeback.written, page) : UINT64_MAX;

	if (number < *(const uint64_t *)before)
		page_settle_locked(volume, page, number != 0);
}

/* Ends the handling of a loss: noted ranges are lost. */
static void settle_end(struct volume *volume, uint64_t losses, uint64_t before)
{
	struct written *written = &volume->writeback.written;
	char text[FORMAT_BYTES_SIZE];
	uint64_t bytes = 0;

	spinlock_lock(&volume->writeback.lock);
	written->settling = false;
	if (losses != written->losses) {
		bytes = ranges_covered_bytes(&written->noted_before);
		ranges_add_all(&written->lost, &written->noted_before);
		written->noted_before.count = 0;
		written->settled = before;
		written->losses = losses;
		written->status = STATUS_OK; /* of an earlier device flush */
	}
	spinlock_unlock(&volume->writeback.lock);
	if (bytes > 0)
		log_error("%s: the disk may have lost %s that is not cached any more: flushes fail until it is written again; "
			  "\"volumes %s\" says where",
			  volume->name, format_bytes(text, bytes), volume->name);
}

void written_settle(struct volume *volume)
{
	struct written *written = &volume->writeback.written;
	uint64_t losses, before;
	bool lost;

	mutex_lock(&volume->writeback.flush);
	spinlock_lock(&volume->writeback.lock);
	lost = written_is_lost_locked(volume, written->losses);
	losses = written->noticed;
	before = lost ? written->lost_before : written->settled;
	written->settling = true;
	spinlock_unlock(&volume->writeback.lock);
	if (lost || before - written->cleaned >= CLEAN_FLUSHES) {
		written_visit(volume, look_at_locked, &before);
		written->cleaned = before;
	}
	settle_end(volume, losses, before);
	mutex_unlock(&volume->writeback.flush);
}

bool written_has_lost_locked(const struct volume *volume, const struct node *node)
{
	const struct ranges *lost = &volume->writeback.written.lost;

	if (!node || lost->count == 0)
		return lost->count > 0;
	for (uint32_t i = 0; i < node->extent_count; i++) {
		const struct extent *extent = &node->extents[i];
		const uint64_t last = extent->first + extent->pages - 1;

		if (ranges_touch(lost, extent->position, node_position(node, last) + node_page_bytes(node, last)))
			return true;
	}
	return false;
}

void volume_error_clear(struct volume *volume)
{
	spinlock_lock(&volume->writeback.lock);
	volume->writeback.written.lost.count = 0;
	spinlock_unlock(&volume->writeback.lock);
}
