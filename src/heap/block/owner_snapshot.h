// SPDX-License-Identifier: BSD-2-Clause
/*
 * Owner snapshots: which owners hold blocks, as lists that outlive the owners. They are taken under
 * the block heap's lock, piece by piece on a large machine, and printed without. Any task context;
 * one owner_snapshot_within and one owner_snapshot_nearest_window at a time.
 */
#pragma once

#include "block_heap.h"

#define OWNER_SNAPSHOT_MAX        32
#define OWNER_SNAPSHOT_NAME_BYTES 32

struct owner_snapshot {
	const struct owner *owner; /* only for comparisons under [H]; it may be gone */
	char name[OWNER_SNAPSHOT_NAME_BYTES];
	uint64_t blocks;
	bool movable;
};

/* All owners, the largest first; returns how many. */
unsigned owner_snapshot_get(struct block_heap *heap, struct owner_snapshot owners[OWNER_SNAPSHOT_MAX]);

/*
 * The owners of the blocks that lie wholly in [lowest, highest], as in struct block_constraints,
 * with their blocks there.
 */
unsigned owner_snapshot_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest,
			       struct owner_snapshot owners[OWNER_SNAPSHOT_MAX]);

/*
 * The window where a run under these constraints is nearest to possible: the one with the fewest
 * blocks that no cleaner can give, and of those the one with the lowest eviction cost. False: the
 * machine has no such range of memory.
 */
struct nearest_window {
	struct phys_addr start;
	uint64_t fixed_blocks; /* in use, and unmovable, or not to be emptied now */
	uint64_t cost;         /* eviction cost of the movable ones, as in window.h */
};
bool owner_snapshot_nearest_window(struct block_heap *heap, uint64_t blocks, const struct block_constraints *constraints,
				   struct nearest_window *best);
