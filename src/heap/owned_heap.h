// SPDX-License-Identifier: BSD-2-Clause
/*
 * Owned heap: the general heap for one owner, above all a driver. In every build it remembers the
 * owner's objects and the code that allocated them. So the core can say what an owner left behind
 * when it has gone.
 *
 *	owned_heap_init(&owned, &registry, &memory->general, "edu 00:04.0");
 *	struct edu *edu = heap_alloc(&owned.heap, sizeof(*edu), 0);
 *	...
 *	leaks = owned_heap_report_left(&owned);
 *	                "edu 00:04.0: 1 objects, 96 bytes, allocated by edu_probe+0x1c"
 *
 * 1. For owners with some dozen objects: each costs a record more, and a free looks through the
 *    list.
 * 2. What is left behind stays allocated, since other code may still use it, and in the list, so
 *    that `heaps leaks` and the end of a run show it.
 * 3. An object counts as a whole load of a magazine in the choice of guarded objects
 *    (guard_pool.h): most bugs are in drivers.
 *
 * Locks: registry [R] -> this heap [O], which is taken with interrupts held; no lock is taken
 * under it. Contexts: as the general heap.
 */
#pragma once

#include "general_heap.h"
#include "site_tally.h"

struct owned_heaps {
	struct spinlock lock;
	struct list list; /* [R] */
};

struct owned_heap {
	struct heap heap;            /* what the owner allocates from */
	struct general_heap *parent; /* [I] */
	struct list link;            /* [R] */
	struct spinlock lock;
	struct list objects; /* [O] struct owned_object, the latest first */
};

/*
 * Which of the owner's objects: all, those that no report has named, or those that a report has
 * named, since the owner left them behind.
 */
enum owned_objects { OWNED_ALL, OWNED_NOT_REPORTED, OWNED_LEFT };

void owned_heaps_init(struct owned_heaps *registry);

/* `owner` lives as long as the heap. */
void owned_heap_init(struct owned_heap *owned, struct owned_heaps *registry, struct general_heap *parent, const char *owner);

static inline struct heap *owned_heap_interface(struct owned_heap *owned)
{
	return &owned->heap;
}

/* STATUS_BUSY: something is still allocated; nothing was done. */
status_t owned_heap_fini(struct owned_heap *owned, struct owned_heaps *registry) MUST_CHECK;

/*
 * Adds up such objects by call site; with OWNED_NOT_REPORTED, they count as reported from then on.
 */
void owned_heap_tally(struct owned_heap *owned, enum owned_objects which, struct site_tally *sums);

/*
 * For an owner that has gone: logs as an error what it has left since the last report, and returns
 * how many objects that are.
 */
uint64_t owned_heap_report_left(struct owned_heap *owned);

/* One line for each owner and call site that has such objects. The owners must not go meanwhile. */
void owned_heaps_write(struct owned_heaps *registry, enum owned_objects which, void (*line)(const char *text));
