/*
 * Owned heap: the general heap for one owner, a driver above all, that remembers what the owner has and who allocated it, in
 * every build. So whoever takes the owner away can say what it left behind.
 *
 *	owned_heap_init(&owned, &registry, &memory->general, "edu 00:04.0");
 *	struct edu *edu = heap_alloc(&owned.heap, sizeof(*edu), 0);
 *	...
 *	leaks = owned_heap_report_left(&owned);		"edu 00:04.0: 1 objects, 96 bytes, allocated by edu_probe+0x1c"
 *
 * 1. For owners with some dozen objects: each costs a record more, and a free looks through the list.
 * 2. What is left behind stays allocated, since other code may still use it, and in the list, so that
 *    `heaps leaks` and the end of a run show it.
 * 3. An object counts as a whole load of a magazine when it is chosen who is guarded (guard_pool.h): bugs are where drivers
 *    are.
 *
 * Locks: registry [R] -> owned heap [O], which is taken with interrupts held; nothing is taken under it. Contexts: as the
 * general heap.
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
	struct list objects; /* [O] struct owned_object, the last one first */
};

/* What the owner has: all of it, what no report has named, or what one has, since the owner has gone without it. */
enum owned_objects { OWNED_ALL, OWNED_NOT_REPORTED, OWNED_LEFT };

void owned_heaps_init(struct owned_heaps *registry);

/* `owner` lives as long as the heap. */
void owned_heap_init(struct owned_heap *owned, struct owned_heaps *registry, struct general_heap *parent, const char *owner);

/* STATUS_BUSY: something is still allocated; nothing was done. */
status_t owned_heap_fini(struct owned_heap *owned, struct owned_heaps *registry) MUST_CHECK;

/* Adds up such objects by call site; what was not reported is from then on. */
void owned_heap_tally(struct owned_heap *owned, enum owned_objects which, struct site_tally *sums);

/* When the owner has gone: logs what it has left since the last report, as an error, and returns how many objects that are. */
uint64_t owned_heap_report_left(struct owned_heap *owned);

/* One line for each owner and place that has such objects. The owners must not go meanwhile. */
void owned_heaps_write(struct owned_heaps *registry, enum owned_objects which, void (*line)(const char *text));
