// SPDX-License-Identifier: BSD-2-Clause
/*
 * Objcache: objects of one size on 2 MB blocks. A caching heap: it keeps free objects, and gives
 * whole blocks back on request.
 *
 * 1. All metadata lies outside of the blocks and is found by physical address >> 21. One byte for
 *    each object says whether it is free in its block, cached in a magazine, or allocated. So a
 *    block holds 512 objects of 4 KB, and a freed object contains nothing of the cache's.
 * 2. Every free is checked in every build: double, foreign and misaligned ones end in a panic that
 *    names the cache, the object and the caller, in debug builds also the code that allocated and
 *    freed it before. Two frees of one object at the very same time are caught when its second
 *    entry is allocated or put back.
 * 3. Each CPU has two magazines, one that it allocates from and one that it frees into. Objects
 *    that do not fit go to the depot in whole magazines, where other CPUs get them, and from there
 *    back into the blocks.
 *
 *	alloc <- [magazine]  <- full ones of the depot <- the fullest block, in an order of its own
 *	free  -> [magazine]  -> the depot; if all depots have their share of memory, the objects' blocks
 *
 * 4. Fullest first: where objects come and go and the blocks have holes, freed objects go back to
 *    their blocks and new ones come from the fullest block that has room, so that the emptiest
 *    blocks run dry. When all holes together would not free a block, the two magazines simply
 *    change places. The cache keeps one empty block, or `retain_bytes` of them if that is more;
 *    further ones go back at once.
 * 5. A drain takes empty blocks first. If those are not enough, and where it may be worth it, it
 *    empties magazines, one at a time, until it has what it wants: first those of the depot, then
 *    those of the CPUs. It detaches the CPUs' magazines, so that each CPU finds none and comes for
 *    the lock, and lets every CPU run a few instructions, so that none is left in the middle of an
 *    operation on one. No CPU waits for another. The background cleaner does the same with
 *    magazines that have been idle for a while.
 * 6. A cache with a reserve, and a cache of objects above OBJCACHE_MAGAZINE_OBJECT_MAX, has no
 *    magazines: every CPU can get all objects that the cache holds, and it holds few back.
 * 7. With a constructor, objects are constructed when their block is taken, stay so from free to
 *    alloc, and are destroyed when the block is given back.
 * 8. Debug builds record the code that allocated and freed each object. They fill objects without a
 *    constructor with junk: on free, so that the next alloc finds a write to a freed object, and on
 *    alloc, so that no code relies on old content. Behind the bytes that the general heap was asked
 *    for they put a red zone, so that the free finds a write there.
 *
 * Locks: [C] `lock`, one a cache, taken with interrupts held; the locks of the block heap and of
 * the metadata heap are leaves, never taken under it. The cache calls its source without it.
 * Contexts: any. In an interrupt handler, alloc takes objects of the blocks and the depot, and
 * never a new block; a block that a handler empties is given back by a task later. Only the source
 * may sleep, where it may.
 */
#pragma once

#include "call_sites.h"
#include "heap/block/metadata_heap.h"
#include "heap/reclaim/cleaner.h"
#include "runtime/base/heap.h"

#ifdef WEIR_DEBUG
#define OBJCACHE_DEBUG true
#else
#define OBJCACHE_DEBUG false
#endif

#define OBJCACHE_OBJECT_MIN          16
#define OBJCACHE_OBJECT_MAX          (BLOCK_BYTES / 2)
#define OBJCACHE_MAGAZINE_OBJECT_MAX (32 * KIB)
#define OBJCACHE_MAGAZINE_SLOTS      248 /* at most; with its head 4 KB */
#define OBJCACHE_BUCKETS             16

enum object_state {
	OBJECT_CACHED,    /* 0: in a magazine */
	OBJECT_ALLOCATED, /* 1: a free counts it down */
	OBJECT_FREE,      /* 2: in its block; no other state has this bit */
	OBJECT_NONE = 4,  /* no object: behind the last one */
};

/*
 * The list that a block is in. Objects are taken from the last list that has blocks, except
 * OBJCACHE_FULL.
 */
enum objcache_role {
	OBJCACHE_NONE,
	OBJCACHE_NEARLY_FULL, /* few free objects, taken only if no other block has any */
	OBJCACHE_EMPTY,
	OBJCACHE_PARTIAL, /* the first of OBJCACHE_BUCKETS, by fill */
	OBJCACHE_FULL = OBJCACHE_PARTIAL + OBJCACHE_BUCKETS,
	OBJCACHE_ROLES,
};

