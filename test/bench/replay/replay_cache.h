// SPDX-License-Identifier: BSD-2-Clause
/*
 * The real page cache with exactly so many blocks, over a device that completes everything at once
 * and keeps nothing. One thread, a clock that stands still, no readahead: the same trace gives the
 * same figures each time.
 */
#pragma once

#include "pagecache/volume.h"
#include "trace.h"

#define REPLAY_PIECE_BLOCKS 2 /* of a guarantee */

struct replay_cache;

/*
 * Ends the program with a message when something fails, as do all of these; among that, at the end,
 * a cache that has not come to have as many blocks as it should. The background writer has a round
 * every `writer_period` references.
 */
struct replay_cache *replay_cache_create(const struct trace *trace, uint64_t blocks, uint64_t writer_period);

/*
 * The same, but `guarantee_blocks` of the blocks, whole pieces, are the guarantee of DMA memory:
 * the cache has them as long as it loans them. The refill task of the guarantee has a round every
 * few references, and the clock goes on with them.
 */
struct replay_cache *replay_cache_create_loaned(const struct trace *trace, uint64_t blocks, uint64_t guarantee_blocks,
						uint64_t writer_period);
void replay_cache_destroy(struct replay_cache *cache);

/* One reference: a read or a write of a whole page. */
void replay_cache_access(struct replay_cache *cache, const struct reference *reference);

/*
 * Takes so many blocks from the cache, singly or in one run, and gives back what was taken before.
 * Returns how many it got.
 */
uint64_t replay_cache_take(struct replay_cache *cache, uint64_t blocks, bool contiguous);
void replay_cache_give(struct replay_cache *cache);

struct pagecache_statistics replay_cache_statistics(struct replay_cache *cache);

/* The share of the cache's frames that have no page now. */
double replay_cache_holes(struct replay_cache *cache);
