#include "run.h"

#include "model.h"
#include "replay_cache.h"

#define HOLES_PERIOD 10000 /* references between two looks at the holes */

static bool takes_at(const struct taking *taking, size_t i)
{
	return taking->blocks > 0 && i >= taking->period && i % taking->period == 0;
}

static bool gives_at(const struct taking *taking, size_t i)
{
	return taking->blocks > 0 && i >= taking->period && i % taking->period == RUN_AWAY;
}

struct outcome run_cache(const struct trace *trace, uint64_t blocks, const struct taking *taking)
{
	struct replay_cache *cache = replay_cache_create(trace, blocks);
	struct pagecache_statistics statistics;
	struct outcome outcome = { 0 };
	unsigned samples = 0;

	for (size_t i = 0; i < trace->count; i++) {
		if (takes_at(taking, i))
			outcome.blocks += replay_cache_take(cache, taking->blocks, taking->contiguous);
		if (gives_at(taking, i))
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

struct outcome run_s3fifo(const struct trace *trace, uint64_t blocks, const struct taking *taking)
{
	struct model *model = model_s3fifo(trace, blocks * PAGES_PER_BLOCK);
	const uint64_t pages = taking->blocks * PAGES_PER_BLOCK;
	struct outcome outcome = { 0 };
	bool away = false;

	for (size_t i = 0; i < trace->count; i++) {
		if (takes_at(taking, i)) {
			model->take(model, pages);
			outcome.blocks += taking->blocks;
			away = true;
		}
		if (away && gives_at(taking, i)) {
			model->give(model, pages);
			away = false;
		}
		outcome.misses += !model->access(model, trace->references[i].dense);
	}
	model->destroy(model);
	return outcome;
}
