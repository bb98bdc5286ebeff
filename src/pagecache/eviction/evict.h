// SPDX-License-Identifier: BSD-2-Clause
/*
 * Eviction by whole blocks, coldest first: the work of a volume's cleaners. A block is isolated
 * (page_heap_isolate), so that no page moves in, looked at, emptied and released; a block that
 * cannot be emptied goes back to its queue. Cold clean pages are dropped, hot ones moved to main's
 * cursor; dirty pages are moved if the block has few of them. Blocks with more are put on the
 * pageout list (pageout.h): the second cleaner starts to write them, and the first gives them when
 * the writes have ended.
 */
#pragma once

#include "pagecache/volume.h"

/* For the attaching and detaching of a volume. */
void evict_cleaners_register(struct volume *volume);
void evict_cleaners_unregister(struct volume *volume);

/*
 * Gives blocks back until target->bytes have gone or `keep` bytes of cache remain; returns the
 * bytes that went. Without I/O. The task carries the mark of cleaning meanwhile.
 */
uint64_t evict_blocks(struct volume *volume, const struct reclaim_target *target, uint64_t keep);

/*
 * Drops all clean pages that are not in use, moves none, and gives back all blocks that are empty
 * then, without regard to cache minimum and retain. True: no block is left.
 */
bool evict_everything(struct volume *volume);
