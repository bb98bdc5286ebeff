/*
 * Objcache: objects of one size on 2 MB blocks. A caching heap: it keeps free objects, and gives whole blocks back on request.
 *
 * 1. All bookkeeping lies outside of the blocks and is found by physical address >> 21: one bit for each object. So a block
 *    holds 512 objects of 4 KB, and every free is checked in every build: double, foreign and misaligned ones end in a panic
 *    that names the cache and the object.
 * 2. Fullest first: a new object comes from the fullest block that has room, so that the emptiest blocks run dry. Up to one
 *    empty block, or `retain_bytes` of them if that is more, are kept; further ones go back at once.
 * 3. Cursor: the open block is filled in address order. At a frame that is in use the owner is asked to give the object up
 *    (`evict`), and the frame is refilled in place, so the order of entry is the order of eviction. At the end of the block the
 *    next one is opened: an empty one of its own, else a fresh one from the source if `may_grow` and the source allow, else the
 *    oldest. Nothing is ever placed into any other block.
 * 4. Blocks of a cursor cache are in order of entry: opened last, last. The owner can fence the oldest ones, so that nothing
 *    moves in, remove their objects, and release them.
 * 5. Debug builds fill objects with junk on alloc and free, and report a write to a freed object at the next alloc.
 *
 * The life of a block of a cursor cache:
 *
 *	source --fresh--> OPEN --cursor at its end--> QUEUED --oldest--> OPEN ...
 *	                    \                            |
 *	                     `---- objcache_fence -------+--> FENCED --objcache_release--> source
 *	                                                        `-----objcache_unfence---> QUEUED, as the oldest
 *
 * Locks: [C] `lock`, one a cache; leaves are the locks of block heap and bookkeeping, never taken under it. The closures
 * `evict`, `may_grow`, `block_enter`, `block_leave` and the source run without it, so they may take any lock that the caller of
 * objcache_alloc does not hold. objcache_free may be called with other locks held.
 * Contexts: any task, preemption on or off, deferred work; not interrupt handlers. Only the source may sleep, where it may.
 */
#pragma once

#include "bookkeeping.h"
#include "cleaner.h"
#include "runtime/base/heap.h"

#define OBJCACHE_OBJECT_MIN 16
#define OBJCACHE_OBJECT_MAX (1 * MIB)
#define OBJCACHE_BUCKETS    16

enum objcache_policy {
	OBJCACHE_FULLEST_FIRST,
	OBJCACHE_CURSOR,
};

enum objcache_role {
	OBJCACHE_NONE,
	OBJCACHE_EMPTY,
	OBJCACHE_PARTIAL, /* fullest first: in a bucket by fill */
	OBJCACHE_FULL,    /* fullest first */
	OBJCACHE_OPEN,    /* cursor */
	OBJCACHE_QUEUED,  /* cursor */
	OBJCACHE_FENCED,  /* cursor */
};

struct objcache_config {
	const char *name;      /* lives as long as the cache; also the owner of its blocks */
	size_t object_bytes;   /* 1 to OBJCACHE_OBJECT_MAX; rounded up to a multiple of the alignment */
	size_t alignment;      /* power of two, at most OBJCACHE_OBJECT_MAX; 0: 16 */
	uint64_t retain_bytes; /* free bytes that a drain leaves */
	enum objcache_policy policy;
	uint32_t reserve_objects; /* taken at init; the cache never holds fewer (free and allocated together) */

	struct block_source *source; /* memory_objcache_init fills in these three */
	struct bookkeeping *bookkeeping;
	struct cleaner_registry *cleaners; /* NULL: somebody else drains it */

	/* For the cursor; each gets `context`. */
	void *context;
	/*
	 * True: the object at this frame has been given up, its frame now belongs to the caller of objcache_alloc; the owner
	 * must not free it, too. False: it stays. Called for frames that are allocated; since no lock is held, the object may
	 * have been freed meanwhile, or be one that was allocated and not been put to use yet: then false.
	 */
	bool (*evict)(void *context, void *object);
	bool (*may_grow)(void *context); /* NULL: always */
	bool (*block_enter)(void *context,
			    struct phys_addr block); /* a fresh block comes in; false: give it back. May be NULL */
	void (*block_leave)(void *context, struct phys_addr block); /* before it goes back. May be NULL */
	uint32_t scan_max; /* frames that one objcache_alloc looks at before it gives up; 0: two blocks' worth */
};

struct objcache_counts {
	uint64_t blocks;
	uint64_t empty_blocks;
	uint64_t objects; /* that the blocks hold */
	uint64_t used;    /* of them allocated */
	uint64_t allocs;  /* calls that succeeded */
	uint64_t frees;
	uint64_t failures; /* calls of alloc that returned NULL */
	uint64_t refilled; /* cursor: frames refilled in place */
	uint64_t kept;     /* cursor: frames whose object stayed */
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
	struct list queue;                     /* [C] QUEUED, oldest first */
	struct list fenced;                    /* [C] */
	struct block *open;                    /* [C] or NULL */
	struct objcache_counts counts;         /* [C] */
	struct cleaner cleaner;
};

/* STATUS_INVALID: sizes, alignment or closures. STATUS_NO_MEMORY: no memory for the reserve. */
status_t objcache_init(struct objcache *cache, const struct objcache_config *config) MUST_CHECK;

/* Gives everything back. STATUS_BUSY: objects are still allocated; nothing was done. Where platform_may_sleep(). */
status_t objcache_fini(struct objcache *cache) MUST_CHECK;

/* NULL: no memory, or the cursor found nothing to evict within scan_max frames. */
void *objcache_alloc(struct objcache *cache);
void *objcache_alloc_held(struct objcache *cache);        /* the same without taking new blocks or evicting */
void objcache_free(struct objcache *cache, void *object); /* NULL: nothing */

/*
 * Adds an empty block from `source` (NULL: the cache's own). For callers that want to say how long to wait; not for a cache
 * with block_enter.
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

/* Checks every invariant; O(objects / 64). No operation may be under way. */
bool objcache_is_valid(struct objcache *cache);

/* Cursor caches: draining in order of entry ------------------------------------------------------------------------------ */

/*
 * Fences the oldest block that lies wholly in [lowest, highest]; an open block only when there is no other. STATUS_NOT_FOUND:
 * none left. The caller ends this by objcache_release or objcache_unfence. Several blocks may be fenced at once.
 */
status_t objcache_fence(struct objcache *cache, struct phys_addr lowest, struct phys_addr highest,
			struct phys_addr *block) MUST_CHECK;

/* The first allocated object at index *index or after, *index then being its index + 1; NULL: no more. */
void *objcache_next_object(struct objcache *cache, struct phys_addr block, uint32_t *index);

/* Gives a fenced block back to the source. STATUS_BUSY: objects are left, or an alloc still looks at it; it stays fenced. */
status_t objcache_release(struct objcache *cache, struct phys_addr block) MUST_CHECK;

/* Lets a fenced block go on where it was: as the oldest one, or, if it was open, as that. */
void objcache_unfence(struct objcache *cache, struct phys_addr block);

/* Visits the blocks from oldest to open, with [C] held, until `visit` returns false. */
void objcache_walk(struct objcache *cache, bool (*visit)(void *context, struct phys_addr block, uint32_t used), void *context);
