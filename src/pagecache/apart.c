#include "apart.h"

#include "frame.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define MOVE_TRIES 4   /* while others use the page */
#define LOOKS_MAX  64u /* at blocks that are full, for one that is not any more */

/* Blocks ------------------------------------------------------------------------------------------------------------------- */

/* The block is in no list afterwards, and the caller's: hand_over. */
static void remove_locked(struct page_heap *heap, struct frames *frames)
{
	list_remove(&frames->link);
	frames->role = FRAMES_NONE;
	heap->apart_blocks--;
	if (heap->apart_open == frames)
		heap->apart_open = NULL;
}

/* One that the cursor has gone over is full of pages that were just used; of another one the frames are wanted first. */
static void hand_over(struct volume *volume, struct frames *frames)
{
	struct pagecache *pagecache = volume->pagecache;
	struct page_heap *heap = &volume->heap;

	block_heap_hand_over(&pagecache->memory->blocks, frames->block, 1, &heap->owner);
	atomic_store_explicit(&frames->entered, atomic_load_explicit(&pagecache->clock, memory_order_relaxed),
			      memory_order_relaxed);
	spinlock_lock(&heap->lock);
	page_heap_queue_locked(heap, frames, LANE_PROBATION, frames_cursor_is_done(frames));
	frames->position = PAGES_PER_BLOCK;
	spinlock_unlock(&heap->lock);
}

static bool add_block(struct volume *volume)
{
	struct page_heap *heap = &volume->heap;
	struct frames *frames;
	bool is_open;

	if (frames_alloc(volume->pagecache, &volume->pagecache->mapped_owner, &frames) != STATUS_OK)
		return false;
	spinlock_lock(&heap->lock);
	atomic_store_explicit(&frames->volume, volume, memory_order_relaxed);
	frames->role = FRAMES_APART;
	frames->lane = LANE_PROBATION;
	frames->position = 0;
	list_insert_last(&heap->apart, &frames->link);
	heap->apart_blocks++;
	page_heap_resize_locked(heap, 1);
	is_open = !heap->apart_open || frames_cursor_is_done(heap->apart_open);
	if (is_open)
		heap->apart_open = frames;
	else
		remove_locked(heap, frames); /* another one was quicker */
	spinlock_unlock(&heap->lock);
	if (!is_open)
		hand_over(volume, frames);
	return true;
}

void apart_settle(struct volume *volume)
{
	struct page_heap *heap = &volume->heap;
	struct frames *idle;

	spinlock_lock(&heap->lock);
	idle = heap->apart_open;
	if (idle && idle->mapped == 0)
		remove_locked(heap, idle);
	else
		idle = NULL;
	spinlock_unlock(&heap->lock);
	if (idle)
		hand_over(volume, idle);
}

/* Frames ------------------------------------------------------------------------------------------------------------------- */

/* NULL: there is no block with frames ahead of the cursor, as far as it looks. */
static struct frames *cursor_locked(struct page_heap *heap)
{
	if (heap->apart_open && !frames_cursor_is_done(heap->apart_open))
		return heap->apart_open;
	for (unsigned looks = 0; looks < MIN(heap->apart_blocks, LOOKS_MAX); looks++) {
		struct list *first = list_take_first(&heap->apart);
		struct frames *frames = container_of(first, struct frames, link);

		list_insert_last(&heap->apart, first); /* the next time it looks at others */
		if (frames->mapped > PAGES_PER_BLOCK / 2)
			continue;
		frames->position = 0;
		heap->apart_open = frames;
		return frames;
	}
	return NULL;
}

/* The next frame, whatever is in it, counted as mapped, so that its block stays. */
static struct page *next_frame(struct page_heap *heap)
{
	struct page *page = NULL;
	struct frames *frames;

	spinlock_lock(&heap->lock);
	frames = cursor_locked(heap);
	if (frames) {
		page = &frames->pages[frames->position++];
		frames->mapped++;
	}
	spinlock_unlock(&heap->lock);
	return page;
}

/* A frame, TAKEN, and counted. */
static struct page *take_frame(struct volume *volume)
{
	for (unsigned scanned = 0; scanned < PAGE_HEAP_BUDGET; scanned++) {
		struct page *page = next_frame(&volume->heap);

		if (!page && !add_block(volume))
			return NULL;
		if (page && replacement_visit(volume, page, LANE_PROBATION))
			return page;
		if (page)
			apart_leave(volume, page);
	}
	return NULL;
}

/* Pages -------------------------------------------------------------------------------------------------------------------- */

static bool enter_here(struct volume *volume, const struct page *page)
{
	struct frames *frames = page_frames(page);
	bool apart;

	spinlock_lock(&volume->heap.lock);
	apart = frames->role == FRAMES_APART;
	frames->mapped += apart;
	spinlock_unlock(&volume->heap.lock);
	return apart;
}

static void enter_in_place(struct volume *volume, struct page *page)
{
	struct frames *frames = page_frames(page);

	spinlock_lock(&volume->heap.lock);
	if (frames->mapped++ == 0)
		page_heap_look_locked(&volume->heap, frames);
	spinlock_unlock(&volume->heap.lock);
	atomic_fetch_add_explicit(&volume->counts.mapped_in_place, 1, memory_order_relaxed);
}

/* Readers leave soon, and what is on its way to the device arrives; a writer waits for this pin. */
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

void apart_enter(struct volume *volume, struct page **page, bool *no_frames)
{
	struct page *target = NULL;

	if (enter_here(volume, *page))
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
		apart_leave(volume, target);
	}
	enter_in_place(volume, *page);
}

void apart_leave(struct volume *volume, const struct page *page)
{
	struct frames *frames = page_frames(page);
	struct page_heap *heap = &volume->heap;
	bool idle;

	spinlock_lock(&heap->lock);
	assert(frames->mapped > 0);
	frames->mapped--;
	idle = frames->mapped == 0 && frames->role == FRAMES_APART && frames_cursor_is_done(frames);
	if (idle)
		remove_locked(heap, frames);
	else if (frames->mapped == 0)
		page_heap_look_locked(heap, frames);
	spinlock_unlock(&heap->lock);
	if (idle)
		hand_over(volume, frames);
}
