// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guard pool: a few objects of a general heap, picked at random, each alone on pages of the direct
 * map beside a hidden page. Code that writes past the end of such an object, or uses it after its
 * free, faults in every build; the report of the fault names the heap, the object's size, and the
 * code that allocated and freed it.
 *
 *	slot     [hidden ...][ free bytes | object ][hidden] [hidden ...][ free bytes | object ][hidden] ...
 *
 * 1. An object ends where its last page ends, but for what its alignment takes; those bytes, and
 *    some before the object, hold a pattern that the free checks.
 * 2. A freed object's pages are hidden. The slot that was freed first is used again first, and at
 *    most half of the slots have objects, so freed memory stays hidden for as long as the pool
 *    allows. No caller has more than an eighth of the slots.
 * 3. The memory is that of the direct map itself: physical addresses, DMA and aliases work as for
 *    any other object.
 * 4. The pool counts the objects that a heap hands out on its slow path, a magazine at a time;
 *    about one in `one_in` is guarded, fewer where objects come faster than `interval_ns` allows.
 *    So the fast path does nothing for the pool.
 * 5. Hiding reaches the CPU that frees at once, and the other CPUs when they drop the page from
 *    their TLBs by themselves. The page has no other user, so this costs nothing but a report, and
 *    interrupts no CPU.
 *
 * Lock: [P] `lock`, a leaf, with interrupts held. alloc: any context but interrupt handlers; free:
 * any.
 */
#pragma once

#include "call_sites.h"
#include "heap/block/block_heap.h"
#include "heap/block/metadata_heap.h"
#include "runtime/base/platform.h"

struct guard_config {
	uint32_t one_in;      /* objects; 0: none is guarded */
	uint64_t interval_ns; /* a CPU guards at most one object in so much time */
	uint64_t bytes;       /* of objects and hidden pages together; whole blocks */
};

enum guard_state {
	GUARD_UNUSED,
	GUARD_LIVE,
	GUARD_FREED, /* or about to be */
};

struct guard_slot {
	struct list link;         /* [P] in pool->free, unless it has an object */
	_Atomic uint8_t state;    /* [P], read without */
	uint8_t bucket;           /* [P] of the caller, in pool->live */
	uint32_t bytes;           /* [P] that were asked for */
	char *end;                /* [I] where its hidden page begins, behind those for the object */
	char *object;             /* [P] this and what follows stay after the free */
	const void *allocated_by; /* [P] */
	const void *freed_by;     /* [P] NULL: live */
};

#define GUARD_BUCKETS 64

/* What a slot can hold. */
enum guard_kind {
	GUARD_LARGE, /* up to GUARD_LARGE_PAGES */
	GUARD_SMALL, /* one page */
	GUARD_KINDS,
};

#define GUARD_LARGE_PAGES 8
#define GUARD_BYTES_MAX   (GUARD_LARGE_PAGES * PAGE_BYTES)

struct guard_counts {
	uint64_t slots;
	uint64_t live;
	uint64_t live_bytes;
	uint64_t allocs;
};

/* A CPU's countdown; approximate, since a task may change CPUs while it counts. */
struct guard_countdown {
	_Atomic int64_t left;     /* objects until the next one is guarded, */
	_Atomic uint64_t next_ns; /* if it is not before this time */
} __attribute__((aligned(64)));

struct guard_pool {
	struct guard_countdown countdown[PLATFORM_CPUS_MAX + 1]; /* by platform_cpu_slot() */
	uint32_t one_in;                                         /* [I] 0: there is no pool */
	uint64_t interval_ns;                                    /* [I] */
	const char *name;                                        /* [I] of the heap */
	struct platform_guarded range;                           /* [I] */
	struct block_heap *heap;                                 /* [I] */
	struct metadata_heap *metadata;                          /* [I] */
	struct owner owner;
	struct guard_slot *slots;        /* [I] the large ones first */
	uint32_t first[GUARD_KINDS + 1]; /* [I] the number of the first slot of each kind, and of all */
	struct spinlock lock;
	struct list free[GUARD_KINDS];             /* [P] the one that was freed first comes first */
	uint32_t live_slots[GUARD_KINDS];          /* [P] slots with objects, */
	uint32_t live[GUARD_KINDS][GUARD_BUCKETS]; /* [P] ... and those of each caller */
	struct guard_counts counts;                /* [P] */
};

/*
 * Takes the pool's memory from the bare block heap. Without memory, or where the platform cannot
 * hide pages, there is no pool, and the log has a warning. At start-up, on one CPU. `name` lives as
 * long as the pool.
 */
void guard_pool_init(struct guard_pool *pool, const char *name, const struct guard_config *config, struct block_heap *heap,
		     struct metadata_heap *metadata);

/* No object is live. */
void guard_pool_fini(struct guard_pool *pool);

/* Starts the countdown anew; false: the CPU guarded an object not long ago. */
bool guard_pool_choose(struct guard_pool *pool);

/* Counts objects that the heap has handed out; true: the next one is to be guarded. */
static inline bool guard_pool_is_due(struct guard_pool *pool, uint32_t objects)
{
	_Atomic int64_t *counter = &pool->countdown[platform_cpu_slot()].left;
	const int64_t left = atomic_load_explicit(counter, memory_order_relaxed) - objects;

	atomic_store_explicit(counter, left, memory_order_relaxed);
	return __builtin_expect(left < 0, 0) && guard_pool_choose(pool);
}

/*
 * Alignment is a power of two. NULL: not this object (no slot, too large, an interrupt handler);
 * the heap serves it as always.
 */
void *guard_pool_alloc(struct guard_pool *pool, size_t bytes, size_t alignment, const void *site);

/* True for every address of the pool. */
static inline bool guard_pool_owns(const struct guard_pool *pool, const void *memory)
{
	return (uintptr_t)memory - (uintptr_t)pool->range.start < pool->range.bytes;
}

/* For memory that the pool owns. A wrong free, and a pattern that has changed, end in a panic. */
void guard_pool_free(struct guard_pool *pool, void *object, const void *site);
size_t guard_pool_usable_bytes(const struct guard_pool *pool, const void *object);

struct guard_counts guard_pool_count(struct guard_pool *pool);

/*
 * Sums up the live objects by call site, without a lock: an object that is freed meanwhile may be
 * counted or not.
 */
void guard_pool_count_sites(const struct guard_pool *pool, struct call_sites *sites);

/* Checks every invariant; no operation may be under way. */
bool guard_pool_is_valid(struct guard_pool *pool);
