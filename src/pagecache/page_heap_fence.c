/* Blocks that are to go: out of their queues, and to the memory, or back. */
#include "heap/block_search.h"
#include "page_heap_internal.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define HOLES_PART  8  /* of a block that has lost so many pages */
#define LITTLE_PART 8  /* of the cache: less than that is not much to be taken at a time */
#define LOOKS_MAX   64 /* at blocks that turned out hotter than thought, before the next best one will do */

static bool is_within(const struct frames *frames, const struct fence_limits *limits)
{
	return frames->block.value >= limits->lowest.value && frames->block.value + (BLOCK_BYTES - 1) <= limits->highest.value;
}

static bool is_restricted(struct page_heap *heap, const struct fence_limits *limits)
{
	return !block_heap_is_within(&page_heap_volume(heap)->pagecache->memory->blocks, limits->lowest, limits->highest);
}

/* What is retained stays, except where certain addresses are wanted. */
static struct frames *find_empty_locked(struct page_heap *heap, const struct fence_limits *limits)
{
	if (!limits->open && !is_restricted(heap, limits) &&
	    (heap->empty_blocks == 0 || (heap->empty_blocks - 1) * BLOCK_BYTES < heap->retain_bytes))
		return NULL;
	list_for_each (link, &heap->empty) {
		struct frames *frames = container_of(link, struct frames, link);

		if (is_within(frames, limits))
			return frames;
	}
	return NULL;
}

/* The one of the lowest score in the span, by going through the blocks that lie there. */
static struct frames *lowest_of_span_locked(struct page_heap *heap, struct span span)
{
	const struct volume *volume = page_heap_volume(heap);
	struct frames *const *blocks = volume->pagecache->table.blocks;
	struct frames *lowest = NULL;

	for (uint64_t i = span.first; i < span.end; i++) {
		struct frames *frames = blocks[i];

		if (frames && atomic_load_explicit(&frames->volume, memory_order_relaxed) == volume &&
		    frames->role == FRAMES_QUEUED &&
		    (!lowest || page_heap_level(frames->score) < page_heap_level(lowest->score)))
			lowest = frames;
	}
	return lowest;
}

static struct frames *lowest_locked(struct page_heap *heap, const struct fence_limits *limits)
{
	const struct block_heap *memory = &page_heap_volume(heap)->pagecache->memory->blocks;
	const struct span span = span_of(memory, limits->lowest, limits->highest);

	/* A window is short, and what lies in it would have to be picked out of all blocks. */
	if (limits->window && span.end < span.first + atomic_load_explicit(&heap->blocks, memory_order_relaxed))
		return lowest_of_span_locked(heap, span);
	for (uint64_t levels = heap->level_mask; levels != 0; levels &= levels - 1) {
		list_for_each (link, &heap->levels[__builtin_ctzll(levels)]) {
			struct frames *frames = container_of(link, struct frames, scored);

			if (is_within(frames, limits))
				return frames;
		}
	}
	return NULL;
}

/* Hits do not tell the block: whatever seems to be the coldest is looked at again. */
static struct frames *find_coldest_locked(struct page_heap *heap, const struct fence_limits *limits,
					  struct frames_census *census)
{
	struct frames *frames;

	for (unsigned looks = 0; (frames = lowest_locked(heap, limits)) != NULL; looks++) {
		const unsigned level = page_heap_level(frames->score);

		page_heap_count_locked(heap, frames, census);
		if (page_heap_level(frames->score) <= level || looks == LOOKS_MAX)
			break;
	}
	return frames;
}

/*
 * What is taken comes in pieces, and nothing tells how many. But as much will be taken as was at a time before: this is the
 * highest level among as many of the coldest blocks. Where that is little, copies cost less than what would be missed: 0.
 */
static unsigned demand_level_locked(const struct page_heap *heap)
{
	const uint64_t demand = heap->demand_blocks, all = atomic_load_explicit(&heap->blocks, memory_order_relaxed);
	unsigned level = 0;

	if (demand * LITTLE_PART < all)
		return 0;
	for (uint64_t blocks = heap->level_blocks[0]; blocks < demand && level < SCORE_LEVELS - 1;)
		blocks += heap->level_blocks[++level];
	return level;
}

