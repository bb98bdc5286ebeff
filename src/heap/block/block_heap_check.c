// SPDX-License-Identifier: BSD-2-Clause
/*
 * The invariants of the block heap, checked one by one in a single walk over all descriptors:
 * bitmaps, runs, counts and eviction costs are recomputed from the descriptors and compared.
 */
#include "block_heap.h"

#include "block_search.h"
#include "eviction_cost.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

static bool block_is_valid(const struct block_heap *heap, uint64_t i)
{
	const struct block *block = &heap->blocks[i];

	if (bitmap_test(heap->free_map, i) != (block->present && !block->taken) ||
	    bitmap_test(heap->movable_map, i) != (block->present && !(block->taken && !block->owner->movable)))
		return false;
	return block->taken ? block->present && block->owner != NULL : !block->owner && !block->cache && block->run_blocks == 0;
}

/* Every taken block lies in exactly one run of one owner. *end: the end of the latest run. */
static bool run_is_valid(const struct block_heap *heap, uint64_t i, uint64_t *end)
{
	const struct block *block = &heap->blocks[i];

	if (i < *end)
		return block->owner == block[-1].owner && block->run_blocks == 0;
	*end = i + block->run_blocks;
	return (block->run_blocks != 0) == block->taken && *end <= heap->count;
}

static uint64_t owned_blocks(const struct block_heap *heap)
{
	uint64_t owned = 0;

	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);

		if (owner->blocks == 0)
			return UINT64_MAX;
		owned += owner->blocks;
	}
	return owned;
}

static const char *find_violation(const struct block_heap *heap)
{
	uint64_t present = 0, taken = 0, run_end = 0, unmovable[MEMORY_PARTS] = { 0 };

	for (uint64_t i = 0; i < heap->count; i++) {
		const struct block *block = &heap->blocks[i];

		if (!block_is_valid(heap, i))
			return "a descriptor contradicts itself or the bitmaps";
		if (!eviction_cost_is_valid(heap, i))
			return "an eviction cost does not fit its block";
		if (!run_is_valid(heap, i, &run_end))
			return "a run is broken";
		if (bitmap_test(heap->word_map, i / 64) != (heap->free_map[i / 64] != 0))
			return "the summary does not fit the bitmap";
		present += block->present;
		taken += block->taken;
		unmovable[search_part(heap, i)] += block->taken && !block->owner->movable;
	}
	if (present != heap->total_blocks)
		return "the number of blocks has changed";
	if (present - taken != atomic_load_explicit(&heap->free_blocks, memory_order_relaxed))
		return "the number of free blocks is wrong";
	if (memcmp(unmovable, heap->unmovable, sizeof(unmovable)) != 0)
		return "blocks of owners that are not movable are counted wrongly";
	return owned_blocks(heap) == taken ? NULL : "the owners' blocks do not add up";
}

bool block_heap_is_valid(struct block_heap *heap)
{
	spinlock_lock(&heap->lock);
	const char *violation = find_violation(heap);
	spinlock_unlock(&heap->lock);
	if (violation)
		log_error("block heap: %s", violation);
	return !violation;
}
