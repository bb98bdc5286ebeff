// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loans to the guarantee: the page cache's side. A group of blocks as long as a piece leaves the
 * queues, loses its dirty pages to other frames, and is marked in the generation of each block.
 * While it is on loan its pages are read without pins only; to revoke it is to change the
 * generation.
 */
#include "loan.h"

#include "cache_minimum.h"
#include "frame.h"
#include "pagecache/writeback/writeback.h"
#include "replacement.h"
#include "runtime/base/string.h"

#define GROUPS_TRIED 4 /* groups tried, before the refill task has to ask again */

static struct pagecache *pagecache_of(struct guarantee_donor *donor)
{
	return container_of(donor, struct pagecache, eviction.donor);
}

static uint64_t piece_blocks(const struct volume *volume)
{
	return guarantee_piece_bytes(memory_guarantee(volume->pagecache->memory)) >> BLOCK_SHIFT;
}

/* The pageblock of block `i` of a group. */
static struct pageblock *group_pageblock(const struct pagecache *pagecache, struct phys_addr start, uint64_t i)
{
	return pageblock_table_block(&pagecache->pages.table, (struct phys_addr){ start.value + (i << BLOCK_SHIFT) });
}

/* Making a group loanable ---------------------------------------------------------------------- */

/* Moves the pages away that are not loanable. False: a page is in use. The block is isolated. */
static bool make_loanable(struct volume *volume, struct pageblock *pageblock)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		struct page *page = &pageblock->pages[i];

		if (page_is_loanable(page_state(page)))
			continue;
		if (!page_move(volume, page, NULL))
			return false;
		page_set_free(page);
	}
	return true;
}

/* Loans all blocks of an isolated group. False: some of them are not loaned. */
static bool loan_blocks(struct volume *volume, struct phys_addr start, uint64_t deadline_ns)
{
	for (uint64_t i = 0; i < piece_blocks(volume); i++) {
		struct pageblock *pageblock = group_pageblock(volume->pagecache, start, i);

		if (platform_now_ns() >= deadline_ns || !make_loanable(volume, pageblock) || !page_heap_loan(volume, pageblock))
			return false;
	}
	return true;
}

/*
 * Loans the isolated blocks of a group, if none of their pages is in use just now, few frames lie
 * idle, and the volume need not keep the pages.
 */
static bool loan_isolated(struct volume *volume, struct phys_addr start, const struct page_counts *all,
			  const struct loan_request *wanted)
{
	const uint64_t frames = piece_blocks(volume) * PAGES_PER_BLOCK;
	bool loaned;

	if (all->stuck > 0 || (frames - all->cached) * 100 > frames * GUARANTEE_IDLE_PERCENT ||
	    !cache_minimum_claim(volume, volume->config.keep_bytes, all->cached))
		return false;
	loaned = loan_blocks(volume, start, wanted->deadline_ns);
	cache_minimum_let_go(volume, all->cached);
	return loaned;
}

/* Isolates the blocks of a group, if they still are the volume's, and loans them. */
static bool loan_group(struct volume *volume, struct phys_addr start, const struct loan_request *wanted)
{
	const uint64_t blocks = piece_blocks(volume);
	struct page_counts counts, all = { 0 };
	uint64_t isolated = 0;
	bool loaned;

	(void)cpu_frames_empty(volume);
	while (isolated < blocks &&
	       page_heap_isolate_block(volume, group_pageblock(volume->pagecache, start, isolated), false, &counts)) {
		all.cached += counts.cached;
		all.stuck += counts.stuck;
		isolated++;
	}
	loaned = isolated == blocks && loan_isolated(volume, start, &all, wanted);
	while (!loaned && isolated > 0)
		page_heap_put_back(&volume->eviction.heap, group_pageblock(volume->pagecache, start, --isolated));
	return loaned;
}

/* Choosing a group ----------------------------------------------------------------------------- */

static bool has_to_spare(const struct volume *volume)
{
	const uint64_t own = atomic_load(&volume->eviction.heap.blocks) - atomic_load(&volume->eviction.heap.loaned_blocks);
	const uint64_t blocks = piece_blocks(volume);

	return own > blocks && (own - blocks) * BLOCK_BYTES >= volume->config.keep_bytes;
}

/*
 * Chooses a group. Volumes give in the order of their preference, as in a drain. volumes_lock is
 * held.
 */
static bool choose(struct pagecache *pagecache, const struct loan_request *wanted, uint64_t lowest_score,
		   struct heap_group *best)
{
	best->volume = NULL;
	list_for_each (link, &pagecache->volumes) {
		struct volume *volume = container_of(link, struct volume, link);
		const unsigned preference = volume->config.preference;
		struct heap_group group;

		if ((best->volume && preference > best->volume->config.preference) || !has_to_spare(volume) ||
		    !page_heap_find_group(volume, wanted, lowest_score, &group))
			continue;
		if (!best->volume || preference < best->volume->config.preference || group.score < best->score)
			*best = group;
	}
	return best->volume != NULL;
}

/* Pages of loaned blocks ----------------------------------------------------------------------- */

/*
 * Takes a page out of a loaned block. [S], [D] and [R] are held, the block is on loan, and the page
 * is in the index: so it is CLEAN, and its pins are those of lookups that will drop them. They
 * would count if the block came back, which happens under [R].
 */
