// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks that are to go: out of their queues, and to the memory, or back. The coldest block is
 * found by its level, and counted anew before it is taken, since hits do not change the score of a
 * block when they happen.
 */
#include "heap/block_search.h"
#include "page_heap_internal.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define HOLES_PART  8   /* of a block: one that has lost more pages has holes */
#define LITTLE_PART 8   /* of the cache: a smaller demand is little */
#define LOOKS_MAX   64  /* blocks that turned out hotter; then the next best one will do */
#define LOOK_STEPS  128 /* blocks elsewhere, which together cost as much as a look */
#define STEPS_MAX   256 /* blocks passed by in one hold of the lock */

static bool is_restricted(struct page_heap *heap, const struct reclaim_target *target)
{
	return !block_heap_is_within(memory_block_heap(page_heap_volume(heap)->pagecache->memory), target->lowest,
				     target->highest);
}

/* Finds an empty block. Retained blocks stay, unless the request is for certain addresses. */
static struct frames *find_empty_locked(struct page_heap *heap, const struct reclaim_target *target, bool open)
{
	if (!open && !is_restricted(heap, target) &&
	    (heap->empty_blocks == 0 || (heap->empty_blocks - 1) * BLOCK_BYTES < page_heap_volume(heap)->config.retain_bytes))
		return NULL;
	list_for_each (link, &heap->empty) {
		struct frames *frames = container_of(link, struct frames, link);

		if (reclaim_target_has(target, frames->block))
			return frames;
	}
	return NULL;
}

static bool is_queued_locked(struct page_heap *heap, const struct frames *frames)
{
	return page_heap_has_locked(page_heap_volume(heap), frames, ROLE_BIT(FRAMES_QUEUED));
}

/*
 * The block of the lowest level in the span, by a walk through its blocks. It releases the lock
 * meanwhile; so it starts again if the block that it found is gone at the end.
 */
static struct frames *lowest_of_span_locked(struct page_heap *heap, struct span span)
{
	struct frames *const *blocks = page_heap_volume(heap)->pagecache->pages.table.blocks;
	struct frames *lowest;

	do {
		unsigned lowest_level = SCORE_LEVELS;

		lowest = NULL;
		for (uint64_t i = span.first; i < span.end; i++) {
			if ((i - span.first) % STEPS_MAX == STEPS_MAX - 1) {
				spinlock_unlock(&heap->lock);
				spinlock_lock(&heap->lock);
			}
			if (is_queued_locked(heap, blocks[i]) && page_heap_level(blocks[i]->score) < lowest_level) {
				lowest = blocks[i];
				lowest_level = page_heap_level(lowest->score);
			}
		}
	} while (lowest && !is_queued_locked(heap, lowest));
	return lowest;
}

/*
 * The block of the lowest level within the limits. The coldest blocks mostly lie within them; where
 * many do not, the limits are narrow, and a walk through their blocks is shorter. Adds to *steps
 * the blocks that it passed by.
 */
static struct frames *lowest_locked(struct page_heap *heap, const struct reclaim_target *target, uint64_t *steps)
{
	const struct block_heap *memory = memory_block_heap(page_heap_volume(heap)->pagecache->memory);
	const struct span span = span_of(memory, target->lowest, target->highest);
	const uint64_t steps_end = *steps + STEPS_MAX;

	for (uint64_t levels = heap->level_mask; levels != 0; levels &= levels - 1) {
		list_for_each (link, &heap->levels[__builtin_ctzll(levels)]) {
			struct frames *frames = container_of(link, struct frames, scored);

			if (reclaim_target_has(target, frames->block))
				return frames;
			if (++*steps == steps_end) {
				*steps += span.end - span.first;
				return lowest_of_span_locked(heap, span);
			}
		}
	}
	return NULL;
}

/*
 * Finds the coldest block. Hits do not change a block's score, so the block that seems to be the
 * coldest is counted anew. Releases the lock between two looks.
 */
static struct frames *find_coldest_locked(struct page_heap *heap, const struct reclaim_target *target,
					  struct frames_census *census)
{
	struct frames *frames;
	uint64_t steps = 0;

	for (unsigned looks = 0; (frames = lowest_locked(heap, target, &steps)) != NULL; looks++) {
		const unsigned level = page_heap_level(frames->score);

		page_heap_count_locked(heap, frames, census);
		if (page_heap_level(frames->score) <= level || looks + steps / LOOK_STEPS >= LOOKS_MAX)
			break;
		spinlock_unlock(&heap->lock);
		spinlock_lock(&heap->lock);
	}
	return frames;
}

