// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loans to the guarantee: the page cache's side. A group of blocks as long as a piece leaves the
 * queues, loses its dirty pages to other frames, and is marked in the generation of each block.
 * While it is on loan its pages are read without pins only; to revoke it is to change the
 * generation.
 */
#include "lend.h"

#include "frame.h"
#include "keep.h"
#include "replacement.h"
#include "runtime/base/string.h"
#include "writeback.h"

#define GROUPS_TRIED 4 /* groups tried, before the refill task has to ask again */

static struct pagecache *pagecache_of(struct guarantee_lender *lender)
{
	return container_of(lender, struct pagecache, eviction.lender);
}

static uint64_t piece_blocks(const struct volume *volume)
{
	return guarantee_piece_bytes(memory_guarantee(volume->pagecache->memory)) >> BLOCK_SHIFT;
}

/* The pageblock of block `i` of a group. */
static struct frames *group_frames(const struct pagecache *pagecache, struct phys_addr start, uint64_t i)
{
	return frame_table_block(&pagecache->pages.table, (struct phys_addr){ start.value + (i << BLOCK_SHIFT) });
}

/* Making a group lendable -------------------------------------------------------------------------------------------------- */

/* Moves the pages away that are not lendable. False: a page is in use. The block is isolated. */
static bool make_lendable(struct volume *volume, struct frames *frames)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		struct page *page = &frames->pages[i];

		if (page_is_lendable(page_state(page)))
			continue;
		if (!page_move(volume, page, NULL))
			return false;
		page_set_free(page);
	}
	return true;
}

/* Loans all blocks of an isolated group. False: some of them are not loaned. */
static bool lend_blocks(struct volume *volume, struct phys_addr start, uint64_t deadline_ns)
{
	for (uint64_t i = 0; i < piece_blocks(volume); i++) {
		struct frames *frames = group_frames(volume->pagecache, start, i);

		if (platform_now_ns() >= deadline_ns || !make_lendable(volume, frames) || !page_heap_lend(volume, frames))
			return false;
	}
	return true;
}

/*
 * Loans the isolated blocks of a group, if none of their pages is in use just now, few frames lie
 * idle, and the volume need not keep the pages.
 */
static bool lend_fenced(struct volume *volume, struct phys_addr start, const struct frames_census *all,
			const struct guarantee_wish *wish)
{
	const uint64_t frames = piece_blocks(volume) * PAGES_PER_BLOCK;
	bool lent;

	if (all->stuck > 0 || (frames - all->cached) * 100 > frames * GUARANTEE_IDLE_PERCENT ||
	    !keep_claim(volume, volume->config.keep_bytes, all->cached))
		return false;
	lent = lend_blocks(volume, start, wish->deadline_ns);
	keep_let_go(volume, all->cached);
	return lent;
}

/* Isolates the blocks of a group, if they still are the volume's, and loans them. */
static bool lend_group(struct volume *volume, struct phys_addr start, const struct guarantee_wish *wish)
{
	const uint64_t blocks = piece_blocks(volume);
	struct frames_census census, all = { 0 };
	uint64_t fenced = 0;
	bool lent;

	(void)lookaside_empty(volume);
	while (fenced < blocks &&
	       page_heap_fence_block(volume, group_frames(volume->pagecache, start, fenced), false, &census)) {
		all.cached += census.cached;
		all.stuck += census.stuck;
		fenced++;
	}
	lent = fenced == blocks && lend_fenced(volume, start, &all, wish);
	while (!lent && fenced > 0)
		page_heap_unfence(&volume->eviction.heap, group_frames(volume->pagecache, start, --fenced));
	return lent;
}

/* Choosing a group --------------------------------------------------------------------------------------------------------- */

static bool has_to_spare(const struct volume *volume)
{
	const uint64_t own = atomic_load(&volume->eviction.heap.blocks) - atomic_load(&volume->eviction.heap.lent_blocks);
	const uint64_t blocks = piece_blocks(volume);

	return own > blocks && (own - blocks) * BLOCK_BYTES >= volume->config.keep_bytes;
}

/*
 * Chooses a group. Volumes give in the order of their preference, as in a drain. volumes_lock is
 * held.
 */
