// SPDX-License-Identifier: BSD-2-Clause
/*
 * The block heap: physical memory in blocks of 2 MB, the only unit that it gives and takes. A run
 * is any number of adjacent blocks.
 *
 * 1. Every block has a descriptor outside of the block, in memory that the creator of the heap
 *    handed in; the heap never allocates from itself.
 * 2. free_blocks + sum of owner->blocks over the listed owners = total_blocks.
 * 3. A block belongs to the owner that took it until it is freed by the address of its run; the
 *    generation in its descriptor changes at both times. To free what is not the start of a taken
 *    run ends in a panic: it is a bug of the caller.
 * 4. Movable owners get the lowest free address. The blocks of all other owners, the unmovable
 *    ones, lie together: each of the three parts of memory, above 4 GB, between 256 MB and 4 GB,
 *    and below, has a region of them, which grows down from the end of the part.
 * 5. A short run of an unmovable owner has a *place*. The candidates are the highest runs of the
 *    part whose blocks are free or movable: one, and one more for each 20 unmovable blocks in the
 *    part. The place is the candidate with the lowest eviction cost (eviction_cost.h). So a region
 *    reaches at most 5% further than the most blocks that it held at once since its outermost block
 *    came, and it shrinks as they go. A `placed` request gets its place if that is free, or
 *    nothing; reclaim empties it (reclaim_runs.c). A request that cannot wait for that gets the
 *    highest free block: above 4 GB if there is one, else above 256 MB, so that memory within the
 *    reach of devices with narrow masks stays movable. Longer runs come from the shortest free
 *    range that holds them, or from the window with the lowest eviction cost (window.h).
 * 6. Blocks of the `isolated` range are given only to requests that name it
 *    (`inside_isolated`).
 *
 * Lock [H]: `lock`; of other locks, only the guarantee's is taken under it. No hold grows with the
 * machine: long runs change hands, and are searched for, in pieces, with the lock free in between.
 * A run that is changing hands counts as taken in the bitmap, so no other request finds it. All
 * functions may be called with preemption off, none in interrupt handlers; none sleeps and none
 * reclaims (reclaim.h does).
 */
#pragma once

#include "owner.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct objcache;
struct objcache_record;

#define BLOCK_COST_FIXED UINT32_MAX

#define PLACED_BLOCKS_MAX 4 /* of a short run */
#define MEMORY_PARTS      3 /* above 4 GB, above 256 MB, and the rest */

/*
 * All members from `cache` on belong to the holder of the block; the block heap clears them when
 * the block changes hands.
 */
struct block {
	bool present;        /* [I] there is memory, and it is ours */
	bool taken;          /* [H] */
	uint32_t generation; /* [H] */
	uint32_t run_blocks; /* [H] first block of a run that is taken: its length; else 0 */
	struct owner *owner; /* [H] NULL while free */

	struct objcache *cache;                   /* the objcache that cuts it into objects, or NULL */
	const void *holder;                       /* the general heap that the objcache belongs to, or itself */
	uint8_t *states;                          /* enum object_state for each object */
	struct objcache_record *_Atomic *records; /* debug builds: its call sites */
	uint32_t credit;                          /* [C] frees until the block changes its list (objcache_block_used) */
	uint32_t floor;                           /* [C] objects in use when credit is 0 */
	struct list link;                         /* [C] */
	uint32_t line;                            /* [C] where to look for the next object, */
	uint32_t stride;                          /* [C] ... and where after that */
	uint8_t role;                             /* [C] enum objcache_role */

	/*
	 * What it would cost the holder of a movable block to empty it, in 20ths of a page that has
	 * to be read again; 0: not known; BLOCK_COST_FIXED: the block cannot be emptied now.
	 */
	_Atomic uint32_t cost;
	uint64_t seen_cost;  /* what a report has added up (owner_snapshot.h) */
	uint64_t padding[3]; /* so that a free finds the block by a shift */
};

_Static_assert(sizeof(struct block) == 128, "a power of two");

