// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames: how a page gets one, leaves it, or moves to another one. An evicted page leaves from the
 * idle state by one exchange of its state, under the lock of its stripe of the index; a lookup
 * without the lock then finds that the frame is not the page's any more. A move copies first and
 * decides then.
 */
#include "frame.h"

#include "index_internal.h"
#include "migration.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"
#include "writeback.h"

#define TAKE_NAP_NS (10 * NS_PER_MS)
#define DROP_PAGES  128u /* pages that leave the index at once; their keys lie on the stack */

/* Taking and returning ----------------------------------------------------------------------------------------------------- */

struct page *frame_try_take(struct volume *volume, enum lane *lane)
{
	if (block_heap_must_fail(&volume->pagecache->memory->blocks, "page", PAGE_BYTES))
		return NULL;
	for (unsigned tries = 0; tries < LANES; tries++) {
		struct page *page = lookaside_take(volume, *lane);

		if (page)
			return page;
		*lane = LANE_MAIN - *lane;
	}
	return NULL;
}

/* Reclaims what is missing for this volume to grow by one block. */
static bool make_room(struct memory *memory, uint64_t deadline_ns)
{
	const uint64_t free_bytes = memory_free_bytes(memory);
	const uint64_t missing = MAX(memory->config.low_bytes, free_bytes) - free_bytes;

	return !memory_may_grow(memory) &&
	       memory_drain_until(memory, align_up(missing, BLOCK_BYTES) + BLOCK_BYTES, true, deadline_ns) > 0;
}

/*
 * Waits for what keeps the volume from a frame: a drain, dirty pages, no memory, or pages that
 * other tasks are using.
 */
struct page *frame_take(struct volume *volume, enum lane *lane)
{
	const uint64_t deadline_ns = platform_now_ns() + volume->pagecache->config.frame_wait_ns;

	for (;;) {
		const uint32_t cleaning = atomic_load(&volume->eviction.cleaning);
		const uint32_t progress = atomic_load(&volume->writeback.progress);
		struct page *page = frame_try_take(volume, lane);

		if (page)
			return page;
		if (platform_now_ns() >= deadline_ns)
			return NULL;
		if (cleaning > 0)
			(void)platform_wait(&volume->eviction.cleaning, cleaning, deadline_ns);
		else if (!writeback_make_progress(volume, deadline_ns) && !make_room(volume->pagecache->memory, deadline_ns))
			(void)platform_wait(&volume->writeback.progress, progress, platform_now_ns() + TAKE_NAP_NS);
	}
}

/* Leaving a frame ---------------------------------------------------------------------------------------------------------- */

static enum lane lane_left(uint32_t state)
{
	return state & PAGE_MAIN ? LANE_MAIN : LANE_PROBATION;
}

/* Counts the eviction of pages that had the flags of `state`. */
static inline void count_evicted(struct volume *volume, uint32_t count, uint32_t state)
{
	atomic_fetch_sub_explicit(&volume->counts.cached_pages, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.evicted_pages, count, memory_order_relaxed);
	if (state & PAGE_AHEAD)
		atomic_fetch_add_explicit(&volume->counts.ahead_wasted, count, memory_order_relaxed);
}

static inline void remember(struct volume *volume, uint64_t key, uint32_t state)
{
	count_evicted(volume, 1, state);
	ghosts_add(&volume->pagecache->eviction.ghosts, key, lane_left(state));
}

/*
 * Takes the page of the entry out of the index, if it is idle; it is TAKEN then. Data that the
 * device may still lose is noted as its page leaves. [S] is held.
 */
static bool leave_locked(struct volume *volume, struct page *page, const struct index_entry *entry, uint32_t *before)
{
	bool left = page_try_leave(page, PAGE_UNFLUSHED, before);

	if (!left && page_is_idle(*before)) {
		spinlock_lock(&volume->writeback.lock);
		written_leaves_locked(volume, page);
		left = page_try_leave(page, 0, before);
		spinlock_unlock(&volume->writeback.lock);
	}
	if (left)
		index_remove_at(entry->link, page);
	return left;
}

/*
 * Evicts the page of this key; if `wanted` is not NULL, only that page. TAKEN; NULL: it cannot be
 * had.
 */
static struct page *evict(struct volume *volume, uint64_t key, const struct page *wanted)
{
	struct index_entry entry;
	struct page *page = index_lock_key(&volume->pagecache->pages.index, key, &entry);
	uint32_t before;

	if (page && ((wanted && page != wanted) || !leave_locked(volume, page, &entry, &before)))
		page = NULL;
	spinlock_unlock(&entry.stripe->lock);
	if (page)
		remember(volume, key, before);
	return page;
}

bool page_evict(struct volume *volume, struct page *page)
{
	return page_is(page_state(page), PAGE_CLEAN) && evict(volume, page_key(page), page);
}

bool page_drop(struct volume *volume, struct page *page)
{
	const bool evicted = page_evict(volume, page);

	if (evicted)
		page_set_free(page);
	return evicted;
}

bool page_drop_key(struct volume *volume, uint64_t key)
{
	struct page *page = evict(volume, key, NULL);

	if (!page)
		return false;
	if (atomic_load_explicit(&volume->eviction.heap.lent_blocks, memory_order_relaxed) > 0)
		page_heap_note_left(volume, page_frames(page));
	page_set_free(page);
	return true;
}

/* Drops the pages that can leave the index together. Returns how many. */
static uint32_t drop_many(struct volume *volume, struct page *pages, uint32_t most, uint32_t hits)
{
	const uint32_t state = page_state(pages);
	uint64_t keys[DROP_PAGES];
	const uint32_t count = index_evict_many(&volume->pagecache->pages.index, pages, MIN(most, DROP_PAGES), hits, keys);

	if (count > 0) {
		count_evicted(volume, count, state);
		ghosts_add_many(&volume->pagecache->eviction.ghosts, keys, count, lane_left(state));
	}
	return count;
}

