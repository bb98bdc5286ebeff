// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ghosts: fingerprints of pages that were evicted lately, in a table of fixed size. A ghost is 32
 * bits: 20 of the key's hash, 1 for the queue that the page was evicted from, and 11 for the time,
 * which is the number of evictions from that queue so far, in units. Sixteen ghosts share a cache
 * line, the only one where each of them can be.
 *
 * No locks: a race costs a ghost. One lookup in 60,000 finds a wrong ghost. As time passes, ghosts
 * that are too old to count are cleared, so that their times are not taken for new ones when the 11
 * bits come round.
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/types.h"

enum queue {
	QUEUE_PROBATION,
	QUEUE_MAIN,
	QUEUES,
};

struct ghosts {
	_Atomic uint32_t *table;      /* [I] */
	uint64_t sets;                /* [I] of 16 ghosts */
	uint32_t unit;                /* [I] evictions in one unit of time */
	_Atomic uint64_t now[QUEUES]; /* evictions */
};

/* Bytes of the table for a cache of at most this many pages. */
uint64_t ghosts_bytes(uint64_t pages);

/* `table`: ghosts_bytes(pages) of memory, aligned to 64 bytes. */
void ghosts_init(struct ghosts *ghosts, void *table, uint64_t pages);

/* Remembers a page that was evicted from this queue. */
void ghosts_add(struct ghosts *ghosts, uint64_t key, enum queue queue);

/* The same for several pages, one after the other. */
void ghosts_add_many(struct ghosts *ghosts, const uint64_t *keys, uint32_t count, enum queue queue);

/*
 * Takes the ghost of the page out of the table. True: with the queue, and the number of evictions
 * from that queue since then, exact to a unit.
 */
bool ghosts_take(struct ghosts *ghosts, uint64_t key, enum queue *queue, uint64_t *age);
