// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine of a few blocks whose only cleaner is a cache of whole blocks. It gives the lowest
 * first, counts its work by the thread that does it, and calls the test in the middle of it.
 */
#pragma once

#include "fake/heap_fixture.h"
#include "host/host_test.h"

#define BLOCKS   96
#define MIN_FREE 3
#define THREADS  6

extern struct machine block_cache_machine;

struct block_cache {
	struct cleaner cleaner;
	struct owner owner;
	_Atomic bool has[BLOCKS];
	_Atomic uint64_t work[THREADS]; /* blocks given, by thread */
	bool exchanges;                 /* it moves what is in a place, to a block that is free */
	unsigned in_the_way;            /* ... but for so many places something stays there */
	bool is_dirty;                  /* single blocks have to be written first, */
	bool is_silent;                 /* ... and never are */
	void (*before_block)(void);     /* in the middle of the work for a block */
	void (*in_vain)(void);          /* while it is asked for what has to be written first */
};

extern struct block_cache block_cache;

/* The thread that works, for the counts; a test sets it. */
extern _Thread_local unsigned block_cache_thread;

/* Of the block with that number. */
struct phys_addr address_of(uint64_t index);

/* Whether all of the block lies within these addresses, the highest included. */
bool is_within(uint64_t index, struct phys_addr lowest, struct phys_addr highest);

/* The cache takes all blocks but so many. */
void block_cache_take(uint64_t leave_free);

/* min_blocks: below which others than the cache wait. before_block: block_cache.before_block. */
void block_cache_init(uint64_t min_blocks, void (*before_block)(void));

/* Nothing may be pending or isolated any more. */
void block_cache_fini(void);
