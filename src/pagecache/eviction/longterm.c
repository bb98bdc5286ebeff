// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks that are set apart for mapped pages. A page that is mapped moves into such a block, so
 * that pages which may stay for long lie together and other blocks can be emptied. One cursor finds
 * frames there; a block without mapped pages becomes an ordinary one again.
 */
#include "longterm.h"

#include "frame.h"
#include "replacement.h"
#include "runtime/base/assert.h"

#define MOVE_TRIES 4   /* while other tasks use the page */
#define LOOKS_MAX  64u /* blocks looked at for one with room */

/* Blocks --------------------------------------------------------------------------------------- */

/*
 * Releases the lock, and makes `idle` (or NULL), a block that need not be set apart any more, an
 * ordinary block. If the cursor has gone over it, its pages were used just now, and it is the
 * youngest of its queue; otherwise its frames are to be refilled first, and it is the oldest.
 */
static void unlock(struct volume *volume, struct pageblock *idle)
{
	struct pagecache *pagecache = volume->pagecache;
	struct page_heap *heap = &volume->eviction.heap;

	if (idle)
		page_heap_unlink_locked(heap, idle);
	spinlock_unlock(&heap->lock);
	if (!idle)
		return;
	block_heap_hand_over(memory_block_heap(pagecache->memory), idle->block, 1, &heap->owner);
	atomic_store_explicit(&idle->entered, atomic_load_explicit(&pagecache->eviction.clock, memory_order_relaxed),
			      memory_order_relaxed);
	spinlock_lock(&heap->lock);
	page_heap_queue_locked(heap, idle, QUEUE_PROBATION, pageblock_cursor_is_done(idle));
	spinlock_unlock(&heap->lock);
}

static bool add_block(struct volume *volume)
{
	struct page_heap *heap = &volume->eviction.heap;
	struct pageblock *pageblock;
	bool is_open;

	if (pageblock_alloc(volume->pagecache, &volume->pagecache->eviction.mapped_owner, &pageblock) != STATUS_OK)
		return false;
	spinlock_lock(&heap->lock);
	page_heap_enter_locked(heap, pageblock, PAGEBLOCK_LONGTERM, QUEUE_PROBATION);
	list_insert_last(&heap->longterm, &pageblock->link);
	heap->longterm_blocks++;
	is_open = !heap->longterm_open || pageblock_cursor_is_done(heap->longterm_open);
	if (is_open)
		heap->longterm_open = pageblock;
	unlock(volume, is_open ? NULL : pageblock); /* another task was faster */
	return true;
}

void longterm_settle(struct volume *volume)
{
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	unlock(volume, heap->longterm_open && heap->longterm_open->mapped == 0 ? heap->longterm_open : NULL);
}

/* Frames --------------------------------------------------------------------------------------- */

/* The open block; NULL: no block has frames ahead of the cursor, as far as it looks. */
static struct pageblock *cursor_locked(struct page_heap *heap)
{
	if (heap->longterm_open && !pageblock_cursor_is_done(heap->longterm_open))
		return heap->longterm_open;
	for (unsigned looks = 0; looks < MIN(heap->longterm_blocks, LOOKS_MAX); looks++) {
		struct list *first = list_take_first(&heap->longterm);
		struct pageblock *pageblock = container_of(first, struct pageblock, link);

		list_insert_last(&heap->longterm, first); /* the next search looks at others */
		if (pageblock->mapped > PAGES_PER_BLOCK / 2)
			continue;
		pageblock->position = 0;
		heap->longterm_open = pageblock;
		return pageblock;
	}
	return NULL;
}

/* The next frame, in any state, counted as mapped, so that its block stays. */
static struct page *next_frame(struct page_heap *heap)
{
	struct page *page = NULL;
	struct pageblock *pageblock;

	spinlock_lock(&heap->lock);
	pageblock = cursor_locked(heap);
	if (pageblock) {
		page = &pageblock->pages[pageblock->position++];
		pageblock->mapped++;
	}
	spinlock_unlock(&heap->lock);
	return page;
}

/* Takes a frame: TAKEN, and counted as mapped. */
static struct page *take_frame(struct volume *volume)
{
	for (unsigned scanned = 0; scanned < PAGE_HEAP_BUDGET; scanned++) {
		struct page *page = next_frame(&volume->eviction.heap);

		if (!page && !add_block(volume))
			return NULL;
		if (page && replacement_visit(volume, page, QUEUE_PROBATION))
			return page;
		if (page)
			longterm_leave(volume, page);
	}
	return NULL;
}

/* Pages ---------------------------------------------------------------------------------------- */

/*
 * Counts the page as mapped where it is, if its block is set apart or, with `in_place`, in any
 * block.
 */
static bool enter(struct volume *volume, const struct page *page, bool in_place)
{
	struct pageblock *pageblock = pageblock_of(page);

	spinlock_lock(&volume->eviction.heap.lock);
	const bool entered = in_place || pageblock->role == PAGEBLOCK_LONGTERM;
	if (entered && pageblock->mapped++ == 0)
		page_heap_look_locked(&volume->eviction.heap, pageblock);
	spinlock_unlock(&volume->eviction.heap.lock);
	return entered;
}

/*
 * Moves the page; waits for readers, which leave soon, and for writeback, which ends. Writers wait
 * for this pin.
 */
static bool move(struct volume *volume, struct page *page, struct page *target)
{
	for (unsigned tries = 0; tries < MOVE_TRIES; tries++) {
		uint32_t state;

		if (page_move_pinned(volume, page, target))
			return true;
		state = page_state(page);
		if (page_is(state, PAGE_WRITEBACK))
			(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
		else
			platform_yield();
	}
	return false;
}

void longterm_enter(struct volume *volume, struct page **page, bool *no_frames)
{
	struct page *target = NULL;

	if (enter(volume, *page, false))
		return;
	if (!*no_frames) {
		target = take_frame(volume);
		*no_frames = !target;
	}
	if (target && move(volume, *page, target)) {
		page_set_free(*page);
		*page = target;
		return;
	}
	if (target) {
		page_set_free(target);
		longterm_leave(volume, target);
	}
	(void)enter(volume, *page, true);
	atomic_fetch_add_explicit(&volume->counts.mapped_in_place, 1, memory_order_relaxed);
}

void longterm_leave(struct volume *volume, const struct page *page)
{
	struct pageblock *pageblock = pageblock_of(page);
	bool idle;

	spinlock_lock(&volume->eviction.heap.lock);
	assert(pageblock->mapped > 0);
	pageblock->mapped--;
	idle = pageblock->mapped == 0 && pageblock->role == PAGEBLOCK_LONGTERM && pageblock_cursor_is_done(pageblock);
	if (pageblock->mapped == 0)
		page_heap_look_locked(&volume->eviction.heap, pageblock);
	unlock(volume, idle ? pageblock : NULL);
}
