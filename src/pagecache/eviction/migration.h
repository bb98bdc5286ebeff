// SPDX-License-Identifier: BSD-2-Clause
/*
 * The migration reserve: blocks whose frames are only for pages that a cleaning task moves away. So
 * a move never fails for want of a frame, even where the cursor of the main queue finds nothing to
 * evict. A block of the reserve becomes the open block of the main queue of the volume that needs
 * it; the background writer takes another block for the reserve later.
 */
#pragma once

#include "pagecache/page/pageblock_table.h"

#define MIGRATION_BLOCKS_MAX 16

struct migration {
	struct spinlock lock;
	struct owner owner;
	uint32_t wanted;                                /* [I] blocks */
	_Atomic uint32_t count;                         /* [lock]; read without */
	struct pageblock *blocks[MIGRATION_BLOCKS_MAX]; /* [lock] */
};

struct pagecache;
struct volume;

/* STATUS_NO_MEMORY: nothing is left behind. */
status_t migration_init(struct pagecache *pagecache, uint32_t blocks) MUST_CHECK;
void migration_fini(struct pagecache *pagecache);

/*
 * Opens a block of the reserve as the volume's main block. False: none is left. For tasks that
 * clean.
 */
bool migration_open(struct volume *volume);

/* Fills the reserve up, without waiting. Where platform_may_sleep(), not while cleaning. */
void migration_refill(struct pagecache *pagecache);
