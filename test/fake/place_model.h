// SPDX-License-Identifier: BSD-2-Clause
/* Which runs of blocks fit into a map of blocks, by trying all places. */
#pragma once

#include "heap/block/block_heap.h"

#define PLACE_MODEL_BLOCKS 48

struct place_model {
	uint64_t first; /* block number of usable[0] */
	bool usable[PLACE_MODEL_BLOCKS];
};

/* Whether `count` runs of `blocks`, and one of `last_blocks` or none, fit side by side. */
bool place_model_holds(const struct place_model *model, const struct block_constraints *constraints, uint64_t blocks,
		       uint64_t count, uint64_t last_blocks);
