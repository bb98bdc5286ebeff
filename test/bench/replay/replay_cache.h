/*
 * The real page cache with exactly so many blocks, over a device that completes everything at once and keeps nothing. One
 * thread, a clock that stands still, no readahead: the same trace gives the same figures each time.
 */
#pragma once

#include "pagecache/volume.h"
#include "trace.h"

struct replay_cache;

/*
 * Ends the program with a message when something fails, as do all of these; among that, at the end, a cache that has not come
 * to have as many blocks as it should. The background writer has a round every `writer_period` references.
 */
struct replay_cache *replay_cache_create(const struct trace *trace, uint64_t blocks, uint64_t writer_period);
void replay_cache_destroy(struct replay_cache *cache);

/* One reference: a read or a write of a whole page. */
void replay_cache_access(struct replay_cache *cache, const struct reference *reference);

/* Takes so many blocks from the cache, singly or in one run, and gives back what was taken before. Returns how many it got. */
uint64_t replay_cache_take(struct replay_cache *cache, uint64_t blocks, bool contiguous);
void replay_cache_give(struct replay_cache *cache);

struct pagecache_statistics replay_cache_statistics(struct replay_cache *cache);

/* The share of the cache's frames that have no page now. */
double replay_cache_holes(struct replay_cache *cache);
