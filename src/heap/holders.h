// SPDX-License-Identifier: BSD-2-Clause
/*
 * Owner snapshots: which owners hold blocks, as lists that outlive the owners. They are taken under
 * the block heap's lock, piece by piece on a large machine, and printed without. Any task context;
 * one holders_within and one holders_best_window at a time.
 */
#pragma once

#include "block_heap.h"

#define HOLDERS_MAX       32
#define HOLDER_NAME_BYTES 32

struct holder {
	const struct owner *owner; /* only for comparisons under [H]; it may be gone */
	char name[HOLDER_NAME_BYTES];
	uint64_t blocks;
	bool movable;
};

/* All owners, the largest first; returns how many. */
unsigned holders_get(struct block_heap *heap, struct holder holders[HOLDERS_MAX]);

/*
 * The owners of the blocks that lie wholly in [lowest, highest], as in struct block_constraints,
 * with their blocks there.
 */
unsigned holders_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest,
			struct holder holders[HOLDERS_MAX]);

/*
 * The window where a run under these constraints is nearest to possible: the one with the fewest
 * blocks that no cleaner can give, and of those the one with the lowest eviction cost. False: the
 * machine has no such range of memory.
 */
struct stretch {
	struct phys_addr start;
	uint64_t fixed_blocks; /* in use, and unmovable, or not to be emptied now */
	uint64_t cost;         /* eviction cost of the movable ones, as in window.h */
};
bool holders_best_window(struct block_heap *heap, uint64_t blocks, const struct block_constraints *constraints,
			 struct stretch *best);
