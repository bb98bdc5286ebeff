/*
 * What it costs to take blocks from the cache: every 20,000 references a tenth of the blocks is taken, stays away for 5,000,
 * and comes back empty. The extra misses are those beyond a run where nothing is taken, for each block; means over periods of
 * 18,000 to 22,000.
 */
#pragma once

#include "trace.h"

/* Of a cache of so many blocks, at least 10: prints a line for single blocks and one for a run of them. */
void cost_print(const struct trace *trace, unsigned size_percent, uint64_t blocks);
