// SPDX-License-Identifier: BSD-2-Clause
/*
 * A flush is a small state machine: it claims dirty pages, waits for their writes, then flushes the
 * device. No step waits, so one task takes the flushes of all volumes on at once. What was dirty
 * when the flush began is told from later pages by the turns of the dirty sets, not by a mark on
 * each page.
 */
#include "flush.h"

#include "pagecache/volume.h"
#include "pagecache/volume_report.h"
#include "writeback.h"

/*
 * Whether all pages of the kind that were there when the stage began have left; otherwise they
 * become the old ones. [D] is held.
 */
static bool have_left(const struct flush *flush, struct dirty *dirty, enum dirty_kind kind)
{
	if (!dirty_has_left(dirty, kind, flush->since))
		dirty_turn(dirty, kind, writeback_clock_locked(flush->volume));
	return dirty_has_left(dirty, kind, flush->since);
}

static struct page *pick(struct node *node, void *context)
{
	struct flush *flush = context;
	struct page *page = writeback_ready_locked(node);

	if (page)
		return page;
	if (flush->stage == FLUSH_BUSY) {
		flush->waits = !have_left(flush, &node->dirty, DIRTY_BUSY) || flush->waits;
		return NULL;
	}
	/* Before the first write begins: pages that fail meanwhile are for the next flush. */
	(void)have_left(flush, &node->dirty, DIRTY_FAILED);
	for (enum dirty_kind kind = DIRTY_WAITING; kind <= DIRTY_FAILED; kind++)
		if (!have_left(flush, &node->dirty, kind))
			return writeback_old_locked(node, kind);
	return NULL;
}

/* Stages --------------------------------------------------------------------------------------- */

static void begin(struct flush *flush, bool again)
{
	struct volume *volume = flush->volume;

	written_settle(volume);
	spinlock_lock(&volume->writeback.lock);
	flush->again = again;
	flush->stage = FLUSH_CLAIM;
	flush->since = writeback_clock_locked(volume);
	flush->losses = volume->writeback.written.losses;
	spinlock_unlock(&volume->writeback.lock);
}

void flush_begin(struct flush *flush, struct volume *volume, struct node *node)
{
	atomic_fetch_add_explicit(&volume->counts.flushes, 1, memory_order_relaxed);
	*flush = (struct flush){ .volume = volume, .node = node };
	begin(flush, false);
}

/*
 * The status of pages that could not be written, or were lost: every flush tells of them. [D] is
 * held.
 */
static status_t status_locked(const struct flush *flush)
{
	struct volume *volume = flush->volume;

	if (atomic_load(flush->node ? &flush->node->failed_pages : &volume->counts.failed_pages) > 0)
		return atomic_load(&volume->writeback.write_status);
	return written_has_lost_locked(volume, flush->node) ? STATUS_IO_ERROR : STATUS_OK;
}

/* Begins all writes. True: the flush has come to FLUSH_WRITES. */
static bool writes_have_begun(struct flush *flush)
{
	struct volume *volume = flush->volume;

	while (flush->stage < FLUSH_WRITES) {
		enum writeback started;

		flush->waits = false;
		started = writeback_start(volume, flush->node, UINT64_MAX, pick, flush);
		if (started == WRITEBACK_STARTED)
			continue;
		if (started == WRITEBACK_STARVED || flush->waits)
			return false;
		spinlock_lock(&volume->writeback.lock);
		flush->stage++;
		flush->since = writeback_clock_locked(volume);
		spinlock_unlock(&volume->writeback.lock);
	}
	return true;
}

/* True: all pages that were dirty have been written, or have failed. */
static bool writes_have_ended(struct flush *flush)
{
	struct volume *volume = flush->volume;
	bool ended;

	if (!writes_have_begun(flush))
		return false;
	spinlock_lock(&volume->writeback.lock);
	ended = flush->stage == FLUSH_DEVICE || !writeback_is_before_locked(volume, flush->node, flush->since);
	if (ended && flush->stage == FLUSH_WRITES) {
		flush->stage = FLUSH_DEVICE;
		flush->number = volume->writeback.written.begun + 1;
		flush->failed = status_locked(flush);
	}
	spinlock_unlock(&volume->writeback.lock);
	return ended;
}

/*
 * One step of the device flush, this flush's or another that covers it. False: this flush can do
 * nothing now.
 */
