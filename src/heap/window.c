#include "window.h"

#include "block_search.h"

static bool block_helps(const struct block *block)
{
	return block->present && !block->avoid && (!block->taken || block->owner->movable);
}

/* One pass: `busy` counts the blocks in use among the last `blocks` ones, which all lie in a stretch of blocks that help. */
bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window)
{
	const struct span span = span_of(heap, request->constraints.lowest, request->constraints.highest);
	const uint64_t blocks = request->blocks;
	uint64_t stretch = span.first;
	uint64_t busy = 0;
	uint64_t best = UINT64_MAX;

	spinlock_lock(&heap->lock);
	for (uint64_t i = span.first; i < span.end && best != 0; i++) {
		uint64_t start;

		if (!block_helps(&heap->blocks[i])) {
			stretch = i + 1;
			busy = 0;
			continue;
		}
		busy += heap->blocks[i].taken;
		if (i + 1 - stretch < blocks)
			continue;
		const uint64_t first = i + 1 - blocks;
		if (busy < best &&
		    span_place(heap, (struct span){ first, i + 1 }, blocks, &request->constraints, false, &start)) {
			best = busy;
			*window = (struct window){ block_address(heap, &heap->blocks[first]), blocks, busy };
		}
		busy -= heap->blocks[first].taken;
	}
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
	const struct block *first = window_first(heap, window);
	uint64_t busy = 0;

	spinlock_lock(&heap->lock);
	for (const struct block *block = first; block < first + window->blocks; block++)
		busy += block->taken;
	spinlock_unlock(&heap->lock);
	return busy;
}
