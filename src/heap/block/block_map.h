// SPDX-License-Identifier: BSD-2-Clause
/*
 * The blocks of a machine as a picture of at most BLOCK_MAP_ROWS lines of text, whatever its size:
 * two squares side by side, in order of address, by owner and by temperature. A character stands
 * for as many blocks as it takes to make the picture fit, at least one.
 *
 *	by owner        a letter, as the legend says: the owner that holds most of it; small if it does
 *			not hold all. Where some blocks are unmovable, the owner that holds most of
 *			these, since they are in the way of large runs.
 *	by temperature  0 to 9: what it would cost to empty the blocks in use, each step about three
 *			times the one before; # where some are unmovable.
 *	both            . all free; a blank: no memory
 */
#pragma once

#include "block_heap.h"

#define BLOCK_MAP_ROWS    20
#define BLOCK_MAP_COLUMNS 32

/* Prints the picture and its legend. Takes [H] once for each character. Any task context. */
void block_map_print(struct block_heap *heap);
