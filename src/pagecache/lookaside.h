/*
 * Lookasides: frames that a CPU has taken from a volume's cursor and not used yet. A miss takes several frames under the lock
 * of the page heap at once, uses the first, and leaves the others here for the misses that follow on this CPU, which then need
 * no lock. They hold frames that nobody else sees, so they have to be emptied when memory is to be found:
 *
 * 1. A frame in here is TAKEN: its block cannot be given away. What a drain fences has none: drains raise volume->cleaning
 * first and empty the lookasides of all CPUs then; who fills one puts the frames in first and looks at `cleaning` then, and
 * takes them out again. So either the drain sees the frames, or their owner sees the drain.
 * 2. A slot changes hands by one atomic exchange, whoever does it. So emptying needs neither interrupts nor the other CPUs'
 * help, and the fast path no lock: it costs an exchange in its own cache line.
 * 3. A cleaner of the lowest cost empties them as well, before anybody is asked to give anything that is cached.
 *
 * Only frames of probation are kept; main's are taken one by one, when pages are moved.
 */
#pragma once

#include "ghost.h"
#include "runtime/base/atomic.h"

#define LOOKASIDE_FRAMES 8 /* at most; a cache line of them */

struct page;
struct volume;

struct lookaside {
	struct page *_Atomic frames[LOOKASIDE_FRAMES];
} __attribute__((aligned(64)));

/* Fills in the volume's cleaner. */
void lookaside_init(struct volume *volume);

/* A frame of this lane, TAKEN, as page_heap_take. Any task context. */
struct page *lookaside_take(struct volume *volume, enum lane lane);

/* Gives the frames of all CPUs back to the page heap; returns how many. Any task context. */
unsigned lookaside_empty(struct volume *volume);
