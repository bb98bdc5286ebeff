// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tracked heap: the general heap for one owner, above all a driver. In every build it remembers the
 * owner's objects and the code that allocated them. So the core can say what an owner left behind
 * when it has gone.
 *
 *	tracked_heap_init(&tracked, &registry, &memory->general, "edu 00:04.0");
 *	struct edu *edu = heap_alloc(&tracked.heap, sizeof(*edu), 0);
 *	...
 *	leaks = tracked_heap_report_left(&tracked);
 *	                "edu 00:04.0: 1 objects, 96 bytes, allocated by edu_probe+0x1c"
 *
 * 1. For owners with some dozen objects: each costs a record more, and a free looks through the
 *    list.
 * 2. What is left behind stays allocated, since other code may still use it, and in the list, so
 *    that `heaps leaks` and the end of a run show it.
 * 3. An object counts as a whole load of a magazine in the choice of guarded objects
 *    (guard_pool.h): most bugs are in drivers.
 *
 * Locks: registry [TH] -> this heap [O], which is taken with interrupts held; no lock is taken
 * under it. Contexts: as the general heap.
 */
#pragma once

#include "call_sites.h"
#include "general_heap.h"

struct tracked_heaps {
	struct spinlock lock;
	struct list list; /* [TH] */
};

struct tracked_heap {
	struct heap heap;            /* what the owner allocates from */
	struct general_heap *parent; /* [I] */
	struct list link;            /* [TH] */
	struct spinlock lock;
	struct list objects; /* [O] struct tracked_object, the latest first */
};

/*
 * Which of the owner's objects: all, those that no report has named, or those that a report has
 * named, since the owner left them behind.
 */
enum tracked_objects { TRACKED_ALL, TRACKED_NOT_REPORTED, TRACKED_LEFT };

void tracked_heaps_init(struct tracked_heaps *registry);

/* `owner` lives as long as the heap. */
void tracked_heap_init(struct tracked_heap *tracked, struct tracked_heaps *registry, struct general_heap *parent,
		       const char *owner);

static inline struct heap *tracked_heap_interface(struct tracked_heap *tracked)
{
	return &tracked->heap;
}

/* STATUS_BUSY: something is still allocated; nothing was done. */
status_t tracked_heap_fini(struct tracked_heap *tracked, struct tracked_heaps *registry) MUST_CHECK;

/*
 * Adds up such objects by call site; with TRACKED_NOT_REPORTED, they count as reported from then
 * on.
 */
void tracked_heap_count_sites(struct tracked_heap *tracked, enum tracked_objects which, struct call_sites *sums);

/*
 * For an owner that has gone: logs as an error what it has left since the last report, and returns
 * how many objects that are.
 */
uint64_t tracked_heap_report_left(struct tracked_heap *tracked);

/* One line for each owner and call site that has such objects. The owners must not go meanwhile. */
void tracked_heaps_write(struct tracked_heaps *registry, enum tracked_objects which, void (*line)(const char *text));
