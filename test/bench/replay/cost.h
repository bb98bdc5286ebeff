// SPDX-License-Identifier: BSD-2-Clause
/*
 * What it costs to take blocks from the cache: every 20,000 references a tenth of the blocks is
 * taken, stays away for 5,000, and comes back empty. The extra misses are those beyond a run where
 * nothing is taken, for each block; means over periods of 18,000 to 22,000, each with another pace
 * of the background writer; extra_min and extra_max are the extremes of these.
 *
 * copies_per_block is such a difference, too, and may be negative: a cache that is short of blocks
 * copies less in passing. taken_copies_per_block is what was copied to empty blocks, and
 * lost_blocks_per_block how many left the page cache for each one obtained: fewer when some were
 * free, more when a run needed others than those.
 */
#pragma once

#include "trace.h"

/*
 * Of a cache of so many blocks, at least 10: prints a line for single blocks and one for a run of
 * them.
 */
void cost_print(const struct trace *trace, unsigned size_percent, uint64_t blocks);