struct objcache_config {
	const char *name;         /* lives as long as the cache; also the owner of its blocks */
	size_t object_bytes;      /* 1 to OBJCACHE_OBJECT_MAX; rounded up to a multiple of the alignment */
	size_t alignment;         /* power of two, at most OBJCACHE_OBJECT_MAX; 0: 16 */
	uint64_t retain_bytes;    /* free bytes that a drain leaves */
	uint32_t reserve_objects; /* taken at init; never fewer, free and allocated together */

	/*
	 * Either may be NULL. Called without locks, in the context of the task that takes or gives
	 * a block.
	 */
	void (*construct)(void *object, void *context);
	void (*destroy)(void *object, void *context);
	void *context;

	struct block_source *source; /* memory_objcache_init fills in these three */
	struct metadata_heap *metadata;
	struct cleaner_registry *cleaners; /* NULL: another drains it */
};

/* objects = used + cached + those free in the blocks; allocs = used + frees. */
struct objcache_counts {
	uint64_t blocks;
	uint64_t empty_blocks;
	uint64_t objects; /* that the blocks hold */
	uint64_t used;    /* of them allocated */
	uint64_t cached;  /* of them in magazines */
	uint64_t allocs;  /* calls that succeeded */
	uint64_t frees;
	uint64_t failures; /* calls of alloc that returned NULL */
};

/* A CPU's share of the counts. */
struct objcache_cpu_counts {
	uint64_t cached;
	uint64_t allocs; /* from and into its magazines; what handlers do is in the cache's counts alone */
	uint64_t frees;
};

struct objcache_slot {
	void *object;
	uint8_t *state;
};

struct objcache_magazine {
	struct list link;             /* [C] in the depot */
	struct objcache_slot slots[]; /* the first one ends the others: its state is never OBJECT_CACHED */
};

/* A magazine that a CPU uses: its objects are in slots[1] to top[-1]. */
struct objcache_stack {
	struct objcache_slot *_Atomic top; /* [c] where the next object goes, up to `limit` */
	struct objcache_slot *limit;
	struct objcache_magazine *magazine; /* NULL: the dummy */
	uint64_t loaded;                    /* [C] objects that came in bulk, less those that left so */
};

/*
 * One CPU's part of a cache. The CPU changes the tops without a lock, and all else under [C]; other
 * CPUs do so under [C] when it has been detached.
 */
struct objcache_cpu {
	struct objcache_stack alloc; /* objects are allocated from here, */
	struct objcache_stack free;  /* ... and freed into this one */
	uint64_t detached;           /* [C] the flush that wants it empty; 0: in use */
	uint64_t operations;         /* [C] up to the last trim */
};

/* A list of magazines that no CPU has. */
struct objcache_depot {
	struct list magazines;  /* [C] the latest first */
	_Atomic uint32_t count; /* [C], read without */
	uint32_t low;           /* [C] the fewest since the last trim */
};

/* Where the blocks of a heap lie. [I] */
struct objcache_map {
	uintptr_t start; /* virtual */
	uint64_t bytes;
	struct block *blocks;
};

/*
 * Facts about the caches of a general heap, or about a cache alone, so that a drain looks only at
 * caches that may have something to give. A cache changes them under its [C]; they are read
 * without. Bit i: cache i of the heap.
 */
#define OBJCACHE_GROUP_WORDS 2

struct objcache_group {
	struct cleaner cleaner;
	struct objcache *caches; /* [I] neighbours */
	unsigned count;          /* [I] */
	uint64_t retain_bytes;   /* [I] that cleaners leave */
	/* NULL, or a function that a drain calls first; returns the bytes that it gave. */
	uint64_t (*settle)(struct objcache_group *group, const struct reclaim_target *target);
	_Atomic uint64_t has_blocks[OBJCACHE_GROUP_WORDS];
	_Atomic uint64_t empty_blocks; /* of all */
	_Atomic uint64_t free_bytes;   /* free in the blocks of all */
};

struct objcache {
	struct objcache_cpu
		*_Atomic cpus[PLATFORM_CPUS_MAX + 1]; /* [C], read by the CPU, by slot; without magazines: a dummy */
	struct objcache_map map;                      /* [I] */
	uint64_t inverse;                             /* [I] of object_bytes, 2^64 / object_bytes rounded up */
	const void *parent;                           /* [I] the general heap that it belongs to, or NULL */
	struct objcache_group *group;                 /* [I] of that heap, or its own */
	struct caching_heap caching; /* alloc through the interface: bytes <= object_bytes, alignment <= the cache's */

	struct objcache_config config; /* [I] */
	uint32_t objects_per_block;    /* [I] */
	uint32_t bucket_objects;       /* [I] */
	uint32_t worthwhile_objects;   /* [I] free objects from which on a block is not OBJCACHE_NEARLY_FULL */
	uint32_t lines;                /* [I] of 64 states, of a block */
	uint32_t magazine_slots;       /* [I] 0: no magazines */
	uint64_t spared_blocks;        /* [I] empty blocks up to here stay after a free */
	struct block_heap *heap;       /* [I] */
	unsigned number;               /* [I] in its group */
	struct objcache_group alone;   /* the group of a cache that belongs to no general heap */
	struct owner owner;
	struct list link; /* [G] in heap->caches */

