/*
 * Who holds blocks, as a snapshot that outlives them: taken under the block heap's lock, and printed without. A large machine
 * is looked at piece by piece, while it goes on. Any task context; one holders_within and one holders_best_window at a time.
 */
#pragma once

#include "block_heap.h"

#define HOLDERS_MAX       32
#define HOLDER_NAME_BYTES 32

struct holder {
	const struct owner *owner; /* to compare with under [H]; it may be gone otherwise */
	char name[HOLDER_NAME_BYTES];
	uint64_t blocks;
	bool movable;
};

/* All owners, those with most blocks first; returns how many. */
unsigned holders_get(struct block_heap *heap, struct holder holders[HOLDERS_MAX]);

/* Those of the blocks that lie wholly in [lowest, highest], as in struct block_constraints, with their blocks there. */
unsigned holders_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest,
			struct holder holders[HOLDERS_MAX]);

/*
 * Where a run under these constraints is nearest to possible: the window with the fewest blocks that no cleaner can give, and
 * of those the one that costs least to empty. False: the machine has no such stretch of memory.
 */
struct stretch {
	struct phys_addr start;
	uint64_t fixed_blocks; /* in use, and not movable, or not to be emptied now */
	uint64_t cost;         /* as in window.h, of the movable ones */
};
bool holders_best_window(struct block_heap *heap, uint64_t blocks, const struct block_constraints *constraints,
			 struct stretch *best);
