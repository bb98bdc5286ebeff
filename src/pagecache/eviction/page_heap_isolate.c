// SPDX-License-Identifier: BSD-2-Clause
/*
 * Blocks that are to go: out of their queues, and to the memory, or back. The coldest block is
 * found by its level, and counted anew before it is taken, since hits do not change the score of a
 * block when they happen.
 */
#include "heap/block/block_search.h"
#include "page_heap_internal.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define HOLES_PART  8   /* of a block: one that has lost more pages has holes */
#define LITTLE_PART 8   /* of the cache: a smaller demand is little */
#define CLOSE       4   /* levels above what goes soon: as far as one hit lifts a block's pages */
#define LOOKS_MAX   64  /* blocks that turned out hotter; then the next best one will do */
#define LOOK_STEPS  128 /* blocks elsewhere, which together cost as much as a look */
#define STEPS_MAX   256 /* blocks passed by in one hold of the lock */

static bool is_restricted(struct page_heap *heap, const struct reclaim_target *target)
{
	return !block_heap_is_within(memory_block_heap(page_heap_volume(heap)->pagecache->memory), target->lowest,
				     target->highest);
}

/* Finds an empty block. Retained blocks stay, unless the request is for certain addresses. */
static struct pageblock *find_empty_locked(struct page_heap *heap, const struct reclaim_target *target, bool open)
{
	if (!open && !is_restricted(heap, target) &&
	    (heap->empty_blocks == 0 || (heap->empty_blocks - 1) * BLOCK_BYTES < page_heap_volume(heap)->config.retain_bytes))
		return NULL;
	list_for_each (link, &heap->empty) {
		struct pageblock *pageblock = container_of(link, struct pageblock, link);

		if (reclaim_target_has(target, pageblock->block))
			return pageblock;
	}
	return NULL;
}

static bool is_queued_locked(struct page_heap *heap, const struct pageblock *pageblock)
{
	return page_heap_has_locked(page_heap_volume(heap), pageblock, ROLE_BIT(PAGEBLOCK_QUEUED));
}

/*
 * The block of the lowest level in the range, by a walk through its blocks. It releases the lock
 * meanwhile; so it starts again if the block that it found is gone at the end.
 */
static struct pageblock *lowest_of_range_locked(struct page_heap *heap, struct block_range range)
{
	struct pageblock *const *blocks = page_heap_volume(heap)->pagecache->pages.table.blocks;
	struct pageblock *lowest;

