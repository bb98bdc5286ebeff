// SPDX-License-Identifier: BSD-2-Clause
/*
 * Windows: ranges of adjacent blocks that could become free runs. A block of a window is free, or
 * its owner is movable and it can be emptied now. The best window is the one with the lowest
 * eviction cost (eviction_cost.h): for each block in use one, and what its holder says that it
 * would cost to empty it. A run of an unmovable owner gets a window above 4 GB, unless a window
 * between 256 MB and 4 GB costs less than half; below 256 MB only if there is no other.
 *
 * The search takes no lock, and can be preempted; the window that it finds is looked at once more.
 * It takes at most about four instructions for each block of the machine (make bench).
 */
#pragma once

#include "block_heap.h"

struct window {
	struct phys_addr start;
	uint64_t blocks;
	uint64_t cost; /* 0: all of it was free */
};

/*
 * The best window for request->blocks under its constraints, or its place, or the highest one
 * (block_heap.h); false: none.
 */
bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window);

/*
 * Excludes the blocks that are in use in the window now from all searches, until
 * window_exclude_none. A block that is freed counts again at once. The caller serialises the use
 * of both (reclaim mutex).
 */
void window_exclude(struct block_heap *heap, const struct window *window);
void window_exclude_none(struct block_heap *heap);

static inline struct phys_addr window_last_byte(const struct window *window)
{
	return (struct phys_addr){ window->start.value + (window->blocks << BLOCK_SHIFT) - 1 };
}
