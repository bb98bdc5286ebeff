// SPDX-License-Identifier: BSD-2-Clause
#include "cost.h"

#include <stdio.h>

#include "run.h"
#include "runtime/base/types.h"

#define TAKE_PERCENT 10

/*
 * By how much the background writer lags decides where dirty pages lie when blocks are taken, and
 * which windows are cheap: so it varies, too.
 */
static const struct schedule {
	size_t period;
	uint64_t writer_period;
} schedules[] = { { 18000, 32 }, { 19000, 8 }, { 20000, 16 }, { 21000, 128 }, { 22000, 64 } };

/* Sums over the schedules. */
struct cost {
	double extra, extra_min, extra_max, s3fifo_extra, copies, taken_copies, lost_blocks, misses, s3fifo_misses;
};

/*
 * Runs of one schedule where nothing is taken, and the one of S3-FIFO, which knows no contiguous
 * memory.
 */
struct yardstick {
	struct outcome quiet;
	struct outcome s3fifo_quiet;
	struct outcome s3fifo;
};

static double difference(uint64_t with, uint64_t without)
{
	return (double)with - (double)without;
}

static void add_schedule(const struct outcome *cache, const struct yardstick *yardstick, struct cost *cost)
{
	const double times = cache->blocks > 0 ? (double)cache->blocks : 1;
	const double extra = difference(cache->misses, yardstick->quiet.misses) / times;

	cost->extra += extra;
	cost->extra_min = MIN(cost->extra_min, extra);
	cost->extra_max = MAX(cost->extra_max, extra);
	cost->s3fifo_extra += difference(yardstick->s3fifo.misses, yardstick->s3fifo_quiet.misses) / times;
	cost->copies += difference(cache->copies, yardstick->quiet.copies) / times;
	cost->taken_copies += (double)cache->taken_copies / times;
	cost->lost_blocks += (double)cache->lost_blocks / times;
	cost->misses += (double)cache->misses;
	cost->s3fifo_misses += (double)yardstick->s3fifo.misses;
}

static void print_way(const struct trace *trace, unsigned size_percent, uint64_t blocks, bool contiguous,
		      const struct yardstick *yardsticks)
{
	const size_t runs = ARRAY_LENGTH(schedules);
	struct cost cost = { .extra_min = 1e9, .extra_max = -1e9 };

	for (size_t i = 0; i < ARRAY_LENGTH(schedules); i++) {
		const struct taking taking = {
			.blocks = blocks * TAKE_PERCENT / 100,
			.contiguous = contiguous,
			.period = schedules[i].period,
		};
		const struct outcome cache = run_cache(trace, blocks, &taking, schedules[i].writer_period);

		add_schedule(&cache, &yardsticks[i], &cost);
	}
	printf("result: blocks trace=%s size_pct=%u run=%s extra_misses_per_block=%.1f s3fifo_extra=%.1f copies_per_block=%.1f "
	       "total_vs_s3fifo_pct=%.2f block_pages=%u taken_copies_per_block=%.1f lost_blocks_per_block=%.2f extra_min=%.1f "
	       "extra_max=%.1f\n",
	       trace->name, size_percent, contiguous ? "contiguous" : "scattered", cost.extra / runs, cost.s3fifo_extra / runs,
	       cost.copies / runs, 100 * (cost.misses / cost.s3fifo_misses - 1), (unsigned)PAGES_PER_BLOCK,
	       cost.taken_copies / runs, cost.lost_blocks / runs, cost.extra_min, cost.extra_max);
	fflush(stdout);
}

void cost_print(const struct trace *trace, unsigned size_percent, uint64_t blocks)
{
	const struct taking nothing = { .period = 0 };
	const struct outcome s3fifo_quiet = run_s3fifo(trace, blocks, &nothing);
	struct yardstick yardsticks[ARRAY_LENGTH(schedules)];

	for (size_t i = 0; i < ARRAY_LENGTH(schedules); i++) {
		const struct taking taking = { .blocks = blocks * TAKE_PERCENT / 100, .period = schedules[i].period };

		yardsticks[i] = (struct yardstick){
			.quiet = run_cache(trace, blocks, &nothing, schedules[i].writer_period),
			.s3fifo_quiet = s3fifo_quiet,
			.s3fifo = run_s3fifo(trace, blocks, &taking),
		};
	}
	print_way(trace, size_percent, blocks, false, yardsticks);
	print_way(trace, size_percent, blocks, true, yardsticks);
}
