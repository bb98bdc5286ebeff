// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames: how a page gets one, leaves it, or moves to another one. An evicted page leaves from the
 * idle state by one exchange of its state, under the lock of its stripe of the index; a lookup
 * without the lock then finds that the frame is not the page's any more. A move copies first and
 * decides then.
 */
#include "frame.h"

#include "pagecache/page/index_fast.h"
#include "pagecache/writeback/writeback.h"
#include "replacement.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define TAKE_NAP_NS (10 * NS_PER_MS)
#define DROP_PAGES  128u /* pages that leave the index at once; their keys lie on the stack */

/* Taking and returning ------------------------------------------------------------------------- */

struct page *frame_try_take(struct volume *volume, enum queue *queue)
{
	if (block_heap_must_fail(memory_block_heap(volume->pagecache->memory), "page", PAGE_BYTES))
		return NULL;
	for (unsigned tries = 0; tries < QUEUES; tries++) {
		struct page *page = cpu_frames_take(volume, *queue);

		if (page)
			return page;
		*queue = QUEUE_MAIN - *queue;
	}
	return NULL;
}

/* Reclaims what is missing for this volume to grow by one block. */
static bool make_room(struct memory *memory, uint64_t deadline_ns)
{
	const uint64_t free_bytes = memory_free_bytes(memory);
	const uint64_t missing = MAX(reclaim_watermarks(memory_reclaim(memory))->low_bytes, free_bytes) - free_bytes;

	return !reclaim_may_grow(memory_reclaim(memory)) &&
	       reclaim_drain(memory_reclaim(memory), align_up(missing, BLOCK_BYTES) + BLOCK_BYTES, true, deadline_ns) > 0;
}

/*
 * Waits for what keeps the volume from a frame: a drain, dirty pages, no memory, or pages that
 * other tasks are using.
 */
struct page *frame_take(struct volume *volume, enum queue *queue)
{
	const uint64_t deadline_ns = platform_now_ns() + volume->pagecache->config.frame_wait_ns;

	for (;;) {
		const uint32_t cleaning = atomic_load(&volume->eviction.cleaning);
		const uint32_t progress = atomic_load(&volume->writeback.progress);
		struct page *page = frame_try_take(volume, queue);

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

/* Leaving a frame ------------------------------------------------------------------------------ */

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
		frame_note_evicted(volume, key, before);
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

bool node_evict_page(struct node *node, uint64_t number)
{
	struct volume *volume = node->volume;
	struct page *page = evict(volume, page_key_make(node->id, number), NULL);

	if (!page)
		return false;
	if (atomic_load_explicit(&volume->eviction.heap.loaned_blocks, memory_order_relaxed) > 0)
		page_heap_note_left(volume, pageblock_of(page));
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
		frame_count_evicted(volume, count, state);
		ghosts_add_many(&volume->pagecache->eviction.ghosts, keys, count,
				state & PAGE_MAIN ? QUEUE_MAIN : QUEUE_PROBATION);
	}
	return count;
}

uint32_t pageblock_drop(struct volume *volume, struct pageblock *pageblock, uint32_t first, uint32_t hits)
{
	while (first < PAGES_PER_BLOCK) {
		struct page *page = &pageblock->pages[first];
		uint32_t dropped = 1;

		if (!page_is(page_state(page), PAGE_FREE))
			dropped = drop_many(volume, page, PAGES_PER_BLOCK - first, hits);
		if (dropped == 0)
			break;
		first += dropped;
	}
	return first;
}

/* Moving --------------------------------------------------------------------------------------- */

/* A page that is WRITING has a pin of its writer: only the writer moves it. */
static bool is_movable(uint32_t state, uint32_t pins)
{
	return (page_is(state, PAGE_CLEAN) || page_is(state, PAGE_DIRTY) || page_is(state, PAGE_WRITING)) &&
	       (state & PAGE_PINS) == pins;
}

struct page *frame_take_in_main(struct volume *volume, unsigned *budget)
{
	struct page *target = NULL;

	if (budget && (page_heap_take_many(volume, QUEUE_MAIN, &target, 1, budget) > 0 || *budget == 0))
		return target;
	do
		target = page_heap_take(volume, QUEUE_MAIN);
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
	writeback_moved_locked(volume, from, to, state);
	index_replace_locked(&volume->pagecache->pages.index, from, to);
	page_set(to, to_main ? replacement_state_in_main(state) : state);
	atomic_fetch_add_explicit(&volume->counts.moved_pages, 1, memory_order_relaxed);
	return true;
}

/* Copies a page that has a pin, and puts the copy, with its pin, in its place. */
static bool move_to(struct volume *volume, struct page *page, struct page *target, bool to_main)
{
	struct index_stripe *stripe;

	memcpy_unstable(page_memory(target), page_memory(page), PAGE_BYTES);
	stripe = index_lock_page(&volume->pagecache->pages.index, page);
	assert(stripe); /* it has a pin */
	spinlock_lock(&volume->writeback.lock);
	const bool moved = move_locked(volume, page, target, to_main);
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
	return is_movable(page_state(page), 0) && move_or_return(volume, page, frame_take_in_main(volume, budget), true);
}

bool page_move_to(struct volume *volume, struct page *page, struct page *target)
{
	return move_or_return(volume, page, target, false);
}

bool page_move_pinned(struct volume *volume, struct page *page, struct page *target)
{
	return is_movable(page_state(page), 1) && move_to(volume, page, target, false);
}
