// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine that `make bench-holds` looks at: 1 TB of memory with a hole below 4 GB as PCs have
 * it, a guarantee of an eighth of that, 64 CPUs whose magazines and depots are full, 16 GB of
 * cached pages of 100 volumes. It does everything that takes locks, in each of the situations, and
 * prints for how many instructions at most each place has held its lock, preemption, or interrupts.
 *
 * One thread plays all CPUs. Instructions are counted by the program itself: count.awk adds up
 * those of each basic block in r15. The C library's copying, filling and comparing count as one
 * instruction for 8 bytes, and what the host's platform does itself as none. Memory is there only
 * where it is written to, so what is cached is all the same page of zeros.
 */
#pragma once

#include "heap/memory.h"
#include "pagecache/volume.h"

#define CPUS       64
#define VOLUMES    100
#define CACHE_GB   16
#define MEMORY_GB  1024
#define TABLES_GB  8 /* that the page cache takes for its own */
#define TEXT_BYTES 8192

struct bench_machine {
	struct memory memory;
	struct pagecache pagecache;
	struct command_table commands;
	struct volume *volumes[VOLUMES];
	struct owner fixed, movable;
	char text[TEXT_BYTES]; /* what is printed goes here */
};

/* The program cannot go on. */
void must(bool condition, const char *what);

/* What runs next, runs on this CPU. */
void cpu_be(unsigned cpu);

/* Runs each command that needs no argument, and those with some. */
void commands_run(struct bench_machine *machine);

/* Blocks, runs, windows and reports, in memory that is full of holes. */
void blocks_look_at(struct bench_machine *machine);

/* Objects of all sizes, on all CPUs; drivers' memory; DMA buffers; and what drains make of them. */
void heaps_look_at(struct bench_machine *machine);

/*
 * Volumes and cached pages, with little memory left beside them; and requests that take them away.
 */
void cache_look_at(struct bench_machine *machine);
