// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host platform: platform.h on threads of this process, for tests and benches. Every thread
 * that calls into it becomes a CPU of its own, until it ends.
 *
 *	struct host_arena *arena = host_arena_create(4 * GIB, 256 * MIB);
 *	struct phys_range range = host_arena_range(arena);
 *	... heaps on that range; platform_phys and platform_virt know it ...
 *	host_arena_destroy(arena);
 */
#pragma once

#include "runtime/base/platform.h"
#include "runtime/base/types.h"

/*
 * Simulated physical memory: shared, zeroed, and only backed where it is touched. Arenas do not
 * overlap; at most 8 at once.
 */
struct host_arena;
struct host_arena *host_arena_create(uint64_t start, uint64_t bytes);
struct phys_range host_arena_range(const struct host_arena *arena);
void host_arena_destroy(struct host_arena *arena);

/* Whether platform_map has no room from now on. */
void host_map_refuse(bool refuse);

/*
 * Highest number of threads at once, which is platform_cpu_count(). Default 16. Before the first
 * heap.
 */
void host_cpus_set(unsigned count);

enum host_clock {
	HOST_CLOCK_REAL,
	HOST_CLOCK_MANUAL,   /* stands still but for host_clock_turn */
	HOST_CLOCK_SKIPPING, /* like manual; a wait with a deadline that is not ended within 1 ms turns it to the deadline */
	HOST_CLOCK_TICKING,  /* like manual; each look at it turns it by a nanosecond */
	HOST_CLOCK_ALONE,    /* there is one thread: a wait turns it to the deadline at once, and one without panics */
};
void host_clock_set(enum host_clock mode); /* a manual clock starts where the real one stood */
void host_clock_turn(uint64_t ns);

/*
 * The calling thread's priority, at first 0, and with what was lent to it. Threads run as the host
 * likes, whatever it is.
 */
void host_priority_set(unsigned priority);
unsigned host_priority(void);

/*
 * For HOST_CLOCK_ALONE: a wait first runs `idle`, which may turn the clock up to the deadline and
 * do what others would do meanwhile. True: it did something, and the waiter looks again. NULL:
 * nothing.
 */
void host_clock_idle(bool (*idle)(uint64_t deadline_ns));

/* Seeds platform_random of the calling thread. */
void host_random_seed(uint64_t seed);

/*
 * Lines below `level` are dropped; default LOG_WARN. While a buffer is set, log and print go there,
 * cut at its end.
 */
void host_log_level(enum log_level level);
void host_output_capture(char *buffer, size_t size); /* NULL: to stderr and stdout again */

/*
 * Runs `run(context)` in a child process and returns true if it ended in a panic, with its text in
 * `message`. Changes to the content of arenas stay, everything else is as before.
 */
bool host_panics(void (*run)(void *context), void *context, char *message, size_t size);

/*
 * The calling thread goes on as another CPU, which has no thread, as a task that has moved there.
 */
void host_cpu_change(unsigned cpu);

/* Calls `run` as an interrupt handler that has interrupted the calling thread does. */
void host_handler_run(void (*run)(void *context), void *context);

/*
 * Runs `run(context, i)` for i from 0 to count - 1 in threads of their own, at once, and waits for
 * all.
 */
void host_threads_run(unsigned count, void (*run)(void *context, unsigned index), void *context);

/* Says what the host refused, and aborts the test. */
void host_fail(const char *what);

/*
 * Calls `hook` in each thread that has interrupts on again and holds no spinlock: where a section
 * ends that handlers may enter, too. NULL: none.
 */
void host_step_hook(void (*hook)(void));

/* Yields until `*stage` is `wanted`: for threads that do something in turns. */
void host_wait_for(const _Atomic int *stage, int wanted);
