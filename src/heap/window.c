#include "window.h"

#include "block_search.h"

static bool block_helps(const struct block *block)
{
	return block->present && !block->avoid &&
	       (!block->taken ||
		(block->owner->movable && atomic_load_explicit(&block->cost, memory_order_relaxed) != BLOCK_COST_FIXED));
}

static uint64_t cost_of(const struct block *block)
{
	return block->taken ? 1ull + atomic_load_explicit(&block->cost, memory_order_relaxed) : 0;
}

static uint64_t busy_blocks(const struct block *first, uint64_t blocks)
{
	uint64_t busy = 0;

	for (const struct block *block = first; block < first + blocks; block++)
		busy += block->taken;
	return busy;
}

/*
 * One pass: `cost` is that of the last `blocks` ones, which all lie in a stretch of blocks that help. Costs may change
 * meanwhile; the sum is made of what was seen when a block came in, so each block's is kept until it goes out.
 */
bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window)
{
	const struct span span = span_of(heap, request->constraints.lowest, request->constraints.highest);
	const uint64_t blocks = request->blocks;
	uint64_t stretch = span.first;
	uint64_t cost = 0;
	uint64_t best = UINT64_MAX;

	spinlock_lock(&heap->lock);
	for (uint64_t i = span.first; i < span.end && best != 0; i++) {
		struct block *block = &heap->blocks[i];
		uint64_t start;

		if (!block_helps(block)) {
			stretch = i + 1;
			cost = 0;
			continue;
		}
		block->seen_cost = cost_of(block);
		cost += block->seen_cost;
		if (i + 1 - stretch < blocks)
			continue;
		const uint64_t first = i + 1 - blocks;
		if (cost < best &&
		    span_place(heap, (struct span){ first, i + 1 }, blocks, &request->constraints, false, &start)) {
			best = cost;
			*window = (struct window){ .start = block_address(heap, &heap->blocks[first]),
						   .blocks = blocks,
						   .cost = cost };
		}
		cost -= heap->blocks[first].seen_cost;
	}
	if (best != UINT64_MAX)
		window->busy_blocks =
			busy_blocks(&heap->blocks[(window->start.value >> BLOCK_SHIFT) - heap->first_block], blocks);
	spinlock_unlock(&heap->lock);
	return best != UINT64_MAX;
}

static struct block *window_first(struct block_heap *heap, const struct window *window)
{
	return &heap->blocks[(window->start.value >> BLOCK_SHIFT) - heap->first_block];
}

void window_avoid(struct block_heap *heap, const struct window *window)
{
	struct block *first = window_first(heap, window);

	spinlock_lock(&heap->lock);
	for (struct block *block = first; block < first + window->blocks; block++)
		block->avoid = block->taken;
	spinlock_unlock(&heap->lock);
}

void window_avoid_nothing(struct block_heap *heap)
{
	spinlock_lock(&heap->lock);
	for (uint64_t i = 0; i < heap->count; i++)
		heap->blocks[i].avoid = false;
	spinlock_unlock(&heap->lock);
}

uint64_t window_busy_blocks(struct block_heap *heap, const struct window *window)
{
	uint64_t busy;

	spinlock_lock(&heap->lock);
	busy = busy_blocks(window_first(heap, window), window->blocks);
	spinlock_unlock(&heap->lock);
	return busy;
}
