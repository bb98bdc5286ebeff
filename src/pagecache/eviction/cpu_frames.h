// SPDX-License-Identifier: BSD-2-Clause
/*
 * Per-CPU frames: frames that a CPU has taken from a volume's cursor and not used yet. A miss takes
 * several frames at once under the lock of the page heap, uses the first, and leaves the others
 * here for the next misses on this CPU, which need no lock then. No other CPU sees these frames, so
 * they have to be given back when memory is needed:
 *
 * 1. A frame in here is TAKEN, so its block cannot be given away. A block that a drain has isolated
 *    has none: a drain raises volume->eviction.cleaning first and then empties the frames of all
 *    CPUs. A CPU puts its frames in first and then looks at `cleaning`, and takes them out again.
 *    So either the drain sees the frames, or the CPU sees the drain.
 * 2. A place changes hands by one atomic exchange, from any CPU. So emptying needs neither
 *    interrupts nor the help of other CPUs, and the fast path no lock: it costs an exchange in its
 *    own cache line.
 * 3. A cleaner of the lowest cost empties the places as well, before reclaim asks for anything that
 *    is cached.
 *
 * Only frames of probation are kept here; main's are taken one by one, when pages are moved.
 */
#pragma once

#include "ghost.h"
#include "runtime/base/atomic.h"

#define CPU_FRAMES_MAX  8  /* at most; a cache line of them */
#define CPU_FRAMES_SETS 64 /* of a volume; beyond so many CPUs two share one */

struct cleaner;
struct page;
struct reclaim_target;
struct volume;

struct cpu_frames {
	struct page *_Atomic frames[CPU_FRAMES_MAX];
} __attribute__((aligned(64)));

/*
 * For the volume's first cleaner, see cleaner.h. It gives the frames back to the page heap; the
 * cleaners behind it then give their blocks.
 */
uint64_t cpu_frames_clean(struct cleaner *self, const struct reclaim_target *target);

/* Takes a frame of this queue, TAKEN then, as page_heap_take. Any task context. */
struct page *cpu_frames_take(struct volume *volume, enum queue queue);

/* Gives the frames of all CPUs back to the page heap; returns how many. Any task context. */
unsigned cpu_frames_empty(struct volume *volume);