static bool choose(struct pagecache *pagecache, const struct guarantee_wish *wish, uint64_t lowest_score,
		   struct heap_group *best)
{
	best->volume = NULL;
	list_for_each (link, &pagecache->volumes) {
		struct volume *volume = container_of(link, struct volume, link);
		const unsigned preference = volume->config.preference;
		struct heap_group group;

		if ((best->volume && preference > best->volume->config.preference) || !has_to_spare(volume) ||
		    !page_heap_find_group(volume, wish, lowest_score, &group))
			continue;
		if (!best->volume || preference < best->volume->config.preference || group.score < best->score)
			*best = group;
	}
	return best->volume != NULL;
}

/* Pages of loaned blocks --------------------------------------------------------------------------------------------------- */

/*
 * Takes a page out of a loaned block. [S], [D] and [R] are held, the block is on loan, and the page
 * is in the index: so it is CLEAN, and its pins are those of lookups that will drop them. They
 * would count if the block came back, which happens under [R].
 */
static void leave_lent_locked(struct volume *volume, struct page *page, struct page *target, uint32_t *before)
{
	struct index *index = &volume->pagecache->pages.index;

	*before = page_leave_pinned(page);
	page_heap_note_left_locked(&volume->eviction.heap, page_frames(page));
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
 * `target`, which is TAKEN; NULL: the page is dropped. No pin in such a block counts (lend.h), so
 * this waits for none: a page with pins becomes GONE, and the last unpin frees its frame. False:
 * the page is not there any more, and `target` is unchanged.
 */
static bool leave_lent(struct volume *volume, struct page *page, struct page *target)
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
	left = page_heap_has_locked(volume, page_frames(page), ROLE_BIT(FRAMES_LENT)) &&
	       (!target || (page_is_current(page) && atomic_load(&page->version) == version));
	key = page_key(page);
	if (left)
		leave_lent_locked(volume, page, target, &before);
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
	       lookup->lent) {
		struct page *target = frame_take_in_main(volume, NULL);

		if (!leave_lent(volume, lookup->lent, target) && target)
			page_set_free(target);
	}
	return page;
}

/* What the guarantee asks for ---------------------------------------------------------------------------------------------- */

static bool lend(struct guarantee_lender *self, const struct guarantee_wish *wish, struct phys_addr *start)
{
	struct pagecache *pagecache = pagecache_of(self);
	struct heap_group group = { .score = 0 };
	uint64_t lowest_score = 0;
	bool lent = false;

	/* The task that holds it may be waiting for memory. */
	if (!mutex_try_lock(&pagecache->volumes_lock))
		return false;
	for (unsigned tries = 0; !lent && tries < GROUPS_TRIED && choose(pagecache, wish, lowest_score, &group); tries++) {
		lent = lend_group(group.volume, group.start, wish);
		lowest_score = group.score + 1;
	}
	mutex_unlock(&pagecache->volumes_lock);
	*start = group.start;
	return lent;
}

static unsigned idle_percent(struct guarantee_lender *self, struct phys_addr block)
{
	return (unsigned)((PAGES_PER_BLOCK - atomic_load(&group_frames(pagecache_of(self), block, 0)->cached)) * 100 /
			  PAGES_PER_BLOCK);
}

static void take_back(struct guarantee_lender *self, struct phys_addr block)
{
	struct frames *frames = group_frames(pagecache_of(self), block, 0);

	page_heap_unfence(&frames->volume->eviction.heap, frames);
}

static void revoke(struct guarantee_lender *self, struct phys_addr block)
{
	frames_invalidate(group_frames(pagecache_of(self), block, 0));
}

static void settle(struct guarantee_lender *self, struct phys_addr block)
{
	struct frames *frames = group_frames(pagecache_of(self), block, 0);
	struct volume *volume = frames->volume;

	frames_invalidate(frames); /* the task that took the piece may not have got that far */
	for (uint32_t i = 0; (i = frames_drop(volume, frames, i, PAGE_HITS)) < PAGES_PER_BLOCK; i++)
		(void)leave_lent(volume, &frames->pages[i], NULL);
	page_heap_forget(&volume->eviction.heap, frames);
}

void lend_init(struct pagecache *pagecache)
{
	pagecache->eviction.lender = (struct guarantee_lender){
		.lend = lend,
		.idle_percent = idle_percent,
		.take_back = take_back,
		.revoke = revoke,
		.settle = settle,
	};
	guarantee_set_lender(memory_guarantee(pagecache->memory), &pagecache->eviction.lender);
}

void lend_fini(struct pagecache *pagecache)
{
	guarantee_clear_lender(memory_guarantee(pagecache->memory), &pagecache->eviction.lender);
}
