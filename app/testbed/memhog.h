// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes all memory there is: blocks that are free or that cleaners give without waiting, and then
 * objects of the general heap, down to the smallest, so that nothing is left but what others hold
 * in reserve.
 */
#pragma once

#include "heap/memory.h"

/* Stands in what was taken. */
struct memhog_piece {
	struct memhog_piece *next;
};

struct memhog {
	struct memory *memory;
	struct owner owner;
	struct memhog_piece *blocks;
	struct memhog_piece *objects;
	uint64_t block_bytes;
	uint64_t object_bytes;
};

void memhog_init(struct memhog *memhog, struct memory *memory);

/*
 * Both until nothing more is to be had now; they return what they got. Where platform_may_sleep().
 */
uint64_t memhog_take_blocks(struct memhog *memhog);
uint64_t memhog_take_objects(struct memhog *memhog);

/* Gives everything back. */
void memhog_free(struct memhog *memhog);
