/*
 * Weights: what it would cost to have each block, in 16 bits beside its descriptor, so that a search over all memory reads
 * little: 1 MB for 1 TB. They lie from the top of memory down, and a search goes through them in that order: of windows that
 * weigh the same it finds the highest one.
 *
 *	0              free
 *	1 to 2047      in use by a movable owner: 1 and a 40th of block->cost, that is, one for two pages to be read again
 *	UNUSABLE       no memory, in use by an owner that is not movable, or not to be emptied now
 *	AVOIDED set    left out for a while, whatever it weighs
 *
 * Weights are written by one atomic operation each, and read without a lock: a search takes no lock, however long it is, and
 * what it finds may have changed. It is exact, the least sum of weights of all windows, as long as nothing
 * changes meanwhile. A change during the search may be seen in part, and another window be chosen that was nearly the best.
 */
#pragma once

#include "block_search.h"

#define WEIGHT_UNUSABLE 0x2000u
#define WEIGHT_AVOIDED  0x1000u
#define WEIGHT_MAX      2047u
#define WEIGHT_COST     40u /* in units of block->cost */

/* The weight of a block as its descriptor has it. [H] is held, or nobody changes it. */
void weights_update(struct block_heap *heap, uint64_t index);

/* Whether it is that, or AVOIDED. [H] is held. */
bool weights_is_valid(const struct block_heap *heap, uint64_t index);

/* What the block weighs, AVOIDED or not. Any context. */
uint32_t weights_get(const struct block_heap *heap, uint64_t index);

/* The sum of the blocks [start, start + blocks); false: one of them is unusable. Any context. */
bool weights_sum(const struct block_heap *heap, uint64_t start, uint64_t blocks, uint64_t *sum);

/*
 * The window in the span that weighs least, or the highest one if it is `packed`, of those that keep alignment and boundary;
 * false: there is none. Any context.
 */
bool weights_search(const struct block_heap *heap, struct span span, const struct run_request *request, uint64_t *start);

/* Makes blocks that are in use AVOIDED, or not any more. Any context. */
void weights_set_avoided(struct block_heap *heap, struct span span, bool avoided);
