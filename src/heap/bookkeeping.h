// SPDX-License-Identifier: BSD-2-Clause
/*
 * The metadata heap: zeroed chunks of 64 bytes to 256 KB, in powers of two, for the records of
 * other heaps. It cuts them from a seed that its creator hands in, and then from blocks of its own.
 * It keeps the blocks that it has once taken, and never calls the heaps that it serves.
 *
 * Any context but interrupt handlers; never sleeps. Its lock is taken before the block heap's.
 */
#pragma once

#include "block_heap.h"

#define BOOKKEEPING_CHUNK_MIN 64
#define BOOKKEEPING_CHUNK_MAX (256 * KIB)
#define BOOKKEEPING_ORDERS    13

struct bookkeeping {
	struct spinlock lock;
	struct block_heap *heap; /* [I] */
	struct owner owner;
	struct bookkeeping_chunk *free[BOOKKEEPING_ORDERS]; /* [B] by size */
	uint64_t used_bytes;                                /* [B] */
};

/* `seed` is aligned to 64 bytes; seed_bytes may be 0. */
void bookkeeping_init(struct bookkeeping *bookkeeping, struct block_heap *heap, void *seed, uint64_t seed_bytes);

/* Returns a zeroed chunk. NULL: no memory, or more than BOOKKEEPING_CHUNK_MAX. */
void *bookkeeping_alloc(struct bookkeeping *bookkeeping, size_t bytes);
void bookkeeping_free(struct bookkeeping *bookkeeping, void *chunk, size_t bytes);
