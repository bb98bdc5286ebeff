#include "cost.h"

#include <stdio.h>

#include "run.h"
#include "runtime/base/types.h"

#define TAKE_PERCENT 10
#define PERIOD_FIRST 18000
#define PERIOD_LAST  22000
#define PERIOD_STEP  1000

/* Sums over the periods. */
struct cost {
	double extra, s3fifo_extra, copies, taken_copies, lost_blocks, misses, s3fifo_misses;
	unsigned runs;
};

/* Runs where nothing is taken. */
struct quiet {
	struct outcome cache;
	struct outcome s3fifo;
};

static void add_period(const struct trace *trace, uint64_t blocks, const struct taking *taking, const struct quiet *quiet,
		       struct cost *cost)
{
	const struct outcome cache = run_cache(trace, blocks, taking);
	const struct outcome s3fifo = run_s3fifo(trace, blocks, taking);
	const double times = cache.blocks > 0 ? (double)cache.blocks : 1;

	cost->extra += ((double)cache.misses - (double)quiet->cache.misses) / times;
	cost->s3fifo_extra += ((double)s3fifo.misses - (double)quiet->s3fifo.misses) / times;
	cost->copies += ((double)cache.copies - (double)quiet->cache.copies) / times;
	cost->taken_copies += (double)cache.taken_copies / times;
	cost->lost_blocks += (double)cache.lost_blocks / times;
	cost->misses += (double)cache.misses;
	cost->s3fifo_misses += (double)s3fifo.misses;
	cost->runs++;
}

static void print_way(const struct trace *trace, unsigned size_percent, uint64_t blocks, bool contiguous,
		      const struct quiet *quiet)
{
	struct taking taking = { .blocks = blocks * TAKE_PERCENT / 100, .contiguous = contiguous };
	struct cost cost = { 0 };

	for (taking.period = PERIOD_FIRST; taking.period <= PERIOD_LAST; taking.period += PERIOD_STEP)
		add_period(trace, blocks, &taking, quiet, &cost);
	printf("result: blocks trace=%s size_pct=%u run=%s extra_misses_per_block=%.1f s3fifo_extra=%.1f copies_per_block=%.1f "
	       "total_vs_s3fifo_pct=%.2f block_pages=%u taken_copies_per_block=%.1f lost_blocks_per_block=%.2f\n",
	       trace->name, size_percent, contiguous ? "contiguous" : "scattered", cost.extra / cost.runs,
	       cost.s3fifo_extra / cost.runs, cost.copies / cost.runs, 100 * (cost.misses / cost.s3fifo_misses - 1),
	       (unsigned)PAGES_PER_BLOCK, cost.taken_copies / cost.runs, cost.lost_blocks / cost.runs);
	fflush(stdout);
}

void cost_print(const struct trace *trace, unsigned size_percent, uint64_t blocks)
{
	const struct taking nothing = { .period = 0 };
	const struct quiet quiet = {
		.cache = run_cache(trace, blocks, &nothing),
		.s3fifo = run_s3fifo(trace, blocks, &nothing),
	};

	print_way(trace, size_percent, blocks, false, &quiet);
	print_way(trace, size_percent, blocks, true, &quiet);
}
