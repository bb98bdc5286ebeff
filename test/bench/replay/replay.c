/*
 * replay TRACE [PERCENT...]: replays a trace of page references through the page cache and through reference models, with
 * caches of so many percent of the trace's pages (1 5 10 20 40), and prints one line each; then, where 20 is among them, what
 * it costs to take blocks from the cache, singly and in one run.
 *
 * Built twice, see test/test.mk: with blocks of 512 pages, for caches of at least 64 of these, and for the cost of taking
 * blocks at any size; and with blocks of 16 pages, for smaller caches.
 *
 * The cost of taking blocks: every 20,000 references a tenth of the blocks is taken, stays away for 5,000, and comes back
 * empty. The extra misses are those beyond a run where nothing is taken, for each block; means over periods of 18,000 to
 * 22,000. From S3-FIFO as many pages are taken, wherever they lie.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "replay_cache.h"

#define LARGE_BLOCK_PAGES  512
#define LARGE_BLOCKS_MIN   64
#define BLOCKS_MIN         4
#define HOLES_PERIOD       10000
#define TAKE_PERCENT       10
#define TAKE_CACHE_PERCENT 20
#define AWAY               5000
#define PERIOD_FIRST       18000
#define PERIOD_LAST        22000
#define PERIOD_STEP        1000

struct outcome {
	uint64_t misses;
	uint64_t copies;
	uint64_t blocks; /* taken in all */
	double holes;    /* mean over the second half */
};

/* What is taken, and when. */
struct taking {
	uint64_t blocks; /* at a time; 0: nothing is taken */
	bool contiguous;
	size_t period;
};

static bool takes_at(const struct taking *taking, size_t i)
{
	return taking->blocks > 0 && i >= taking->period && i % taking->period == 0;
}

static bool gives_at(const struct taking *taking, size_t i)
{
	return taking->blocks > 0 && i >= taking->period && i % taking->period == AWAY;
}

static struct outcome run_cache(const struct trace *trace, uint64_t blocks, const struct taking *taking)
{
	struct replay_cache *cache = replay_cache_create(trace, blocks);
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
	outcome.misses = replay_cache_misses(cache);
	outcome.copies = replay_cache_copies(cache);
	outcome.holes /= samples > 0 ? samples : 1;
	replay_cache_destroy(cache);
	return outcome;
}

static struct outcome run_s3fifo(const struct trace *trace, uint64_t blocks, const struct taking *taking)
{
	struct model *model = model_s3fifo(trace, blocks * PAGES_PER_BLOCK);
	struct outcome outcome = { 0 };

	for (size_t i = 0; i < trace->count; i++) {
		if (takes_at(taking, i)) {
			model->resize(model, (blocks - taking->blocks) * PAGES_PER_BLOCK);
			outcome.blocks += taking->blocks;
		}
		if (gives_at(taking, i))
			model->resize(model, blocks * PAGES_PER_BLOCK);
		outcome.misses += !model->access(model, trace->references[i].dense);
	}
	model->destroy(model);
	return outcome;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static void print_cell(const struct trace *trace, unsigned size, uint64_t blocks)
{
	static struct model *(*const models[])(const struct trace *, uint64_t) = { model_lru, model_arc, model_s3fifo,
										   model_belady };
	const struct outcome outcome = run_cache(trace, blocks, &(struct taking){ 0 });

	printf("result: replay trace=%s size_pct=%u miss=%.2f", trace->name, size, percent(outcome.misses, trace->count));
	for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
		struct model *model = models[i](trace, blocks * PAGES_PER_BLOCK);
		const char *name = model->name;

		printf(" %s=%.2f", name, percent(model_misses(model, trace), trace->count));
	}
	printf(" copies_per_100=%.2f holes_pct=%.3f block_pages=%u\n", percent(outcome.copies, outcome.misses),
	       100 * outcome.holes, (unsigned)PAGES_PER_BLOCK);
	fflush(stdout);
}

/* Sums over the periods. */
struct cost {
	double extra, s3fifo_extra, copies, misses, s3fifo_misses;
	unsigned runs;
};