uint32_t frames_drop(struct volume *volume, struct frames *frames, uint32_t first, uint32_t hits)
{
	while (first < PAGES_PER_BLOCK) {
		struct page *page = &frames->pages[first];
		uint32_t dropped = 1;

		if (!page_is(page_state(page), PAGE_FREE))
			dropped = drop_many(volume, page, PAGES_PER_BLOCK - first, hits);
		if (dropped == 0)
			break;
		first += dropped;
	}
	return first;
}

/* Moving ------------------------------------------------------------------------------------------------------------------- */

/* A page that is WRITING has a pin of its writer: only the writer moves it. */
static bool is_movable(uint32_t state, uint32_t pins)
{
	return (page_is(state, PAGE_CLEAN) || page_is(state, PAGE_DIRTY) || page_is(state, PAGE_WRITING)) &&
	       (state & PAGE_PINS) == pins;
}

/*
 * Takes a frame of the main queue, within *budget frames unless that is NULL; a drain gets one of
 * the migration reserve if the cursor finds none. A cursor that has no block to look in uses
 * nothing of the budget.
 */
static struct page *take_target(struct volume *volume, unsigned *budget)
{
	struct page *target = NULL;

	if (budget && (page_heap_take_many(volume, LANE_MAIN, &target, 1, budget) > 0 || *budget == 0))
		return target;
	do
		target = page_heap_take(volume, LANE_MAIN);
	while (!target && platform_is_cleaning() && migration_open(volume));
	return target;
}

/* Pins the page for a move: writers wait for the pin, so the copy stays right. */
static bool pin_for_move(struct page *page)
{
	uint32_t state = page_state(page);

	do {
		if (!is_movable(state, 0))
			return false;
	} while (!page_try_change(page, &state, state + 1));
	return true;
}

/*
 * Puts `to` in the place of `from`. [S] and [D] are held; the only pin is the mover's. `to` enters
 * the index before it can be pinned: a lookup on a stale chain, for the page that the frame held
 * before, must not see the old key first and the new generation then.
 */
static bool move_locked(struct volume *volume, struct page *from, struct page *to, bool to_main)
{
	uint32_t state = page_state(from);

	if (volume->writeback.written.settling && (state & PAGE_UNFLUSHED))
		return false;
	do {
		if (!is_movable(state, 1))
			return false;
	} while (!page_try_change(from, &state, page_state_make(PAGE_TAKEN, 0)));
	pagecache_node(volume->pagecache, page_key(from))->moves++;
	if (state & PAGE_LISTED)
		dirty_replace(&pagecache_node(volume->pagecache, page_key(from))->dirty, from, to);
	to->flush = from->flush;
	index_replace_locked(&volume->pagecache->pages.index, from, to);
	page_set(to, to_main ? replacement_state_in_main(state) : state);
	atomic_fetch_add_explicit(&volume->counts.moved_pages, 1, memory_order_relaxed);
	return true;
}

/* Copies a page that has a pin, and puts the copy, with its pin, in its place. */
static bool move_to(struct volume *volume, struct page *page, struct page *target, bool to_main)
{
	struct index_stripe *stripe;
	bool moved;

	memcpy_unstable(page_memory(target), page_memory(page), PAGE_BYTES);
	stripe = index_lock_page(&volume->pagecache->pages.index, page);
	assert(stripe); /* it has a pin */
	spinlock_lock(&volume->writeback.lock);
	moved = move_locked(volume, page, target, to_main);
	spinlock_unlock(&volume->writeback.lock);
	spinlock_unlock(&stripe->lock);
	return moved;
}

/* Moves the page to `target`, TAKEN or NULL, or frees `target`. */
static bool move_or_return(struct volume *volume, struct page *page, struct page *target, bool to_main)
{
	bool moved = false;

	if (!target)
		return false;
	if (pin_for_move(page)) {
		moved = move_to(volume, page, target, to_main);
		page_unpin(moved ? target : page);
	}
	if (!moved)
		page_set_free(target);
	return moved;
}

bool page_move(struct volume *volume, struct page *page, unsigned *budget)
{
	return is_movable(page_state(page), 0) && move_or_return(volume, page, take_target(volume, budget), true);
}

bool page_move_to(struct volume *volume, struct page *page, struct page *target)
{
	return move_or_return(volume, page, target, false);
}

bool page_move_pinned(struct volume *volume, struct page *page, struct page *target)
{
	return is_movable(page_state(page), 1) && move_to(volume, page, target, false);
}

/* Lent pages --------------------------------------------------------------------------------------------------------------- */

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
	pagecache_node(volume->pagecache, page_key(page))->moves++;
	index_replace_locked(index, page, target);
	page_set(target, replacement_state_in_main(*before & ~PAGE_PINS));
}

bool page_leave_lent(struct volume *volume, struct page *page, struct page *target)
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
		remember(volume, key, before);
	if ((before & PAGE_PINS) == 0)
		page_set_free(page);
	return true;
}

struct page *page_pin(struct volume *volume, uint64_t key, struct lookup *lookup)
{
	struct page *page;

	while ((page = index_pin(&volume->pagecache->pages.index, key, lookup)) == NULL && lookup->status == STATUS_NOT_FOUND &&
	       lookup->lent) {
		struct page *target = take_target(volume, NULL);

		if (!page_leave_lent(volume, lookup->lent, target) && target)
			page_set_free(target);
	}
	return page;
}
