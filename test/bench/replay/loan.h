// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a guarantee of DMA memory costs a cache, and what loans save of that. Misses in percent:
 * `none` of a cache that has all of its blocks, `idle` of one without those of the guarantee,
 * `lent` of one that has loaned them. `bound` is idle - none: what these blocks are worth in the
 * hands of the cache. `saved` is idle - lent.
 */
#pragma once

#include "trace.h"

/*
 * Of a cache of so many blocks, of which 1/part are the guarantee, rounded to pieces: prints a
 * line, or says that these are too few to loan.
 */
void loan_print(const struct trace *trace, unsigned size_percent, uint64_t blocks, unsigned part);
