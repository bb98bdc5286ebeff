// SPDX-License-Identifier: BSD-2-Clause
/*
 * A capture loop: the same DMA memory taken out of a full cache again and again, beside the loads
 * of a testbed; filled by the digitizer, past the cache; verified; and given back, until the cache
 * is full again.
 *
 *	capture_loop_init -> capture_loop_run -> figures in the struct, capture_loop_format -> capture_loop_fini
 */
#pragma once

#include "buffers.h"
#include "testbed.h"

struct capture_loop {
	struct testbed *testbed;
	const char *what; /* "4 MB pieces", for the lines of each loop */
	struct buffers buffers;
	struct reclaim_totals totals;
	uint64_t loops, done;
	uint64_t *us; /* of each loop that was done, from the first request to the last buffer; sorted when all have run */
	uint64_t p50_us, max_us;
	uint64_t failures;
	uint64_t zero_us;                   /* to zero as much, the fastest way */
	char slowest[RECLAIM_GIVERS_BYTES]; /* which cleaners gave in the slowest loop */
};

/*
 * `loops` times `count` buffers each, which keep `device`'s limits; together no longer than the
 * digitizer. STATUS_NO_MEMORY: none for the lists; a message was printed.
 */
status_t capture_loop_init(struct capture_loop *loop, struct testbed *testbed, const char *what, const struct device *device,
			   const struct dma_request *request, uint64_t count, uint64_t loops) MUST_CHECK;

/* Failures and totals are added to the testbed's. */
void capture_loop_run(struct capture_loop *loop);
void capture_loop_fini(struct capture_loop *loop);

/* "alloc_us_p50=... slowest="..."", after the run; returns `buffer`. */
#define CAPTURE_LOOP_TEXT_BYTES 320
const char *capture_loop_format(char buffer[CAPTURE_LOOP_TEXT_BYTES], const struct capture_loop *loop);
