// SPDX-License-Identifier: BSD-2-Clause
/*
 * bench_NAME            all benches, one a line: how heavy it is, and its name
 * bench_NAME I          nanoseconds per operation of bench I, the best of several runs
 * bench_NAME I COUNT    runs that many operations, for counting instructions from outside
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RUN_NS 50000000ull
#define RUNS   7

/* What valgrind's counting is switched on and off by, hence a function of its own. */
__attribute__((noinline)) void bench_measured(const struct bench *bench, void *context, uint64_t operations);
void bench_measured(const struct bench *bench, void *context, uint64_t operations)
{
	bench->run(context, operations);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static uint64_t run_ns(const struct bench *bench, void *context, uint64_t operations)
{
	const uint64_t start = now_ns();

	bench_measured(bench, context, operations);
	return now_ns() - start;
}

static double best_ns_per_operation(const struct bench *bench, void *context)
{
	uint64_t operations = 64;
	uint64_t best = UINT64_MAX;

	while (run_ns(bench, context, operations) < RUN_NS / 2)
		operations *= 2;
	for (unsigned i = 0; i < RUNS; i++) {
		const uint64_t ns = run_ns(bench, context, operations);

		if (ns < best)
			best = ns;
	}
	return (double)best / (double)operations;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		for (const struct bench *bench = benches; bench->name; bench++)
			printf("%u %s\n", bench->heavy ? bench->heavy : 1, bench->name);
		return EXIT_SUCCESS;
	}

	const struct bench *bench = &benches[strtoul(argv[1], NULL, 10)];
	void *context = bench->setup ? bench->setup() : NULL;

	if (argc > 2)
		bench_measured(bench, context, strtoull(argv[2], NULL, 10));
	else if (bench->once)
		printf("-\n");
	else
		printf("%.1f\n", best_ns_per_operation(bench, context));
	if (bench->teardown)
		bench->teardown(context);
	return EXIT_SUCCESS;
}
