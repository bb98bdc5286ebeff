// SPDX-License-Identifier: BSD-2-Clause
/*
 * What tasks and interrupt handlers of the scenario hammer do to the heap. All of them share a
 * table of slots, each with at most one object. A step that finds its slot empty allocates into it;
 * one that finds it taken checks the object, and frees or resizes it. So most objects are freed by
 * another CPU than the one that allocated them. What an object must hold is noted outside of it.
 */
#pragma once

#include "heap/object/general_heap.h"
#include "runtime/base/random.h"
#include "runtime/kernel/timer.h"

#define HAMMER_SLOTS  4096
#define HAMMER_CACHES 5

enum hammer_phase {
	HAMMER_FILL,  /* twice as many objects are allocated as freed */
	HAMMER_MIX,   /* what has been found decides */
	HAMMER_EMPTY, /* nothing is allocated, so that blocks run dry */
	HAMMER_PHASES,
};

struct hammer_slot {
	_Atomic bool held;         /* a task or handler owns the slot, and all of it */
	struct hammer_cache *from; /* NULL: the general heap */
	unsigned char *memory;     /* NULL: none */
	size_t bytes;              /* that are stamped */
	uint64_t stamp;
};

/* An objcache whose objects end in a word that says that they are constructed. */
struct hammer_cache {
	struct objcache cache;
	struct hammer *hammer;
	_Atomic uint64_t constructed, destroyed;
};

struct hammer {
	struct memory *memory;
	struct general_heap *heap;
	struct hammer_cache caches[HAMMER_CACHES];
	struct hammer_slot slots[HAMMER_SLOTS];
	_Atomic unsigned phase; /* enum hammer_phase */
	_Atomic bool stop;
	_Atomic uint64_t violations;
};

/* One task, or the handler of one CPU; its own alone until `done`. */
struct hammer_worker {
	struct hammer *hammer; /* [I] */
	struct timer timer;    /* a handler's */
	struct random random;
	uint64_t operations;
	uint64_t refused; /* allocations that got nothing */
	_Atomic bool done;
};

/* Counts it, and logs the first ones. */
void hammer_violation(struct hammer *hammer, const char *what, const void *memory);

/* One operation on one slot. */
void hammer_step(struct hammer_worker *worker);

/* Checks and frees what the slot holds. In tasks. */
void hammer_slot_clear(struct hammer *hammer, struct hammer_slot *slot);

/* Constructor and destructor of the caches; the context is the struct hammer_cache. */
void hammer_construct(void *object, void *context);
void hammer_destroy(void *object, void *context);

/*
 * Bursts of steps in a timer's interrupts on the CPU that it is called on, until hammer->stop; then
 * `done`.
 */
void hammer_handler_init(struct hammer_worker *worker);
void hammer_handler_start(struct hammer_worker *worker);
