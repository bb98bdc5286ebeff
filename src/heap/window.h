/*
 * Windows: stretches of adjacent blocks that could become free runs. A block helps if it is free or its owner is movable; the
 * best window is the one that costs least to empty: of each block in use one, and what its holder says (block->cost). The
 * caller serialises the use of `avoid` (reclaim mutex).
 */
#pragma once

#include "block_heap.h"

struct window {
	struct phys_addr start;
	uint64_t blocks;
	uint64_t busy_blocks; /* not free when it was chosen */
	uint64_t cost;
};

/* The best window for request->blocks under its constraints; false: none. */
bool window_find(struct block_heap *heap, const struct run_request *request, struct window *window);

/* Has later searches leave out what is in use in the window now. */
void window_avoid(struct block_heap *heap, const struct window *window);

/* Forgets what was to be avoided. */
void window_avoid_nothing(struct block_heap *heap);

/* Blocks of the window that are in use. */
uint64_t window_busy_blocks(struct block_heap *heap, const struct window *window);

static inline struct phys_addr window_last_byte(const struct window *window)
{
	return (struct phys_addr){ window->start.value + (window->blocks << BLOCK_SHIFT) - 1 };
}