/*
 * All zero: any address. Alignment and boundary are powers of two; 0: none. A run crosses no
 * multiple of the boundary.
 */
struct block_constraints {
	struct phys_addr lowest;
	struct phys_addr highest; /* last byte, as in a DMA mask; 0: no limit */
	uint64_t alignment_bytes;
	uint64_t boundary_bytes;
};

/* Whether the constraints are well-formed, and a run of so many blocks can keep the boundary. */
bool block_constraints_allow(const struct block_constraints *constraints, uint64_t blocks);

/* Descriptor indices [first, end); empty when first >= end. */
struct block_range {
	uint64_t first;
	uint64_t end;
};

struct run_request {
	uint64_t blocks;
	struct block_constraints constraints;
	struct owner *owner;
	uint64_t leave_free; /* blocks that stay free, or the request fails */
	bool inside_isolated;
	bool placed; /* only in its place; at most PLACED_BLOCKS_MAX, of an unmovable owner */
	bool later;  /* for window_find: the place if all free blocks were taken */
	bool packed; /* for window_find: the highest window, whatever it costs */
};

/*
 * Decides whether an allocation fails although memory is there; for tests. `where` names the kind:
 * "block", "metadata", "dma", "page", or an objcache or general heap by its name.
 */
struct fault_injector {
	bool (*must_fail)(struct fault_injector *self, const char *where, uint64_t bytes);
};

struct block_heap {
	struct spinlock lock;
	uint64_t first_block;                 /* [I] physical address >> BLOCK_SHIFT of descriptor 0 */
	uint64_t count;                       /* [I] descriptors */
	uint64_t total_blocks;                /* [I] */
	_Atomic uint64_t free_blocks;         /* [H], read without */
	struct block *blocks;                 /* [I] */
	struct phys_range *ranges;            /* [I] of present blocks, lowest first; not adjacent */
	uint32_t range_count;                 /* [I] */
	uint64_t *free_map;                   /* [H] one bit for each block */
	uint64_t *word_map;                   /* [H] one bit for each word of free_map that is not 0 */
	uint64_t *movable_map;                /* [H] one bit for each block that is free, or held by a movable owner */
	uint64_t unmovable[MEMORY_PARTS];     /* [H] blocks of unmovable owners */
	_Atomic uint16_t *costs;              /* [H], or by the block's holder; see eviction_cost.h */
	struct block_range excluded;          /* all excluded blocks lie in it (window.h) */
	struct block_range isolated;          /* [H] empty: none */
	struct block_range watch;             /* [H] frees within are counted */
	uint64_t watched_blocks;              /* [H] freed there since the watch was set */
	struct list owners;                   /* [H] owners with blocks, by their first block */
	struct spinlock caches_lock;          /* [G], taken before the locks of objcaches */
	struct list caches;                   /* [G] all objcaches */
	_Atomic uint64_t flushes;             /* of objcaches, so far; each has a number */
	_Atomic uint64_t depot_bytes;         /* in the depots of objcaches, with their magazines */
	struct fault_injector *_Atomic fault; /* NULL: none */
};

/*
 * Bytes of metadata that block_heap_init needs for these ranges; 0 when no whole block lies within
 * them.
 */
uint64_t block_heap_metadata_bytes(const struct phys_range *ranges, uint32_t count);

/*
 * `metadata` (aligned to 16 bytes; alive as long as the heap) must not lie within the ranges. Only
 * whole, aligned blocks within a range are used; ranges do not overlap. STATUS_INVALID: no whole
 * block in them.
 */
status_t block_heap_init(struct block_heap *heap, const struct phys_range *ranges, uint32_t count, void *metadata) MUST_CHECK;

/*
 * Takes a run. STATUS_INVALID: no blocks, or alignment or boundary is no power of two.
 * STATUS_NO_MEMORY: no such run is free.
 */
status_t block_heap_alloc(struct block_heap *heap, const struct run_request *request, struct phys_addr *run) MUST_CHECK;

