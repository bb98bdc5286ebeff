#include "window.h"

#include "runtime/base/bits.h"
#include "weights.h"

#define SEARCHES       4 /* for one that is still there when it is looked at again */
#define BELOW_4G_PRICE 2 /* times as much as above: devices that reach no further may want it */

static uint64_t index_of(const struct block_heap *heap, const struct window *window)
{
	return (window->start.value >> BLOCK_SHIFT) - heap->first_block;
}

uint64_t window_busy_blocks(struct block_heap *heap, const struct window *window)
{
	return window->blocks - block_heap_free_within(heap, window->start, window_last_byte(window));
}

static bool find_start(struct block_heap *heap, const struct run_request *request, struct span span, uint64_t *start)
{
	uint64_t weight;

	if (!request->placed)
		return weights_search(heap, span, request->blocks, &request->constraints, start);
	spinlock_lock(&heap->lock);
	const bool found = search_place(heap, request, false, start, &weight);
	spinlock_unlock(&heap->lock);
	return found;
}

static bool find_within(struct block_heap *heap, const struct run_request *request, struct span span, struct window *window)
{
	for (unsigned i = 0; i < SEARCHES; i++) {
		uint64_t start;

		if (!find_start(heap, request, span, &start))
			return false;
		*window = (struct window){ .start = block_address(heap, &heap->blocks[start]), .blocks = request->blocks };
		if (weights_sum(heap, start, request->blocks, &window->weight)) {
			window->busy_blocks = window_busy_blocks(heap, window);
			return true;
		}
	}
	return false;
}

/* Holds the windows that begin between 256 MB and 4 GB. */
static struct span span_below_4g(const struct block_heap *heap, const struct run_request *request)
{
	struct span span = zone_span(heap, request, ZONE_ABOVE_256M);

	span.end = MIN(span.end, zone_span(heap, request, ZONE_ABOVE_4G).first + request->blocks - 1);
	return span;
}

/* Only for what weighs much less than what was found above. */
static void look_below_4g(struct block_heap *heap, const struct run_request *request, struct window *window)
{
	struct window below;

	if (find_within(heap, request, span_below_4g(heap, request), &below) && below.weight < window->weight / BELOW_4G_PRICE)
		*window = below;
}

bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window)
{
	for (unsigned zone = request->placed ? ZONE_ALL : 0; zone < zones_of(request); zone++) {
		if (!find_within(heap, request, zone_span(heap, request, zone), window))
			continue;
		if (zone == ZONE_ABOVE_4G && !request->owner->movable)
			look_below_4g(heap, request, window);
		return true;
	}
	return false;
}

void window_avoid(struct block_heap *heap, const struct window *window)
{
	const uint64_t first = index_of(heap, window), end = first + window->blocks;

	heap->avoided_first = heap->avoided_end == 0 ? first : MIN(heap->avoided_first, first);
	heap->avoided_end = MAX(heap->avoided_end, end);
	weights_avoid(heap, first, window->blocks);
}

void window_avoid_nothing(struct block_heap *heap)
{
	weights_avoid_no_more(heap, heap->avoided_first, heap->avoided_end - heap->avoided_first);
	heap->avoided_first = heap->avoided_end = 0;
}
