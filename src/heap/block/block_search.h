// SPDX-License-Identifier: BSD-2-Clause
/*
 * Searching the block heap's descriptors and bitmaps; for block_heap.c and window.c. All with [H]
 * held unless they say so.
 */
#pragma once

#include "block_heap.h"

/* The blocks that lie wholly in [lowest, highest] (highest 0: no limit). No lock needed. */
struct block_range block_range_of(const struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest);

/* Each zone includes the zones before it, so that a run may lie across their borders. */
enum zone {
	ZONE_ABOVE_4G,
	ZONE_ABOVE_256M,
	ZONE_ALL,
	ZONES = MEMORY_PARTS,
};

/* The part of memory that a block lies in: the first zone that has it. No lock needed. */
static inline unsigned search_part(const struct block_heap *heap, uint64_t index)
{
	const uint64_t address = (heap->first_block + index) << BLOCK_SHIFT;

	return (address < 4 * GIB) + (address < 256 * MIB);
}

/*
 * The zones in which a request is searched, in this order. Unmovable blocks stay out of the memory
 * below 4 GB and below 256 MB, which devices with narrow masks need, as long as they fit elsewhere
 * (see also window.h). Movable blocks, and placed runs, have one zone with all memory. No lock
 * needed.
 */
unsigned zone_first(const struct run_request *request);
struct block_range zone_range(const struct block_heap *heap, const struct run_request *request, unsigned zone);

/*
 * The lowest (`from_top`: the highest) start in a range at which a run of `blocks` keeps alignment
 * and boundary; false: it does not fit. No lock needed.
 */
bool block_range_place(const struct block_heap *heap, struct block_range range, uint64_t blocks,
		       const struct block_constraints *constraints, bool from_top, uint64_t *start);

/*
 * Finds a free run for the request, placed or not; leave_free is not looked at. The search for a
 * run of several blocks in a large memory releases [H] now and then: the run that it finds may be
 * gone by the end, and blocks that became free behind it are not seen.
 */
bool search_free_run(struct block_heap *heap, const struct run_request *request, uint64_t *start);

/*
 * The place of a run (block_heap.h), and its eviction cost: 0 if it is free. False: no candidate
 * can be emptied now.
 */
bool search_place(const struct block_heap *heap, const struct run_request *request, uint64_t *start, uint64_t *cost);

/* Clears the run's bits; false: it is not free any more, or isolated. */
bool search_take(struct block_heap *heap, const struct run_request *request, uint64_t start);

/* Sets the bit of one block. */
void search_set_free(struct block_heap *heap, uint64_t index);
