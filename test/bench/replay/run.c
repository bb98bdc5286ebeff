// SPDX-License-Identifier: BSD-2-Clause
#include "run.h"

#include "model.h"
#include "replay_cache.h"

#define HOLES_PERIOD 10000 /* references between two looks at the holes */

/* References since the last multiple of the period; SIZE_MAX: nothing is taken, or not yet. */
static size_t since_taking(const struct taking *taking, size_t i)
{
	return taking->period == 0 || i < taking->period ? SIZE_MAX : i % taking->period;
}

static void take(struct replay_cache *cache, const struct taking *taking, struct outcome *outcome)
{
	const struct pagecache_statistics before = replay_cache_statistics(cache);
	struct pagecache_statistics after;

	outcome->blocks += replay_cache_take(cache, taking->blocks, taking->contiguous);
	after = replay_cache_statistics(cache);
	outcome->lost_blocks += before.blocks - after.blocks;
	outcome->taken_copies += after.moved_pages - before.moved_pages;
}

/* Ends with the cache, too. */
static struct outcome run(struct replay_cache *cache, const struct trace *trace, const struct taking *taking)
{
	struct pagecache_statistics statistics;
	struct outcome outcome = { 0 };
	unsigned samples = 0;

	for (size_t i = 0; i < trace->count; i++) {
		if (since_taking(taking, i) == 0)
			take(cache, taking, &outcome);
		if (since_taking(taking, i) == RUN_AWAY)
			replay_cache_give(cache);
		replay_cache_access(cache, &trace->references[i]);
		if (i % HOLES_PERIOD == 0 && i >= trace->count / 2) {
			outcome.holes += replay_cache_holes(cache);
			samples++;
		}
	}
	statistics = replay_cache_statistics(cache);
	outcome.misses = statistics.inserted_pages;
	outcome.copies = statistics.moved_pages;
	outcome.holes /= samples > 0 ? samples : 1;
	replay_cache_destroy(cache);
	return outcome;
}

struct outcome run_cache(const struct trace *trace, uint64_t blocks, const struct taking *taking, uint64_t writer_period)
{
	return run(replay_cache_create(trace, blocks, writer_period), trace, taking);
}

struct outcome run_cache_loaned(const struct trace *trace, uint64_t blocks, uint64_t guarantee_blocks, uint64_t writer_period)
{
	const struct taking nothing = { .period = 0 };

	return run(replay_cache_create_loaned(trace, blocks, guarantee_blocks, writer_period), trace, &nothing);
}

struct outcome run_s3fifo(const struct trace *trace, uint64_t blocks, const struct taking *taking)
{
	struct model *model = model_s3fifo(trace, blocks * PAGES_PER_BLOCK);
	const uint64_t pages = taking->blocks * PAGES_PER_BLOCK;
	struct outcome outcome = { 0 };

	for (size_t i = 0; i < trace->count; i++) {
		if (since_taking(taking, i) == 0) {
			model->take(model, pages);
			outcome.blocks += taking->blocks;
		}
		if (since_taking(taking, i) == RUN_AWAY)
			model->give(model, pages);
		outcome.misses += !model->access(model, trace->references[i].dense);
	}
	model->destroy(model);
	return outcome;
}
