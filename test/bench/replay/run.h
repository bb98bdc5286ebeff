// SPDX-License-Identifier: BSD-2-Clause
/*
 * One run of a trace through the page cache, or through S3-FIFO, while blocks are taken from it or
 * not.
 */
#pragma once

#include "trace.h"

/* What is taken, and when: at each multiple of the period, for RUN_AWAY references. */
struct taking {
	uint64_t blocks; /* at a time */
	bool contiguous;
	size_t period; /* more than RUN_AWAY; 0: nothing is taken */
};

#define RUN_AWAY          5000
#define RUN_WRITER_PERIOD 16 /* the usual one: references between two rounds of the background writer */

struct outcome {
	uint64_t misses;
	uint64_t copies;
	uint64_t blocks;       /* taken in all */
	uint64_t lost_blocks;  /* that left the page cache for it: fewer when some were free, more when a run needed others */
	uint64_t taken_copies; /* of the copies, those by which blocks were emptied */
	double holes;          /* share of the frames without a page, mean over the second half */
};

/* `blocks` is the size of the cache, which is empty at first. */
struct outcome run_cache(const struct trace *trace, uint64_t blocks, const struct taking *taking, uint64_t writer_period);

/*
 * The same, nothing is taken, and so many of the blocks are a guarantee that the cache loans
 * (replay_cache_create_loaned).
 */
struct outcome run_cache_loaned(const struct trace *trace, uint64_t blocks, uint64_t guarantee_blocks, uint64_t writer_period);

/* The same with S3-FIFO by pages: it gives as many pages, wherever they lie. */
struct outcome run_s3fifo(const struct trace *trace, uint64_t blocks, const struct taking *taking);
