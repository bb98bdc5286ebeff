/*
 * Eviction by whole blocks, coldest first: what a volume's cleaners do. A block is fenced, so that nothing moves in, looked at,
 * emptied and released; one that cannot be emptied goes on as it was. Cold clean pages are dropped, hot ones moved to main's
 * cursor; dirty ones are moved where the block has few of them. Other dirty blocks are put on the pageout list (pageout.h); the
 * second cleaner starts to write them, and the first one gives them when that has been done.
 */
#pragma once

#include "volume.h"

void evict_cleaners_init(struct volume *volume);

/*
 * Gives blocks back until `bytes` have gone or `keep` bytes of cache remain; returns the bytes that went. Without I/O. The task
 * carries the mark of cleaning meanwhile.
 */
uint64_t evict_blocks(struct volume *volume, const struct reclaim_target *target, uint64_t keep);

/*
 * Drops all clean pages that nobody uses, moves none, and gives all blocks back that are empty then, whatever is to be kept or
 * retained. True: none is left.
 */
bool evict_everything(struct volume *volume);

/* Takes a block of another volume, when that has not turned over for longer than this one, and prefers to give. No I/O. */
bool evict_older_block(struct volume *volume);
