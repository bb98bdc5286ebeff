// SPDX-License-Identifier: BSD-2-Clause
/*
 * Windows: the choice between the zones of memory, and the exclusion of windows. The search itself
 * is in weights.c for windows and in block_search.c for places. A search for a window takes no
 * lock, so its result is added up once more before it counts.
 */
#include "window.h"

#include "weights.h"

#define SEARCHES       4 /* searches for a window that is still there at the second look */
#define BELOW_4G_PRICE 2 /* below 4 GB costs twice: for devices that reach no further */

static bool find_within(struct block_heap *heap, const struct run_request *request, struct span span, struct window *window)
{
	bool found = false;
	uint64_t start = 0;

	if (request->placed) {
		spinlock_lock(&heap->lock);
		found = search_place(heap, request, &start, &window->weight);
		spinlock_unlock(&heap->lock);
	}
	for (unsigned i = 0; i < SEARCHES && !request->placed && !found && weights_search(heap, span, request, &start); i++)
		found = weights_sum(heap, start, request->blocks, &window->weight);
	window->start = block_address(heap, &heap->blocks[start]);
	window->blocks = request->blocks;
	return found;
}

/* The span of the windows that begin between 256 MB and 4 GB. */
static struct span span_below_4g(const struct block_heap *heap, const struct run_request *request)
{
	struct span span = zone_span(heap, request, ZONE_ABOVE_256M);

	span.end = MIN(span.end, zone_span(heap, request, ZONE_ABOVE_4G).first + request->blocks - 1);
	return span;
}

bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window)
{
	struct window below;

	for (unsigned zone = zone_first(request); zone < ZONES; zone++) {
		if (!find_within(heap, request, zone_span(heap, request, zone), window))
			continue;
		if (zone == ZONE_ABOVE_4G && find_within(heap, request, span_below_4g(heap, request), &below) &&
		    below.weight < window->weight / BELOW_4G_PRICE)
			*window = below;
		return true;
	}
	return false;
}

void window_avoid(struct block_heap *heap, const struct window *window)
{
	const struct span span = span_of(heap, window->start, window_last_byte(window));

	heap->avoided.first = heap->avoided.end == 0 ? span.first : MIN(heap->avoided.first, span.first);
	heap->avoided.end = MAX(heap->avoided.end, span.end);
	weights_set_avoided(heap, span, true);
}

void window_avoid_nothing(struct block_heap *heap)
{
	weights_set_avoided(heap, heap->avoided, false);
	heap->avoided = (struct span){ 0 };
}