/* Frees a whole run by its address and returns its length in blocks. */
uint64_t block_heap_free(struct block_heap *heap, struct phys_addr run);

/* Gives taken blocks, as one run, to another owner; they no longer belong to the one before. */
void block_heap_hand_over(struct block_heap *heap, struct phys_addr start, uint64_t blocks, struct owner *owner);

/* Makes the last block of a run that is taken a run of its own, and returns it. */
struct phys_addr block_heap_cut_last(struct block_heap *heap, struct block *run);

/*
 * How many free blocks lie wholly in [lowest, highest], as in struct block_constraints (highest 0:
 * no limit).
 */
uint64_t block_heap_free_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest);

/*
 * Whether `count` runs of `blocks`, and one of `last_blocks` (fewer; 0: none), could be had at the
 * same time if all blocks were free. Exact; takes a few steps for each range of memory, whatever
 * the lengths. No lock.
 */
bool block_heap_could_hold(const struct block_heap *heap, const struct block_constraints *constraints, uint64_t blocks,
			   uint64_t count, uint64_t last_blocks);

/*
 * Isolates a range of blocks; `blocks` 0 ends that. There is one such range at a time, and the
 * holder of the reclaim lock sets it.
 */
void block_heap_isolate(struct block_heap *heap, struct phys_addr start, uint64_t blocks);

/*
 * Counts the blocks that are freed within [lowest, highest] from now on; returns the count so far.
 * There is one watch at a time, under the reclaim lock, too.
 */
uint64_t block_heap_watch(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest);

/* The descriptor of the block that holds `address`, or NULL if that is no memory of this heap. */
struct block *block_heap_find(const struct block_heap *heap, struct phys_addr address);

/* The holder of that block just now; NULL: it is free, or no memory of this heap. */
static inline const struct owner *block_heap_owner(const struct block_heap *heap, struct phys_addr address)
{
	const struct block *block = block_heap_find(heap, address);

	return block ? block->owner : NULL;
}

static inline struct phys_addr block_address(const struct block_heap *heap, const struct block *block)
{
	return (struct phys_addr){ (heap->first_block + (uint64_t)(block - heap->blocks)) << BLOCK_SHIFT };
}

/* From the first block to the last, with the holes in between. */
static inline struct phys_range block_heap_range(const struct block_heap *heap)
{
	return (struct phys_range){ { heap->first_block << BLOCK_SHIFT }, heap->count << BLOCK_SHIFT };
}

/* Whether all blocks of the heap lie in [lowest, highest]. */
static inline bool block_heap_is_within(const struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest)
{
	return lowest.value <= heap->first_block << BLOCK_SHIFT &&
	       highest.value >= ((heap->first_block + heap->count) << BLOCK_SHIFT) - 1;
}

/* The holder of a block sets what it costs to empty it; window.h chooses by that. No lock. */
void block_heap_set_cost(struct block_heap *heap, struct phys_addr block, uint32_t cost);

static inline uint64_t block_heap_free_bytes(const struct block_heap *heap)
{
	return atomic_load_explicit(&heap->free_blocks, memory_order_relaxed) << BLOCK_SHIFT;
}

/* True when an allocation has to fail for a test. */
static inline bool block_heap_must_fail(struct block_heap *heap, const char *where, uint64_t bytes)
{
	struct fault_injector *fault = atomic_load_explicit(&heap->fault, memory_order_acquire);

	return __builtin_expect(fault != NULL, 0) && fault->must_fail(fault, where, bytes);
}

/* Checks every invariant; for tests and debug builds, O(blocks). */
bool block_heap_is_valid(struct block_heap *heap);

/*
 * Where heaps and caches take their blocks: the bare block heap, or reclaim with its
 * watermarks.
 */
struct block_source {
	struct block_heap *heap;
	status_t (*take)(struct block_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment_bytes,
			 struct phys_addr *run);
	void (*give)(struct block_source *source, struct phys_addr run);
};