	do {
		unsigned lowest_level = SCORE_LEVELS;

		lowest = NULL;
		for (uint64_t i = range.first; i < range.end; i++) {
			if ((i - range.first) % STEPS_MAX == STEPS_MAX - 1) {
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
static struct pageblock *lowest_locked(struct page_heap *heap, const struct reclaim_target *target, uint64_t *steps)
{
	const struct block_heap *memory = memory_block_heap(page_heap_volume(heap)->pagecache->memory);
	const struct block_range range = block_range_of(memory, target->lowest, target->highest);
	const uint64_t steps_end = *steps + STEPS_MAX;

	for (uint64_t levels = heap->level_mask; levels != 0; levels &= levels - 1) {
		list_for_each (link, &heap->levels[__builtin_ctzll(levels)]) {
			struct pageblock *pageblock = container_of(link, struct pageblock, scored);

			if (reclaim_target_has(target, pageblock->block))
				return pageblock;
			if (++*steps == steps_end) {
				*steps += range.end - range.first;
				return lowest_of_range_locked(heap, range);
			}
		}
	}
	return NULL;
}

/*
 * Finds the coldest block. Hits do not change a block's score, so the block that seems to be the
 * coldest is counted anew. Releases the lock between two looks.
 */
static struct pageblock *find_coldest_locked(struct page_heap *heap, const struct reclaim_target *target,
					     struct page_counts *counts)
{
	struct pageblock *pageblock;
	uint64_t steps = 0;

	for (unsigned looks = 0; (pageblock = lowest_locked(heap, target, &steps)) != NULL; looks++) {
		const unsigned level = page_heap_level(pageblock->score);

		page_heap_count_locked(heap, pageblock, counts);
		if (page_heap_level(pageblock->score) <= level || looks + steps / LOOK_STEPS >= LOOKS_MAX)
			break;
		spinlock_unlock(&heap->lock);
		spinlock_lock(&heap->lock);
	}
	return pageblock;
}

/*
 * The highest level that is not worth a copy: that of as many of the coldest blocks as will be
 * taken, or close to it. Requests come one by one, and none tells how many follow; but probably as
 * many as an earlier time. If that is little, copies cost less than the pages that would be missed:
 * 0.
 */
static unsigned demand_level_locked(const struct page_heap *heap)
{
	const uint64_t demand = heap->demand_blocks, all = atomic_load_explicit(&heap->blocks, memory_order_relaxed);
	unsigned level = 0;

	if (demand * LITTLE_PART < all)
		return 0;
	for (uint64_t blocks = heap->level_blocks[0]; blocks < demand && level < SCORE_LEVELS - 1;)
		blocks += heap->level_blocks[++level];
	return level + CLOSE;
}

/*
 * Prefers the wanted block to the coldest one, unless that is clearly colder; but the wanted one
 * goes anyway if it would go soon.
 */
static struct pageblock *prefer_locked(struct page_heap *heap, struct phys_addr wanted, struct pageblock *coldest,
				       struct page_counts *counts)
{
	struct page_counts found;
	struct pageblock *pageblock;

	if (wanted.value == 0 || !coldest)
		return coldest;
	pageblock = pageblock_table_block(&page_heap_volume(heap)->pagecache->pages.table, wanted);
	if (!is_queued_locked(heap, pageblock))
		return coldest;
	page_heap_count_locked(heap, pageblock, &found);
	if (page_heap_level(pageblock->score) > MAX(page_heap_level(coldest->score), demand_level_locked(heap)))
		return coldest;
	*counts = found;
	return pageblock;
}

static struct pageblock *find_open_locked(struct page_heap *heap, const struct reclaim_target *target)
{
	for (unsigned queue = 0; queue < QUEUES; queue++)
		if (heap->open[queue] && reclaim_target_has(target, heap->open[queue]->block))
			return heap->open[queue];
	return NULL;
}

/* Counts the pages of a block that was found without a count. */
static struct pageblock *counted(struct pageblock *pageblock, struct page_counts *counts)
{
	if (pageblock)
		(void)replacement_count(pageblock, counts);
	return pageblock;
}

static void isolate_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	page_heap_unlink_locked(heap, pageblock);
	pageblock->role = PAGEBLOCK_ISOLATED;
}

struct pageblock *page_heap_isolate(struct volume *volume, const struct reclaim_target *target, bool open,
				    struct page_counts *counts)
{
	struct page_heap *heap = &volume->eviction.heap;
	struct pageblock *pageblock;

	spinlock_lock(&heap->lock);
	pageblock = counted(find_empty_locked(heap, target, open), counts);
	if (!pageblock)
		pageblock = prefer_locked(heap, target->wanted, find_coldest_locked(heap, target, counts), counts);
	if (!pageblock && (open || is_restricted(heap, target)))
		pageblock = counted(find_open_locked(heap, target), counts);
	if (pageblock)
		isolate_locked(heap, pageblock);
	spinlock_unlock(&heap->lock);
	return pageblock;
}

bool page_heap_isolate_block(struct volume *volume, struct pageblock *pageblock, bool open, struct page_counts *counts)
{
	const unsigned roles = ROLE_BIT(PAGEBLOCK_QUEUED) | ROLE_BIT(PAGEBLOCK_EMPTY);
	struct page_heap *heap = &volume->eviction.heap;

	if (atomic_load_explicit(&pageblock->volume, memory_order_relaxed) != volume)
		return false;
	spinlock_lock(&heap->lock);
	open |= heap->level_mask != 0;
	const bool isolated = page_heap_has_locked(volume, pageblock, roles | (open ? ROLE_BIT(PAGEBLOCK_OPEN) : 0));
	if (isolated)
		isolate_locked(heap, counted(pageblock, counts));
	spinlock_unlock(&heap->lock);
	return isolated;
}

struct pageblock *page_heap_replace(struct volume *volume, struct pageblock *pageblock, struct phys_addr block)
{
	struct pageblock *fresh = pageblock_prepare(&volume->pagecache->pages.table, block);
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	page_heap_enter_locked(heap, fresh, PAGEBLOCK_ISOLATED, pageblock->queue);
	atomic_store_explicit(&fresh->entered, pageblock->entered, memory_order_relaxed);
	replacement_came_back_locked(heap);
	spinlock_unlock(&heap->lock);
	return fresh;
}

static bool is_empty(const struct pageblock *pageblock)
{
	_Static_assert(PAGE_FREE == 0, "states that are 0 together are FREE");
	uint32_t states = 0;

	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		states |= page_state(&pageblock->pages[i]);
	return states == 0;
}

bool page_heap_release(struct volume *volume, struct pageblock *pageblock)
{
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	assert(pageblock->role == PAGEBLOCK_ISOLATED);
	const bool released = pageblock->busy == 0 && is_empty(pageblock);
	if (released) {
		page_heap_leave_locked(heap, pageblock);
		pageblock_invalidate(pageblock);
	}
	spinlock_unlock(&heap->lock);
	if (released)
		memory_blocks_free(volume->pagecache->memory, pageblock->block);
	return released;
}

/*
 * Whether the block has lost many pages, by a drain that gave up or while it was on loan. Such a
 * block goes to probation, where the next misses fill it: main's cursor may not come by for long.
 */
static bool is_holey(const struct pageblock *pageblock)
{
	struct page_counts counts;

	(void)replacement_count(pageblock, &counts);
	return pageblock_cursor_is_done(pageblock) && counts.cached < PAGES_PER_BLOCK - PAGES_PER_BLOCK / HOLES_PART;
}

void page_heap_put_back(struct page_heap *heap, struct pageblock *pageblock)
{
	spinlock_lock(&heap->lock);
	assert(pageblock->role == PAGEBLOCK_ISOLATED || pageblock->role == PAGEBLOCK_LOANED);
	if (pageblock->role == PAGEBLOCK_LOANED)
		page_heap_leave_loaned_locked(heap, pageblock);
	/* A block that was open is not filled up yet. */
	page_heap_queue_locked(heap, pageblock, is_holey(pageblock) ? QUEUE_PROBATION : pageblock->queue,
			       !pageblock_cursor_is_done(pageblock));
	spinlock_unlock(&heap->lock);
}