/* What is wanted goes instead of the coldest one where that is not clearly colder, or where it will go soon anyway. */
static struct frames *prefer_locked(struct page_heap *heap, struct phys_addr wanted, struct frames *coldest,
				    struct frames_census *census)
{
	const struct block_heap *memory = &page_heap_volume(heap)->pagecache->memory->blocks;
	const struct span span = span_of(memory, wanted, (struct phys_addr){ wanted.value + BLOCK_BYTES - 1 });
	struct frames *frames = wanted.value != 0 && coldest ? lowest_of_span_locked(heap, span) : NULL;
	struct frames_census found;

	if (!frames)
		return coldest;
	page_heap_count_locked(heap, frames, &found);
	if (page_heap_level(frames->score) > MAX(page_heap_level(coldest->score), demand_level_locked(heap)))
		return coldest;
	*census = found;
	return frames;
}

static struct frames *find_open_locked(struct page_heap *heap, const struct fence_limits *limits)
{
	for (unsigned lane = 0; lane < LANES; lane++)
		if (heap->open[lane] && is_within(heap->open[lane], limits))
			return heap->open[lane];
	return NULL;
}

/* The census of what others have not looked at, or is as good as empty. */
static struct frames *counted(struct frames *frames, struct frames_census *census)
{
	if (frames)
		replacement_census(frames, census);
	return frames;
}

struct frames *page_heap_fence(struct volume *volume, const struct fence_limits *limits, struct frames_census *census)
{
	struct page_heap *heap = &volume->heap;
	struct frames *frames;

	spinlock_lock(&heap->lock);
	frames = counted(find_empty_locked(heap, limits), census);
	if (!frames)
		frames = prefer_locked(heap, limits->wanted, find_coldest_locked(heap, limits, census), census);
	if (!frames && !limits->queued && (limits->open || is_restricted(heap, limits)))
		frames = counted(find_open_locked(heap, limits), census);
	if (frames) {
		page_heap_unlink_locked(heap, frames);
		frames->role = FRAMES_FENCED;
	}
	spinlock_unlock(&heap->lock);
	return frames;
}

void page_heap_replace(struct volume *volume, struct frames *frames, struct frames *fresh)
{
	struct page_heap *heap = &volume->heap;

	frames_prepare(fresh);
	spinlock_lock(&heap->lock);
	atomic_store_explicit(&fresh->volume, volume, memory_order_relaxed);
	atomic_store_explicit(&fresh->entered, frames->entered, memory_order_relaxed);
	fresh->role = FRAMES_FENCED;
	fresh->lane = frames->lane;
	fresh->position = 0;
	replacement_came_back_locked(heap);
	page_heap_resize_locked(heap, 1);
	spinlock_unlock(&heap->lock);
}

static bool is_empty(const struct frames *frames)
{
	_Static_assert(PAGE_FREE == 0, "states that are 0 together are FREE");
	uint32_t states = 0;

	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		states |= page_state(&frames->pages[i]);
	return states == 0;
}

bool page_heap_release(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;
	bool released;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_FENCED);
	released = frames->busy == 0 && is_empty(frames);
	if (released) {
		page_heap_leave_locked(heap, frames);
		frames_invalidate(frames);
	}
	spinlock_unlock(&heap->lock);
	if (released)
		page_heap_give(volume, frames);
	return released;
}

void page_heap_note_demand(struct volume *volume, uint64_t blocks)
{
	struct page_heap *heap = &volume->heap;

	spinlock_lock(&heap->lock);
	replacement_drained_locked(heap, blocks);
	spinlock_unlock(&heap->lock);
}

/*
 * A block that has lost many pages, by a drain that gave up or while it was lent, is filled up by whoever misses next: main's
 * cursor may not come by for long.
 */
static bool is_holey(const struct frames *frames)
{
	struct frames_census census;

	replacement_census(frames, &census);
	return frames_cursor_is_done(frames) && census.cached < PAGES_PER_BLOCK - PAGES_PER_BLOCK / HOLES_PART;
}

void page_heap_unfence(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_FENCED || frames->role == FRAMES_LENT);
	if (frames->role == FRAMES_LENT)
		page_heap_leave_lent_locked(heap, frames);
	/* One that was open is not full of its pages yet. */
	page_heap_queue_locked(heap, frames, is_holey(frames) ? LANE_PROBATION : frames->lane, !frames_cursor_is_done(frames));
	frames->position = PAGES_PER_BLOCK;
	spinlock_unlock(&heap->lock);
}
