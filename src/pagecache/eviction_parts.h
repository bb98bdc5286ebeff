// SPDX-License-Identifier: BSD-2-Clause
/*
 * What eviction keeps of a volume, and of a page cache. The lock is the page heap's, [R].
 *
 * 1. heap.blocks of all volumes add up to the page cache's `blocks`.
 * 2. While a drain is under way, `cleaning` is not 0, and no lookaside keeps a frame for long
 *    (lookaside.h).
 * 3. `claimed_pages` are still cached, but do not count for the cache minimum (keep.h).
 */
#pragma once

#include "ghost.h"
#include "lookaside.h"
#include "migration.h"
#include "page_heap.h"

struct volume_eviction {
	struct page_heap heap;
	struct cleaner clean_cleaner;
	struct cleaner dirty_cleaner;
	struct cleaner lookaside_cleaner;
	_Atomic uint64_t claimed_pages; /* keep.h */
	_Atomic uint32_t cleaning;      /* drains under way; frame_take sleeps on it */
	struct lookaside lookasides[PLATFORM_CPUS_MAX];
};

struct pagecache_eviction {
	struct ghosts ghosts;
	struct migration migration;
	struct guarantee_lender lender;
	struct owner mapped_owner; /* of the blocks that are set apart for mapped pages */
	_Atomic uint32_t clock;    /* for frames->entered: blocks that cursors have begun */
	_Atomic uint32_t blocks;   /* of all page heaps */
};
