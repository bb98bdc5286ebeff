/*
 * Ghosts: a memory of pages that were evicted not long ago, as fingerprints in a table of fixed size. A ghost is 32 bits: 20 of
 * the key's hash, 1 for the queue that the page was evicted from, 11 for the time, which is the number of evictions from that
 * queue so far, in units. Sixteen ghosts share a cache line, the only place where each of them can be.
 *
 * No locks: a race costs a ghost. A wrong ghost is found once in 60,000 lookups. As time passes, ghosts that are too old to
 * count are cleared, so that their times do not come round again.
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/types.h"

enum lane {
	LANE_PROBATION,
	LANE_MAIN,
	LANES,
};

struct ghosts {
	_Atomic uint32_t *table;     /* [I] */
	uint64_t sets;               /* [I] of 16 */
	uint32_t unit;               /* [I] evictions to one unit of time */
	_Atomic uint64_t now[LANES]; /* evictions */
};

/* Bytes of the table for a cache of at most this many pages. */
uint64_t ghosts_bytes(uint64_t pages);

/* `table`: ghosts_bytes(pages) of memory, aligned to 64 bytes. */
void ghosts_init(struct ghosts *ghosts, void *table, uint64_t pages);

/* A page was evicted from this queue. */
void ghosts_add(struct ghosts *ghosts, uint64_t key, enum lane lane);

/* The same for several pages, one after the other. */
void ghosts_add_many(struct ghosts *ghosts, const uint64_t *keys, uint32_t count, enum lane lane);

/* Takes the ghost of the page: true with the queue, and the number of evictions from it since then, give or take a unit. */
bool ghosts_take(struct ghosts *ghosts, uint64_t key, enum lane *lane, uint64_t *age);