/*
 * The highest level among as many of the coldest blocks as will be taken. Requests come one by one,
 * and none tells how many follow; but probably as many as an earlier time. If that is little,
 * copies cost less than the pages that would be missed: 0.
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

/*
 * Prefers the wanted block to the coldest one, unless that is clearly colder; but the wanted one
 * goes anyway if it would go soon.
 */
static struct frames *prefer_locked(struct page_heap *heap, struct phys_addr wanted, struct frames *coldest,
				    struct frames_census *census)
{
	struct frames_census found;
	struct frames *frames;

	if (wanted.value == 0 || !coldest)
		return coldest;
	frames = frame_table_block(&page_heap_volume(heap)->pagecache->pages.table, wanted);
	if (!is_queued_locked(heap, frames))
		return coldest;
	page_heap_count_locked(heap, frames, &found);
	if (page_heap_level(frames->score) > MAX(page_heap_level(coldest->score), demand_level_locked(heap)))
		return coldest;
	*census = found;
	return frames;
}

static struct frames *find_open_locked(struct page_heap *heap, const struct reclaim_target *target)
{
	for (unsigned lane = 0; lane < LANES; lane++)
		if (heap->open[lane] && reclaim_target_has(target, heap->open[lane]->block))
			return heap->open[lane];
	return NULL;
}

/* Counts the pages of a block that was found without a count. */
static struct frames *counted(struct frames *frames, struct frames_census *census)
{
	if (frames)
		(void)replacement_census(frames, census);
	return frames;
}

static void fence_locked(struct page_heap *heap, struct frames *frames)
{
	page_heap_unlink_locked(heap, frames);
	frames->role = FRAMES_FENCED;
}

struct frames *page_heap_fence(struct volume *volume, const struct reclaim_target *target, bool open,
			       struct frames_census *census)
{
	struct page_heap *heap = &volume->eviction.heap;
	struct frames *frames;

	spinlock_lock(&heap->lock);
	frames = counted(find_empty_locked(heap, target, open), census);
	if (!frames)
		frames = prefer_locked(heap, target->wanted, find_coldest_locked(heap, target, census), census);
	if (!frames && (open || is_restricted(heap, target)))
		frames = counted(find_open_locked(heap, target), census);
	if (frames)
		fence_locked(heap, frames);
	spinlock_unlock(&heap->lock);
	return frames;
}

bool page_heap_fence_block(struct volume *volume, struct frames *frames, bool open, struct frames_census *census)
{
	const unsigned roles = ROLE_BIT(FRAMES_QUEUED) | ROLE_BIT(FRAMES_EMPTY) | (open ? ROLE_BIT(FRAMES_OPEN) : 0);
	struct page_heap *heap = &volume->eviction.heap;

	if (atomic_load_explicit(&frames->volume, memory_order_relaxed) != volume)
		return false;
	spinlock_lock(&heap->lock);
	const bool fenced = page_heap_has_locked(volume, frames, roles);
	if (fenced)
		fence_locked(heap, counted(frames, census));
	spinlock_unlock(&heap->lock);
	return fenced;
}

struct frames *page_heap_replace(struct volume *volume, struct frames *frames, struct phys_addr block)
{
	struct frames *fresh = frames_prepare(&volume->pagecache->pages.table, block);
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	page_heap_enter_locked(heap, fresh, FRAMES_FENCED, frames->lane);
	atomic_store_explicit(&fresh->entered, frames->entered, memory_order_relaxed);
	replacement_came_back_locked(heap);
	spinlock_unlock(&heap->lock);
	return fresh;
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
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_FENCED);
	const bool released = frames->busy == 0 && is_empty(frames);
	if (released) {
		page_heap_leave_locked(heap, frames);
		frames_invalidate(frames);
	}
	spinlock_unlock(&heap->lock);
	if (released)
		memory_blocks_free(volume->pagecache->memory, frames->block);
	return released;
}

/*
 * Whether the block has lost many pages, by a drain that gave up or while it was on loan. Such a
 * block goes to probation, where the next misses fill it: main's cursor may not come by for long.
 */
static bool is_holey(const struct frames *frames)
{
	struct frames_census census;

	(void)replacement_census(frames, &census);
	return frames_cursor_is_done(frames) && census.cached < PAGES_PER_BLOCK - PAGES_PER_BLOCK / HOLES_PART;
}

void page_heap_unfence(struct page_heap *heap, struct frames *frames)
{
	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_FENCED || frames->role == FRAMES_LENT);
	if (frames->role == FRAMES_LENT)
		page_heap_leave_lent_locked(heap, frames);
	/* A block that was open is not filled up yet. */
	page_heap_queue_locked(heap, frames, is_holey(frames) ? LANE_PROBATION : frames->lane, !frames_cursor_is_done(frames));
	spinlock_unlock(&heap->lock);
}
