// SPDX-License-Identifier: BSD-2-Clause
/*
 * What eviction keeps of a volume, and of a page cache. The lock is the page heap's, [R].
 *
 * 1. heap.blocks of all volumes add up to the page cache's `blocks`.
 * 2. While a drain is under way, `cleaning` is not 0, and no CPU keeps a frame of its own for long
 *    (cpu_frames.h).
 * 3. `claimed_pages` are still cached, but do not count for the cache minimum (cache_minimum.h).
 */
#pragma once

#include "cpu_frames.h"
#include "migration.h"
#include "page_heap.h"

/* In the order in which requests ask a volume. */
enum volume_cleaner {
	VOLUME_CLEANER_CPU_FRAMES, /* frames that CPUs keep */
	VOLUME_CLEANER_CLEAN,      /* blocks without I/O */
	VOLUME_CLEANER_DIRTY,      /* writes blocks, for the others to give later */
	VOLUME_CLEANERS,
};

struct volume_eviction {
	struct page_heap heap;
	struct cleaner cleaners[VOLUME_CLEANERS];
	_Atomic uint64_t claimed_pages; /* cache_minimum.h */
	_Atomic uint32_t cleaning;      /* drains under way; frame_take sleeps on it */
	struct cpu_frames cpu_frames[CPU_FRAMES_SETS];
};

struct pagecache_eviction {
	struct ghosts ghosts;
	struct migration migration;
	struct guarantee_donor donor;
	struct owner mapped_owner; /* of the blocks that are set apart for mapped pages */
	_Atomic uint32_t clock;    /* for pageblock->entered: blocks that cursors have begun */
	_Atomic uint32_t blocks;   /* of all page heaps */
};
