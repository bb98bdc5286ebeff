// SPDX-License-Identifier: BSD-2-Clause
/*
 * Windows: the choice between the zones of memory, and the exclusion of windows. The search itself
 * is in eviction_cost.c for windows and in block_search.c for places. A search for a window takes
 * no lock, so its result is added up once more before it counts.
 */
#include "window.h"

#include "eviction_cost.h"

#define SEARCHES       4 /* searches for a window that is still there at the second look */
#define BELOW_4G_PRICE 2 /* below 4 GB costs twice: for devices that reach no further */

static bool find_within(struct block_heap *heap, const struct run_request *request, struct block_range range,
			struct window *window)
{
	bool found = false;
	uint64_t start = 0;

	if (request->placed) {
		spinlock_lock(&heap->lock);
		found = search_place(heap, request, &start, &window->cost);
		spinlock_unlock(&heap->lock);
	}
	for (unsigned i = 0; i < SEARCHES && !request->placed && !found && eviction_cost_search(heap, range, request, &start);
	     i++)
		found = eviction_cost_sum(heap, start, request->blocks, &window->cost);
	window->start = block_address(heap, &heap->blocks[start]);
	window->blocks = request->blocks;
	return found;
}

/* The range of the windows that begin between 256 MB and 4 GB. */
static struct block_range range_below_4g(const struct block_heap *heap, const struct run_request *request)
{
	struct block_range range = zone_range(heap, request, ZONE_ABOVE_256M);

	range.end = MIN(range.end, zone_range(heap, request, ZONE_ABOVE_4G).first + request->blocks - 1);
	return range;
}

bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window)
{
	struct window below;

	for (unsigned zone = zone_first(request); zone < ZONES; zone++) {
		if (!find_within(heap, request, zone_range(heap, request, zone), window))
			continue;
		if (zone == ZONE_ABOVE_4G && find_within(heap, request, range_below_4g(heap, request), &below) &&
		    below.cost < window->cost / BELOW_4G_PRICE)
			*window = below;
		return true;
	}
	return false;
}

void window_exclude(struct block_heap *heap, const struct window *window)
{
	const struct block_range range = block_range_of(heap, window->start, window_last_byte(window));

	heap->excluded.first = heap->excluded.end == 0 ? range.first : MIN(heap->excluded.first, range.first);
	heap->excluded.end = MAX(heap->excluded.end, range.end);
	eviction_cost_set_excluded(heap, range, true);
}

void window_exclude_none(struct block_heap *heap)
{
	eviction_cost_set_excluded(heap, heap->excluded, false);
	heap->excluded = (struct block_range){ 0 };
}
