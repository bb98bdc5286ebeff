// SPDX-License-Identifier: BSD-2-Clause
/*
 * A bench program: a file that defines `benches`, linked with bench.c. `make bench` prints
 * nanoseconds and instructions per operation of each bench, the latter counted by valgrind, so that
 * small changes show on a busy machine, too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct bench {
	const char *name; /* "objcache alloc and free, 64 bytes" */
	/* Not measured; may be NULL. Returns what run and teardown get. */
	void *(*setup)(void);
	/* Does the operation so many times. Nothing else is measured. */
	void (*run)(void *context, uint64_t operations);
	void (*teardown)(void *context); /* may be NULL */
	bool once;      /* uses up what setup has made: only the instructions of a few thousand operations are counted */
	unsigned heavy; /* so many times fewer operations are done to count instructions; 0: as many as for the others */
};

/* Ends with an entry without a name. */
extern const struct bench benches[];

/* Keeps the compiler from dropping what computes `value`. */
static inline void bench_use(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}