static void leave_loaned_locked(struct volume *volume, struct page *page, struct page *target, uint32_t *before)
{
	struct index *index = &volume->pagecache->pages.index;

	*before = page_leave_pinned(page);
	page_heap_note_left_locked(&volume->eviction.heap, pageblock_of(page));
	if (!target) {
		index_remove_locked(index, page);
		return;
	}
	writeback_moved_locked(volume, page, target, *before);
	index_replace_locked(index, page, target);
	page_set(target, replacement_state_in_main(*before & ~PAGE_PINS));
}

/*
 * Takes a page out of a block that is loaned, or revoked and not reaped yet: a copy goes to
 * `target`, which is TAKEN; NULL: the page is dropped. No pin in such a block counts (loan.h), so
 * this waits for none: a page with pins becomes GONE, and the last unpin frees its frame. False:
 * the page is not there any more, and `target` is unchanged.
 */
static bool leave_loaned(struct volume *volume, struct page *page, struct page *target)
{
	struct index_stripe *stripe;
	uint32_t before;
	uint64_t key;
	bool left;

	/* Only the version tells what was copied from what came later. */
	const uint32_t version = atomic_load_explicit(&page->version, memory_order_acquire);
	if (target && !page_is(page_state(page), PAGE_CLEAN))
		return false;
	if (target)
		memcpy_unstable(page_memory(target), page_memory(page), PAGE_BYTES);
	stripe = index_lock_page(&volume->pagecache->pages.index, page);
	if (!stripe)
		return false;
	spinlock_lock(&volume->writeback.lock);
	spinlock_lock(&volume->eviction.heap.lock);
	left = page_heap_has_locked(volume, pageblock_of(page), ROLE_BIT(PAGEBLOCK_LOANED)) &&
	       (!target || (page_is_current(page) && atomic_load(&page->version) == version));
	key = page_key(page);
	if (left)
		leave_loaned_locked(volume, page, target, &before);
	spinlock_unlock(&volume->eviction.heap.lock);
	spinlock_unlock(&volume->writeback.lock);
	spinlock_unlock(&stripe->lock);
	if (!left)
		return false;
	if (target)
		atomic_fetch_add_explicit(&volume->counts.moved_pages, 1, memory_order_relaxed);
	else
		frame_note_evicted(volume, key, before);
	if ((before & PAGE_PINS) == 0)
		page_set_free(page);
	return true;
}

struct page *page_pin(struct volume *volume, uint64_t key, struct lookup *lookup)
{
	struct page *page;

	while ((page = index_pin(&volume->pagecache->pages.index, key, lookup)) == NULL && lookup->status == STATUS_NOT_FOUND &&
	       lookup->loaned) {
		struct page *target = frame_take_in_main(volume, NULL);

		if (!leave_loaned(volume, lookup->loaned, target) && target)
			page_set_free(target);
	}
	return page;
}

/* What the guarantee asks for ------------------------------------------------------------------ */

static bool loan(struct guarantee_donor *self, const struct loan_request *wanted, struct phys_addr *start)
{
	struct pagecache *pagecache = pagecache_of(self);
	struct heap_group group = { .score = 0 };
	uint64_t lowest_score = 0;
	bool loaned = false;

	/* The task that holds it may be waiting for memory. */
	if (!mutex_try_lock(&pagecache->volumes_lock))
		return false;
	for (unsigned tries = 0; !loaned && tries < GROUPS_TRIED && choose(pagecache, wanted, lowest_score, &group); tries++) {
		loaned = loan_group(group.volume, group.start, wanted);
		lowest_score = group.score + 1;
	}
	mutex_unlock(&pagecache->volumes_lock);
	*start = group.start;
	return loaned;
}

static unsigned idle_percent(struct guarantee_donor *self, struct phys_addr block)
{
	return (unsigned)((PAGES_PER_BLOCK - atomic_load(&group_pageblock(pagecache_of(self), block, 0)->cached)) * 100 /
			  PAGES_PER_BLOCK);
}

static void recall(struct guarantee_donor *self, struct phys_addr block)
{
	struct pageblock *pageblock = group_pageblock(pagecache_of(self), block, 0);

	page_heap_put_back(&pageblock->volume->eviction.heap, pageblock);
}

static void revoke(struct guarantee_donor *self, struct phys_addr block)
{
	pageblock_invalidate(group_pageblock(pagecache_of(self), block, 0));
}

static void reap(struct guarantee_donor *self, struct phys_addr block)
{
	struct pageblock *pageblock = group_pageblock(pagecache_of(self), block, 0);
	struct volume *volume = pageblock->volume;

	pageblock_invalidate(pageblock); /* the task that took the piece may not have got that far */
	for (uint32_t i = 0; (i = pageblock_drop(volume, pageblock, i, PAGE_HITS)) < PAGES_PER_BLOCK; i++)
		(void)leave_loaned(volume, &pageblock->pages[i], NULL);
	page_heap_forget(&volume->eviction.heap, pageblock);
}

void loan_init(struct pagecache *pagecache)
{
	pagecache->eviction.donor = (struct guarantee_donor){
		.loan = loan,
		.idle_percent = idle_percent,
		.recall = recall,
		.revoke = revoke,
		.reap = reap,
	};
	guarantee_set_donor(memory_guarantee(pagecache->memory), &pagecache->eviction.donor);
}

void loan_fini(struct pagecache *pagecache)
{
	guarantee_clear_donor(memory_guarantee(pagecache->memory), &pagecache->eviction.donor);
}
