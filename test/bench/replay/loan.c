// SPDX-License-Identifier: BSD-2-Clause
#include "loan.h"

#include <stdio.h>

#include "replay_cache.h"
#include "run.h"
#include "runtime/base/bits.h"
#include "runtime/base/types.h"

static double miss_percent(const struct outcome *outcome, const struct trace *trace)
{
	return 100.0 * (double)outcome->misses / (double)trace->count;
}

static double copies_per_100(const struct outcome *outcome)
{
	return outcome->misses == 0 ? 0 : 100.0 * (double)outcome->copies / (double)outcome->misses;
}

/*
 * A cache loans a piece only where it keeps blocks of its own: it needs more than a piece beside
 * the guarantee.
 */
static bool can_loan(const struct trace *trace, unsigned size_percent, uint64_t blocks, uint64_t guarantee_blocks)
{
	const uint64_t own = blocks - guarantee_blocks;

	if (blocks > guarantee_blocks && own > REPLAY_PIECE_BLOCKS)
		return true;
	fprintf(stderr,
		"replay: %s has too few pages for a cache of %u%% that loans: a guarantee of %llu of its %llu blocks has to "
		"leave more than %llu; choose a larger size\n",
		trace->name, size_percent, (unsigned long long)guarantee_blocks, (unsigned long long)blocks,
		(unsigned long long)REPLAY_PIECE_BLOCKS);
	return false;
}

void loan_print(const struct trace *trace, unsigned size_percent, uint64_t blocks, unsigned part)
{
	const struct taking nothing = { .period = 0 };
	const uint64_t pieces = MAX((blocks + part * REPLAY_PIECE_BLOCKS / 2) / (part * REPLAY_PIECE_BLOCKS), 1u);
	const uint64_t guarantee_blocks = pieces * REPLAY_PIECE_BLOCKS;

	if (!can_loan(trace, size_percent, blocks, guarantee_blocks))
		return;

	const struct outcome none = run_cache(trace, blocks, &nothing, RUN_WRITER_PERIOD);
	const struct outcome idle = run_cache(trace, blocks - guarantee_blocks, &nothing, RUN_WRITER_PERIOD);
	const struct outcome loaned = run_cache_loaned(trace, blocks, guarantee_blocks, RUN_WRITER_PERIOD);
	const double none_percent = miss_percent(&none, trace);
	const double idle_percent = miss_percent(&idle, trace);
	const double loaned_percent = miss_percent(&loaned, trace);

	printf("result: loan trace=%s size_pct=%u part=%u blocks=%llu guarantee_blocks=%llu none=%.2f idle=%.2f lent=%.2f "
	       "bound=%.2f saved=%.2f copies_per_100=%.2f/%.2f/%.2f block_pages=%u\n",
	       trace->name, size_percent, part, (unsigned long long)blocks, (unsigned long long)guarantee_blocks, none_percent,
	       idle_percent, loaned_percent, idle_percent - none_percent, idle_percent - loaned_percent, copies_per_100(&none),
	       copies_per_100(&idle), copies_per_100(&loaned), (unsigned)PAGES_PER_BLOCK);
	fflush(stdout);
}
