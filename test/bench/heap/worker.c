// SPDX-License-Identifier: BSD-2-Clause
/*
 *	heap_SUBJECT                      names of the workloads, one a line, and behind each "counted",
 *	                                  or "timed" if only its time varies
 *	heap_SUBJECT NAME time [SLICES]   measures and prints figures, one a line: a key and a value
 *	heap_SUBJECT NAME count           runs a counted workload once, for counting instructions from
 *	                                  outside, and prints the calls
 *
 * A process measures one workload, so that none finds what another one has left in the heap.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "subject.h"
#include "workload.h"

#define CALLS 2 /* in an operation */

static const struct workload *const all_workloads[] = { single_workloads, thread_workloads, memory_workloads };

/* What valgrind's counting is switched on and off by, hence a function of its own. */
__attribute__((noinline)) void bench_measured(const struct workload *workload, uint64_t operations);
void bench_measured(const struct workload *workload, uint64_t operations)
{
	workload->run(operations);
}

static void count(const struct workload *workload)
{
	workload->run(workload->counted);
	bench_measured(workload, workload->counted);
	printf("calls %lu\n", (unsigned long)workload->counted * CALLS);
}

static void time_slices(const struct workload *workload, unsigned slices)
{
	workload->run(workload->operations);
	for (unsigned i = 0; i < slices; i++) {
		const uint64_t start = cpu_ns();

		workload->run(workload->operations);
		figure_print("ns", (double)(cpu_ns() - start) / (double)workload->operations / CALLS);
	}
}

static void workloads_print(void)
{
	for (unsigned i = 0; i < sizeof(all_workloads) / sizeof(all_workloads[0]); i++)
		for (const struct workload *workload = all_workloads[i]; workload->name; workload++)
			printf("%s%s\n", workload->name, workload->run ? " counted" : workload->timed ? " timed" : "");
}

static const struct workload *workload_find(const char *name)
{
	for (unsigned i = 0; i < sizeof(all_workloads) / sizeof(all_workloads[0]); i++)
		for (const struct workload *workload = all_workloads[i]; workload->name; workload++)
			if (strcmp(workload->name, name) == 0)
				return workload;
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		workloads_print();
		return EXIT_SUCCESS;
	}

	const struct workload *workload = workload_find(argv[1]);
	const unsigned slices = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 4;
	if (!workload) {
		fprintf(stderr, "%s: no workload is called %s\n", argv[0], argv[1]);
		return EXIT_FAILURE;
	}
	if (!workload->starts_subject)
		subject_init();
	if (workload->prepare)
		workload->prepare();
	if (strcmp(argv[2], "count") == 0)
		count(workload);
	else if (workload->run)
		time_slices(workload, slices);
	else
		workload->study(slices);
	return EXIT_SUCCESS;
}
