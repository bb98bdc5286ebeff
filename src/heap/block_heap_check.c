/* The invariants of the block heap, checked one by one. */
#include "block_heap.h"

#include "block_search.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"
#include "weights.h"

static bool block_is_valid(const struct block_heap *heap, uint64_t i)
{
	const struct block *block = &heap->blocks[i];

	if (bitmap_test(heap->free_map, i) != (block->present && !block->taken))
		return false;
	return block->taken ? block->present && block->owner != NULL : !block->owner && !block->cache && block->run_blocks == 0;
}

/* Every taken block lies in exactly one run, of one owner. */
static bool runs_are_valid(const struct block_heap *heap)
{
	for (uint64_t i = 0; i < heap->count; i++) {
		const struct block *first = &heap->blocks[i];

		if (!first->taken)
			continue;
		if (first->run_blocks == 0 || first->run_blocks > heap->count - i)
			return false;
		for (uint64_t end = i + first->run_blocks; i + 1 < end; i++)
			if (heap->blocks[i + 1].owner != first->owner || heap->blocks[i + 1].run_blocks != 0)
				return false;
	}
	return true;
}

static bool summary_is_valid(const struct block_heap *heap)
{
	for (uint64_t word = 0; word < bitmap_words(heap->count); word++)
		if (bitmap_test(heap->word_map, word) != (heap->free_map[word] != 0))
			return false;
	return true;
}

static bool unmovable_are_valid(const struct block_heap *heap)
{
	uint64_t unmovable[MEMORY_PARTS] = { 0 };

	for (uint64_t i = 0; i < heap->count; i++) {
		const struct block *block = &heap->blocks[i];
		const bool is_unmovable = block->taken && !block->owner->movable;

		unmovable[search_part(heap, i)] += is_unmovable;
		if (bitmap_test(heap->movable_map, i) != (block->present && !is_unmovable))
			return false;
	}
	return memcmp(unmovable, heap->unmovable, sizeof(unmovable)) == 0;
}

static bool owners_are_valid(const struct block_heap *heap, uint64_t taken)
{
	uint64_t owned = 0;

	list_for_each (link, &heap->owners) {
		const struct owner *owner = container_of(link, struct owner, link);

		if (owner->blocks == 0)
			return false;
		owned += owner->blocks;
	}
	return owned == taken;
}

static const char *find_violation(const struct block_heap *heap)
{
	uint64_t present = 0;
	uint64_t taken = 0;

	for (uint64_t i = 0; i < heap->count; i++) {
		if (!block_is_valid(heap, i))
			return "a descriptor contradicts itself or the bitmap";
		if (!weights_is_valid(heap, i))
			return "a weight does not fit its block";
		present += heap->blocks[i].present;
		taken += heap->blocks[i].taken;
	}
	if (present != heap->total_blocks)
		return "the number of blocks has changed";
	if (present - taken != atomic_load_explicit(&heap->free_blocks, memory_order_relaxed))
		return "the number of free blocks is wrong";
	if (!summary_is_valid(heap))
		return "the summary does not fit the bitmap";
	if (!unmovable_are_valid(heap))
		return "blocks of owners that are not movable are noted wrongly";
	if (!runs_are_valid(heap))
		return "a run is broken";
	if (!owners_are_valid(heap, taken))
		return "the owners' blocks do not add up";
	return NULL;
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
