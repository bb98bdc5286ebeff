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

#define METADATA_CHUNK_MIN 64
#define METADATA_CHUNK_MAX (512 * KIB)
#define METADATA_ORDERS    14

struct metadata_heap {
	struct spinlock lock;
	struct block_heap *heap; /* [I] */
	struct owner owner;
	struct metadata_chunk *free[METADATA_ORDERS]; /* [B] by size */
	uint64_t used_bytes;                          /* [B] */
};

/* `seed` is aligned to 64 bytes; seed_bytes may be 0. */
void metadata_heap_init(struct metadata_heap *metadata, struct block_heap *heap, void *seed, uint64_t seed_bytes);

/* Returns a zeroed chunk. NULL: no memory, or more than METADATA_CHUNK_MAX. */
void *metadata_heap_alloc(struct metadata_heap *metadata, size_t bytes);
void metadata_heap_free(struct metadata_heap *metadata, void *chunk, size_t bytes);
