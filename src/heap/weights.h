// SPDX-License-Identifier: BSD-2-Clause
/*
 * The eviction cost of each block, in 16 bits beside its descriptor, so that a search over all
 * memory reads little: 1 MB for 1 TB. The costs lie from the top of memory down, and a search goes
 * through them in that order: of windows with the same cost it finds the highest.
 *
 *	0              free
 *	1 to 2047      in use by a movable owner: 1 + block->cost / 40, so 1 for two pages to read again
 *	UNUSABLE       no memory, in use by an unmovable owner, or not to be emptied now
 *	AVOIDED set    excluded for a while, whatever it costs
 *
 * Each cost is written by one atomic operation and read without a lock. A search takes no lock,
 * however long it is, and what it finds may have changed. It is exact, the lowest sum of all
 * windows, as long as no cost changes meanwhile. A search may see a part of a change, and then
 * choose another window that was nearly the best.
 */
#pragma once

#include "block_search.h"

#define WEIGHT_UNUSABLE 0x2000u
#define WEIGHT_AVOIDED  0x1000u
#define WEIGHT_MAX      2047u
#define WEIGHT_COST     40u /* in units of block->cost */

/* Sets the cost by the block's descriptor. [H] is held, or no other CPU changes the block. */
void weights_update(struct block_heap *heap, uint64_t index);

/* Whether the cost fits the descriptor, AVOIDED or not. [H] is held. */
bool weights_is_valid(const struct block_heap *heap, uint64_t index);

/* The block's cost without AVOIDED. Any context. */
uint32_t weights_get(const struct block_heap *heap, uint64_t index);

/* The sum of the costs of blocks [start, start + blocks); false: one is unusable. Any context. */
bool weights_sum(const struct block_heap *heap, uint64_t start, uint64_t blocks, uint64_t *sum);

/*
 * The window in the span with the lowest sum (`packed`: the highest window) among those that keep
 * alignment and boundary; false: there is none. Any context.
 */
bool weights_search(const struct block_heap *heap, struct span span, const struct run_request *request, uint64_t *start);

/* Sets or clears AVOIDED of the blocks that are in use. Any context. */
void weights_set_avoided(struct block_heap *heap, struct span span, bool avoided);
