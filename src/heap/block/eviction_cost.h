// SPDX-License-Identifier: BSD-2-Clause
/*
 * The eviction cost of each block, in 16 bits beside its descriptor, so that a search over all
 * memory reads little: 1 MB for 1 TB. The costs lie from the top of memory down, and a search goes
 * through them in that order: of windows with the same cost it finds the highest.
 *
 *	0              free
 *	1 to 2047      in use by a movable owner: 1 + block->cost / 40, so 1 for two pages to read again
 *	UNUSABLE       no memory, in use by an unmovable owner, or not to be emptied now
 *	EXCLUDED set   excluded for a while, whatever it costs
 *
 * Each cost is written by one atomic operation and read without a lock. A search takes no lock,
 * however long it is, and what it finds may have changed. It is exact, the lowest sum of all
 * windows, as long as no cost changes meanwhile. A search may see a part of a change, and then
 * choose another window that was nearly the best.
 */
#pragma once

#include "block_search.h"

#define EVICTION_COST_UNUSABLE 0x2000u
#define EVICTION_COST_EXCLUDED 0x1000u
#define EVICTION_COST_MAX      2047u
#define EVICTION_COST_UNIT     40u /* in units of block->cost */

/* Sets the cost by the block's descriptor. [H] is held, or no other CPU changes the block. */
void eviction_cost_update(struct block_heap *heap, uint64_t index);

/* Whether the cost fits the descriptor, EXCLUDED or not. [H] is held. */
bool eviction_cost_is_valid(const struct block_heap *heap, uint64_t index);

/* The block's cost without EXCLUDED. Any context. */
uint32_t eviction_cost_get(const struct block_heap *heap, uint64_t index);

/* The sum of the costs of blocks [start, start + blocks); false: one is unusable. Any context. */
bool eviction_cost_sum(const struct block_heap *heap, uint64_t start, uint64_t blocks, uint64_t *sum);

/*
 * The window in the range with the lowest sum (`packed`: the highest window) among those that keep
 * alignment and boundary; false: there is none. Any context.
 */
bool eviction_cost_search(const struct block_heap *heap, struct block_range range, const struct run_request *request,
			  uint64_t *start);

/* Sets or clears EXCLUDED of the blocks that are in use. Any context. */
void eviction_cost_set_excluded(struct block_heap *heap, struct block_range range, bool excluded);