static void add_period(const struct trace *trace, uint64_t blocks, const struct taking *taking, const struct outcome *quiet,
		       const struct outcome *s3fifo_quiet, struct cost *cost)
{
	const struct outcome taken = run_cache(trace, blocks, taking);
	const struct outcome s3fifo = run_s3fifo(trace, blocks, taking);
	const double times = taken.blocks > 0 ? (double)taken.blocks : 1;

	cost->extra += ((double)taken.misses - (double)quiet->misses) / times;
	cost->s3fifo_extra += ((double)s3fifo.misses - (double)s3fifo_quiet->misses) / times;
	cost->copies += ((double)taken.copies - (double)quiet->copies) / times;
	cost->misses += (double)taken.misses;
	cost->s3fifo_misses += (double)s3fifo.misses;
	cost->runs++;
}

static void print_cost(const struct trace *trace, uint64_t blocks, bool contiguous)
{
	const struct outcome quiet = run_cache(trace, blocks, &(struct taking){ 0 });
	const struct outcome s3fifo_quiet = run_s3fifo(trace, blocks, &(struct taking){ 0 });
	struct taking taking = { .blocks = blocks * TAKE_PERCENT / 100, .contiguous = contiguous };
	struct cost cost = { 0 };

	for (taking.period = PERIOD_FIRST; taking.period <= PERIOD_LAST; taking.period += PERIOD_STEP)
		add_period(trace, blocks, &taking, &quiet, &s3fifo_quiet, &cost);
	printf("result: blocks trace=%s size_pct=%d run=%s extra_misses_per_block=%.1f s3fifo_extra=%.1f copies_per_block=%.1f "
	       "total_vs_s3fifo_pct=%.2f\n",
	       trace->name, TAKE_CACHE_PERCENT, contiguous ? "contiguous" : "scattered", cost.extra / cost.runs,
	       cost.s3fifo_extra / cost.runs, cost.copies / cost.runs, 100 * (cost.misses / cost.s3fifo_misses - 1));
	fflush(stdout);
}

static bool is_large(const struct trace *trace, unsigned size)
{
	return (uint64_t)trace->unique * size / 100 >= (uint64_t)LARGE_BLOCKS_MIN * LARGE_BLOCK_PAGES;
}

static void replay(const struct trace *trace, unsigned size)
{
	const bool large = PAGES_PER_BLOCK == LARGE_BLOCK_PAGES;
	const uint64_t blocks = (uint64_t)trace->unique * size / 100 / PAGES_PER_BLOCK;

	if (is_large(trace, size) == large && blocks >= BLOCKS_MIN)
		print_cell(trace, size, blocks);
	else if (!large && blocks < BLOCKS_MIN)
		fprintf(stderr, "replay: %s has too few pages for a cache of %u%%\n", trace->name, size);
	if (large && size == TAKE_CACHE_PERCENT && blocks * TAKE_PERCENT / 100 > 0) {
		print_cost(trace, blocks, false);
		print_cost(trace, blocks, true);
	}
}

int main(int argc, char **argv)
{
	static const char *const all[] = { "1", "5", "10", "20", "40" };
	const char *const *sizes = argc > 2 ? (const char *const *)argv + 2 : all;
	const int count = argc > 2 ? argc - 2 : (int)(sizeof(all) / sizeof(all[0]));
	struct trace trace;
	char error[256];

	if (argc < 2) {
		fprintf(stderr, "usage: replay TRACE [PERCENT...]\n");
		return EXIT_FAILURE;
	}
	if (!trace_read(&trace, argv[1], error, sizeof(error))) {
		fprintf(stderr, "replay: %s\n", error);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < count; i++) {
		const unsigned long size = strtoul(sizes[i], NULL, 10);

		if (size < 1 || size > 100) {
			fprintf(stderr, "replay: a cache of %s%% of the pages is not 1 to 100\n", sizes[i]);
			return EXIT_FAILURE;
		}
		replay(&trace, (unsigned)size);
	}
	trace_free(&trace);
	return EXIT_SUCCESS;
}