	struct spinlock lock;
	struct objcache_cpu
		*_Atomic own[PLATFORM_CPUS_MAX + 1]; /* [C], read without; what cpus[] has when it is not detached */
	unsigned own_end;                            /* [C] no slot from here on has any */
	struct list blocks[OBJCACHE_ROLES];          /* [C] by role */
	uint32_t roles;                              /* [C] bit i: blocks[i] is not empty */
	struct objcache_depot depot;                 /* full ones */
	struct objcache_depot spare;                 /* empty ones */
	uint64_t taken;                              /* [C] objects that are not free in their blocks */
	uint64_t recent_blocks;                      /* empty ones that stay in this trim */
	uint64_t empty_low;                          /* [C] the fewest empty blocks since the last trim */
	struct objcache_counts counts;               /* [C] but for used, cached and frees; allocs: those without magazines */
};

/* STATUS_INVALID: sizes or alignment. STATUS_NO_MEMORY: no memory for the reserve. */
status_t objcache_init(struct objcache *cache, const struct objcache_config *config) MUST_CHECK;

/*
 * Gives everything back. STATUS_BUSY: objects are still allocated; nothing was done. No operation
 * may be under way. Where platform_may_sleep().
 */
status_t objcache_fini(struct objcache *cache) MUST_CHECK;

/*
 * NULL: no memory. A task that cleans gets only what the cache holds, as in a reserve
 * (objcache_alloc_held).
 */
void *objcache_alloc(struct objcache *cache);
void *objcache_alloc_held(struct objcache *cache);        /* the same without taking new blocks */
void objcache_free(struct objcache *cache, void *object); /* NULL: nothing */

/*
 * Adds an empty block from `source` (NULL: the cache's own); the caller's source says how long to
 * wait.
 */
status_t objcache_grow(struct objcache *cache, struct block_source *source) MUST_CHECK;

/*
 * Drains the caches of a group, after group->settle. In tasks only.
 *
 * 1. Gives blocks in which no object is allocated, within the target's addresses, until
 *    target->bytes have gone, the deadline has passed, or one more would leave less than `retain`
 *    bytes free in the blocks of the group, or less than a reserve.
 * 2. Returns the bytes that this call handed to the source: at most target->bytes, rounded up to a
 *    block.
 * 3. Empty blocks go first, then blocks that become empty as magazines are emptied: those of the
 *    depots, and where platform_may_sleep() those of the CPUs. A CPU that is in the middle of an
 *    operation for long empties its magazines itself at its next operation. Without other drains at
 *    the same time, the drain gives all that it may.
 * 4. It looks at the deadline, and releases the lock and interrupts, once a block and once a
 *    magazine.
 */
uint64_t objcache_group_drain(struct objcache_group *group, const struct reclaim_target *target, uint64_t retain);

/*
 * Fills in the group's cleaner, and registers it unless `cleaners` is NULL. Its trim drains from
 * each cache what the cache has not used since the last trim, down to what is retained and a block.
 */
void objcache_group_register(struct objcache_group *group, const char *name, struct cleaner_registry *cleaners);

/*
 * Empties all magazines as a drain does; as many empty blocks stay as after a free. Not in
 * handlers.
 */
void objcache_flush(struct objcache *cache);

/* A snapshot whose figures fit each other. */
struct objcache_counts objcache_count(struct objcache *cache);

/* Sums up by call site the objects that are allocated; only if OBJCACHE_DEBUG. O(objects). */
void objcache_count_sites(struct objcache *cache, struct call_sites *sites);

/* True while all objects of an objcache's block are free in it; without a lock only a hint. */
static inline bool objcache_block_is_empty(const struct block *block)
{
	return block->role == OBJCACHE_EMPTY;
}

/* The cache whose block holds the object, or NULL. */
struct objcache *objcache_of(const struct block_heap *heap, const void *object);

/*
 * Raises or lowers the reserve by so many objects, for a cache that was made with a reserve.
 * STATUS_NO_MEMORY: it is as before. Where platform_may_sleep().
 */
status_t objcache_reserve(struct objcache *cache, uint32_t objects) MUST_CHECK;
void objcache_unreserve(struct objcache *cache, uint32_t objects);

/*
 * Detaches the magazines of all CPUs in all caches of the heap: the next operation of each CPU
 * takes the slow path. Any task context.
 */
void objcaches_detach(struct block_heap *heap);

/* Checks every invariant; O(objects). No operation may be under way. */
bool objcache_is_valid(struct objcache *cache);
