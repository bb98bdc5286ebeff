/*
 * Windows: stretches of adjacent blocks that could become free runs. A block helps if it is free, or its owner is movable and
 * it can be emptied now; the best window is the one that weighs least (weights.h): of each block in use one, and what its
 * holder says that it would cost to empty it. Who stays where he is put gets a window above 4 GB, unless one between 256 MB and
 * 4 GB weighs less than half; below that only if there is no other one.
 *
 * The search takes no lock, and can be preempted; the window found is looked at once more. It takes at most about four
 * instructions for each block of the machine (make bench).
 */
#pragma once

#include "block_heap.h"

struct window {
	struct phys_addr start;
	uint64_t blocks;
	uint64_t weight; /* 0: all of it was free */
};

/* The best window for request->blocks under its constraints, or its place, or the highest one (block_heap.h); false: none. */
bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window);

/*
 * Has searches leave out what is in use in the window now, until window_avoid_nothing. What is freed counts again at once. The
 * caller serialises the use of both (reclaim mutex).
 */
void window_avoid(struct block_heap *heap, const struct window *window);
void window_avoid_nothing(struct block_heap *heap);

static inline struct phys_addr window_last_byte(const struct window *window)
{
	return (struct phys_addr){ window->start.value + (window->blocks << BLOCK_SHIFT) - 1 };
}
