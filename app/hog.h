// SPDX-License-Identifier: BSD-2-Clause
/*
 * Takes all memory there is: blocks that are free or that cleaners give without waiting, and then
 * objects of the general heap, down to the smallest, so that nothing is left but what others hold
 * in reserve.
 */
#pragma once

#include "heap/memory.h"

/* Stands in what was taken. */
struct hog_piece {
	struct hog_piece *next;
};

struct hog {
	struct memory *memory;
	struct owner owner;
	struct hog_piece *blocks;
	struct hog_piece *objects;
	uint64_t block_bytes;
	uint64_t object_bytes;
};

void hog_init(struct hog *hog, struct memory *memory);

/* Both until nothing more is to be had now; they return what they got. Where platform_may_sleep(). */
uint64_t hog_take_blocks(struct hog *hog);
uint64_t hog_take_objects(struct hog *hog);

/* Gives everything back. */
void hog_free(struct hog *hog);
