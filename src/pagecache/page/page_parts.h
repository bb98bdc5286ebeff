// SPDX-License-Identifier: BSD-2-Clause
/*
 * What finding and reading pages keeps of a volume, and of a page cache. The locks are those of the
 * index's stripes, [S].
 *
 * 1. The table and the buckets of the index are made once and never change their place.
 * 2. `requests_used`, and the `requests` of all volumes, count the objects that are taken from the
 *    reserve: together never more than it has (io.h).
 * 3. A task that waits for an I/O object, or for the end of a write of any volume, reads `progress`
 *    first, then looks, then sleeps on it.
 */
#pragma once

#include "index.h"

/*
 * Lookups by one CPU, on a cache line of its own: a hit writes to nothing that CPUs share. Beyond
 * so many CPUs two share one, so that volumes stay small.
 */
#define LOOKUPS_MAX 64
struct volume_lookups {
	_Atomic uint64_t hits;
	_Atomic uint64_t misses;
	_Atomic uint64_t ahead_used;
} __attribute__((aligned(64)));

struct volume_pages {
	_Atomic uint32_t reads;       /* under way; a detach waits for them */
	_Atomic uint32_t requests[2]; /* its own I/O objects in use: for reads, and for writes */
	struct volume_lookups lookups[LOOKUPS_MAX];
};

struct pagecache_pages {
	struct pageblock_table table;
	struct index index;
	struct objcache requests; /* I/O objects */
	_Atomic uint32_t requests_used;
	_Atomic bool starved;      /* a task found none, and waits until `progress` changes */
	_Atomic uint32_t progress; /* changes when the writer is kicked, or I/O ends */
};

/* Counts lookups on this CPU: hits, misses, and first uses of pages that were read ahead. */
static inline void pages_count_lookups(struct volume_pages *pages, uint64_t hits, uint64_t misses, uint64_t first_uses)
{
	struct volume_lookups *lookups = &pages->lookups[platform_cpu() % LOOKUPS_MAX];

	if (hits > 0)
		atomic_fetch_add_explicit(&lookups->hits, hits, memory_order_relaxed);
	if (misses > 0)
		atomic_fetch_add_explicit(&lookups->misses, misses, memory_order_relaxed);
	if (first_uses > 0)
		atomic_fetch_add_explicit(&lookups->ahead_used, first_uses, memory_order_relaxed);
}