static bool device_step(struct flush *flush)
{
	struct volume *volume = flush->volume;
	const struct written *written = &volume->writeback.written;
	bool lost, begins = false;

	spinlock_lock(&volume->writeback.lock);
	flush->status = flush->failed != STATUS_OK ? flush->failed : status_locked(flush);
	lost = volume->device->write_cache &&
	       (written->losses != flush->losses || written_is_lost_locked(volume, written->losses));
	/*
	 * A device flush that failed is told. After another loss, a reset, what is cached is
	 * written once more.
	 */
	if (lost && written->status != STATUS_OK)
		flush->status = written->status;
	else if (lost && flush->status == STATUS_OK)
		flush->status = STATUS_IO_ERROR;
	if (lost ? flush->again || written->status != STATUS_OK
		 : !volume->device->write_cache || written->settled >= flush->number)
		flush->stage = FLUSH_OVER;
	else if (!lost)
		begins = written_flush_begin_locked(volume);
	spinlock_unlock(&volume->writeback.lock);
	if (begins)
		volume->device->submit(volume->device, &volume->writeback.written.request);
	if (flush->stage == FLUSH_OVER && flush->status != STATUS_OK)
		written_settle(volume); /* cached pages are written again in the background */
	if (flush->stage != FLUSH_OVER && lost)
		begin(flush, true);
	return begins || lost;
}

bool flush_step(struct flush *flush)
{
	while (flush->stage != FLUSH_OVER && writes_have_ended(flush) && device_step(flush))
		;
	return flush->stage == FLUSH_OVER;
}

status_t flush_wait(struct volume *volume, struct node *node, uint64_t deadline_ns)
{
	struct pagecache *pagecache = volume->pagecache;
	struct flush flush;

	flush_begin(&flush, volume, node);
	for (;;) {
		const uint32_t progress = atomic_load(&pagecache->pages.progress);

		if (flush_step(&flush))
			return flush.status;
		if (platform_now_ns() >= deadline_ns)
			return STATUS_TIMEOUT;
		/* It may wait for another volume's flush of the device, or its I/O objects. */
		(void)platform_wait(&pagecache->pages.progress, progress, deadline_ns);
	}
}

/* All volumes ---------------------------------------------------------------------------------- */

/*
 * Begins flushes where there is none of this call or a later one, and takes them on. True: of each
 * volume, one such flush is over, whatever a later call has begun since. Calls at the same time
 * take on the same flushes; none holds the lock while it waits. With `result`, the last step: what
 * is not over is given up, and what is not durable is told.
 */
static bool step_all(struct pagecache *pagecache, uint64_t call, status_t *result)
{
	struct volume *volume = NULL;
	bool over = true;

	mutex_lock(&pagecache->writeback.flush_lock);
	while ((volume = volume_next(pagecache, volume)) != NULL) {
		struct flush *flush = &volume->writeback.flush_all;
		status_t status;

		if (volume->writeback.flush_all_number < call) {
			if (result)
				continue; /* it was attached meanwhile */
			volume->writeback.flush_all_number = atomic_load(&pagecache->writeback.flushes);
			flush_begin(flush, volume, NULL);
		}
		if (volume->writeback.flush_all_ended < call && flush_step(flush)) {
			volume->writeback.flush_all_ended = volume->writeback.flush_all_number;
			volume->writeback.flush_all_status = flush->status;
		}
		status = volume->writeback.flush_all_ended < call ? STATUS_TIMEOUT : volume->writeback.flush_all_status;
		over = over && volume->writeback.flush_all_ended >= call;
		if (result && status != STATUS_OK)
			volume_report_unflushed(volume, status);
		if (result && *result == STATUS_OK)
			*result = status;
	}
	mutex_unlock(&pagecache->writeback.flush_lock);
	return over;
}

status_t pagecache_flush_until(struct pagecache *pagecache, uint64_t deadline_ns)
{
	const uint64_t call = atomic_fetch_add(&pagecache->writeback.flushes, 1) + 1;
	uint32_t progress = atomic_load(&pagecache->pages.progress);
	status_t result = STATUS_OK;

	while (!step_all(pagecache, call, NULL) && platform_now_ns() < deadline_ns) {
		(void)platform_wait(&pagecache->pages.progress, progress, deadline_ns);
		progress = atomic_load(&pagecache->pages.progress);
	}
	(void)step_all(pagecache, call, &result);
	return result;
}

status_t pagecache_flush(struct pagecache *pagecache)
{
	return pagecache_flush_until(pagecache, PLATFORM_FOREVER);
}

status_t pagecache_flush_device(struct pagecache *pagecache, struct block_device *device)
{
	uint32_t progress = atomic_load(&pagecache->pages.progress);
	status_t status;

	while (atomic_exchange(&device->flushing, true)) {
		(void)platform_wait(&pagecache->pages.progress, progress, PLATFORM_FOREVER);
		progress = atomic_load(&pagecache->pages.progress);
	}
	status = block_device_transfer(device, BLOCK_FLUSH, 0, NULL, 0);
	if (status != STATUS_OK)
		atomic_fetch_add(&device->cache_losses, 1);
	atomic_store(&device->flushing, false);
	writeback_wake(pagecache); /* a volume's flush may wait for its turn */
	return status;
}
