// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rounds: the same DMA memory taken out of a full cache again and again, beside the loads of a trial; filled by the digitizer,
 * past the cache; verified; and given back, until the cache is full again.
 *
 *	rounds_init -> rounds_run -> figures in the struct, rounds_format -> rounds_fini
 */
#pragma once

#include "buffers.h"
#include "trial.h"

struct rounds {
	struct trial *trial;
	const char *what; /* "4 MB pieces", for the lines of each loop */
	struct buffers buffers;
	struct books books;
	uint64_t loops, done;
	uint64_t *us; /* of each loop that was done, from the first request to the last buffer; sorted when all have run */
	uint64_t p50_us, max_us;
	uint64_t failures;
	uint64_t zero_us;                   /* to zero as much, the fastest way */
	char slowest[BALANCE_GIVERS_BYTES]; /* which cleaners gave in the slowest loop */
};

/*
 * `loops` rounds of `count` buffers each, which keep `device`'s limits; together no longer than the digitizer.
 * STATUS_NO_MEMORY: none for the lists; a message was printed.
 */
status_t rounds_init(struct rounds *rounds, struct trial *trial, const char *what, const struct device *device,
		     const struct dma_request *request, uint64_t count, uint64_t loops) MUST_CHECK;

/* Failures and books are added to the trial's. */
void rounds_run(struct rounds *rounds);
void rounds_fini(struct rounds *rounds);

/* "alloc_us_p50=... slowest="..."", after the run; returns `buffer`. */
#define ROUNDS_TEXT_BYTES 320
const char *rounds_format(char buffer[ROUNDS_TEXT_BYTES], const struct rounds *rounds);
