/*
 * Objcache: objects of one size on 2 MB blocks. A caching heap: it keeps free objects, and gives whole blocks back on request.
 *
 * 1. All bookkeeping lies outside of the blocks and is found by physical address >> 21: one bit for each object. So a block
 *    holds 512 objects of 4 KB, and every free is checked in every build: double, foreign and misaligned ones end in a panic
 *    that names the cache and the object.
 * 2. Fullest first: a new object comes from the fullest block that has room, so that the emptiest blocks run dry. Up to one
 *    empty block, or `retain_bytes` of them if that is more, are kept; further ones go back at once.
 * 3. Debug builds fill objects with junk on alloc and free, and report a write to a freed object at the next alloc.
 *
 * Locks: [C] `lock`, one a cache; leaves are the locks of block heap and bookkeeping, never taken under it. The source is
 * called without it. objcache_free may be called with other locks held. Contexts: any task, preemption on or off, deferred
 * work; not interrupt handlers. Only the source may sleep, where it may.
 */
#pragma once

#include "bookkeeping.h"
#include "cleaner.h"
#include "runtime/base/heap.h"

#define OBJCACHE_OBJECT_MIN 16
#define OBJCACHE_OBJECT_MAX (1 * MIB)
#define OBJCACHE_BUCKETS    16

enum objcache_role {
	OBJCACHE_NONE,
	OBJCACHE_EMPTY,
	OBJCACHE_PARTIAL, /* in a bucket by fill */
	OBJCACHE_FULL,
};

struct objcache_config {
	const char *name;         /* lives as long as the cache; also the owner of its blocks */
	size_t object_bytes;      /* 1 to OBJCACHE_OBJECT_MAX; rounded up to a multiple of the alignment */
	size_t alignment;         /* power of two, at most OBJCACHE_OBJECT_MAX; 0: 16 */
	uint64_t retain_bytes;    /* free bytes that a drain leaves */
	uint32_t reserve_objects; /* taken at init; the cache never holds fewer (free and allocated together) */

	struct block_source *source; /* memory_objcache_init fills in these three */
	struct bookkeeping *bookkeeping;
	struct cleaner_registry *cleaners; /* NULL: somebody else drains it */
};

struct objcache_counts {
	uint64_t blocks;
	uint64_t empty_blocks;
	uint64_t objects; /* that the blocks hold */
	uint64_t used;    /* of them allocated */
	uint64_t allocs;  /* calls that succeeded */
	uint64_t frees;
	uint64_t failures; /* calls of alloc that returned NULL */
	uint64_t drained_blocks;
};

struct objcache {
	struct caching_heap caching; /* alloc through the interface: bytes <= object_bytes, alignment <= the cache's */
	struct spinlock lock;
	struct objcache_config config; /* [I] */
	uint32_t objects_per_block;    /* [I] */
	uint64_t reciprocal;           /* [I] to divide an offset by object_bytes */
	struct block_heap *heap;       /* [I] */
	struct owner owner;
	struct list link; /* [G] in heap->caches */

	struct list buckets[OBJCACHE_BUCKETS]; /* [C] PARTIAL blocks by fill */
	uint32_t bucket_mask;                  /* [C] bit i: buckets[i] is not empty */
	struct list empty;                     /* [C] */
	struct list full;                      /* [C] */
	struct objcache_counts counts;         /* [C] */
	struct cleaner cleaner;
};

/* STATUS_INVALID: sizes or alignment. STATUS_NO_MEMORY: no memory for the reserve. */
status_t objcache_init(struct objcache *cache, const struct objcache_config *config) MUST_CHECK;

/* Gives everything back. STATUS_BUSY: objects are still allocated; nothing was done. Where platform_may_sleep(). */
status_t objcache_fini(struct objcache *cache) MUST_CHECK;

/* NULL: no memory. Not while cleaning: then only what is held, as in a reserve. */
void *objcache_alloc(struct objcache *cache);
void *objcache_alloc_held(struct objcache *cache);        /* the same without taking new blocks */
void objcache_free(struct objcache *cache, void *object); /* NULL: nothing */

/*
 * Adds an empty block from `source` (NULL: the cache's own). For callers that want to say how long to wait.
 */
status_t objcache_grow(struct objcache *cache, struct block_source *source) MUST_CHECK;

/*
 * Gives empty blocks within [lowest, highest] back until `bytes` went or only `retain` bytes of free memory or the reserve are
 * left. Returns the bytes that went. Does not sleep. (caching_heap_drain: anywhere.)
 */
uint64_t objcache_drain(struct objcache *cache, uint64_t bytes, uint64_t retain, struct phys_addr lowest,
			struct phys_addr highest);

/* A consistent snapshot. */
struct objcache_counts objcache_count(struct objcache *cache);

/* The cache whose block holds the object, or NULL. */
struct objcache *objcache_of(const struct block_heap *heap, const void *object);

/* Raises the reserve by so many objects, or lowers it. STATUS_NO_MEMORY: it is as before. Where platform_may_sleep(). */
status_t objcache_reserve(struct objcache *cache, uint32_t objects) MUST_CHECK;
void objcache_unreserve(struct objcache *cache, uint32_t objects);

/* Checks every invariant; O(objects / 64). No operation may be under way. */
bool objcache_is_valid(struct objcache *cache);
