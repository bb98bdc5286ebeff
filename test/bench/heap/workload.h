// SPDX-License-Identifier: BSD-2-Clause
/*
 * Workloads. Those that are counted call the allocator from one thread; an operation is one object
 * allocated and freed, two calls. The others print figures of their own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REPLACE_BYTES_MIN 16
#define REPLACE_BYTES_MAX 1024

struct workload {
	const char *name;
	/*
	 * Counted ones. `operations` is what is timed at once, `counted` what is counted under
	 * valgrind, after as many before.
	 */
	void (*prepare)(void); /* may be NULL */
	void (*run)(uint64_t operations);
	uint64_t operations, counted;
	/* The others; `slices` times what takes about as long as `operations` of a counted one. */
	void (*study)(unsigned slices);
	bool timed;          /* measures time, so once is not enough */
	bool starts_subject; /* calls subject_init itself */
};

/* pair, lifo, fifo, random, replace, objects_4k; ends with an entry without a name. */
extern const struct workload single_workloads[];

/* producer_consumer, two_threads. */
extern const struct workload thread_workloads[];

/* blocks_4k, blocks_mixed, overhead_100k, overhead_1m. */
extern const struct workload memory_workloads[];
