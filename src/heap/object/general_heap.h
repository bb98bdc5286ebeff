// SPDX-License-Identifier: BSD-2-Clause
/*
 * The general heap: memory of any size from 16 bytes on, behind struct heap: size classes over
 * objcaches up to 1 MB, half a block, and runs of whole blocks above. A free finds the class by the
 * physical address, so it needs no size.
 *
 * Classes: multiples of 16 bytes up to 128, then eight for each doubling up to 256 KB, so an object
 * is at most an eighth larger than the request. Above 256 KB there is a class for each number of
 * objects that fit a block, 7 down to 2: no size in between would save memory.
 *
 * A class with blocks of its own holds a block even for a single object. So only so many classes
 * have their own blocks from their first object on that these are a 32nd of the machine's blocks;
 * from 6 GB on that is enough for all classes. Beyond that, a class that is no power of two shares
 * the blocks of the next class that is one. Such a class gets its own blocks when its objects there
 * waste a block, as far as the slow path of alloc can tell. It shares again when a drain finds few
 * objects, and no more than the last drain did. So all objects of a class together take at most an
 * eighth and one to two blocks more than was asked for.
 *
 * Results: alloc returns NULL for 0 bytes, for an alignment that is no power of two, for more than
 * the machine has, and when there is no memory. The alignment holds for the physical address, too.
 * Alignment 0 means 16. When a class has no object left and gets no block, a class up to four times
 * as large stands in. A wrong free ends in a panic, as objcache.h says.
 *
 * If the config says so, one of many objects is guarded (guard_pool.h): the heap chooses it when it
 * loads a magazine, its usable bytes are those that were asked for, and wrong uses of it fault or
 * are found when it is freed.
 *
 * A drain looks only at the classes that have blocks: for empty blocks first, and, if those are not
 * enough, whether emptying magazines may bring blocks back. Free memory is what is free in the
 * blocks; objects in magazines do not count for what a drain leaves. Runs that handlers have freed
 * go first, block by block.
 *
 * Contexts: as objcache.h; a drain, the counts, init and fini in tasks only. A handler gets no run,
 * and a run that it frees waits until a task allocates, frees or drains runs of this heap.
 *
 * Lock: [SC] `class_lock`, a leaf.
 */
#pragma once

#include "free_delay.h"
#include "guard_pool.h"
#include "objcache.h"

#define GENERAL_HEAP_SMALL_BYTES 4096 /* up to here a table finds the class */
#define GENERAL_HEAP_NAME_BYTES  32
#define GENERAL_HEAP_CLASSES_MAX (64 * OBJCACHE_GROUP_WORDS)

/* Steps of sizes: eight up to 128 bytes, and eight for each doubling up to OBJCACHE_OBJECT_MAX. */
#define GENERAL_HEAP_STEPS (8 * (BLOCK_SHIFT - 7))

struct general_heap_config {
	const char *name;
	bool powers_only;      /* classes are powers of two from 64 bytes on: objects never cross a multiple of their size */
	uint64_t retain_bytes; /* free bytes that a drain leaves in all classes together */
	struct guard_config guard;
	struct block_source *source;
	struct block_source *runs; /* for what is too large for a class */
	struct metadata_heap *metadata;
	struct cleaner_registry *cleaners; /* NULL: no cleaner drains it, until its maker registers group.cleaner */
};

struct general_heap_class {
	char name[GENERAL_HEAP_NAME_BYTES]; /* [I] */
	uint8_t power;                      /* [I] the class of the next power of two */
	_Atomic bool is_own;                /* [SC], read without: it serves itself, instead of `power` */
	_Atomic uint32_t samples;           /* magazines loaded for it lately, about */
	_Atomic uint64_t used_before;       /* objects at the last drain */
};

struct general_heap {
	/*
	 * [SC], read without: the serving cache by (bytes - 1) / 16; first, which saves an
	 * instruction
	 */
	struct objcache *_Atomic small[GENERAL_HEAP_SMALL_BYTES / 16];
	struct caching_heap caching;
	struct objcache_map map;           /* [I] */
	_Atomic uint32_t own_classes;      /* [SC], read without: own ones, no powers of two */
	uint8_t steps[GENERAL_HEAP_STEPS]; /* [I] the first class that may be large enough */
	struct general_heap_config config; /* [I] */
	struct block_heap *heap;           /* [I] */
	struct owner runs;                 /* owner of the runs */
	struct guard_pool guard;
	struct free_delay delay;
	_Atomic uint64_t full_until_ns;  /* a class got no block lately */
	unsigned classes;                /* [I] */
	struct objcache *cache;          /* [I] by class, smallest first */
	struct list *_Atomic freed_runs; /* runs that handlers freed: a stack, by `next` */
	struct spinlock class_lock;      /* [SC] not taken in handlers */
	struct objcache_group group;     /* of all classes */
	struct general_heap_class class_info[GENERAL_HEAP_CLASSES_MAX];
};

/* STATUS_NO_MEMORY: no memory for metadata. */
status_t general_heap_init(struct general_heap *heap, const struct general_heap_config *config) MUST_CHECK;
status_t general_heap_fini(struct general_heap *heap) MUST_CHECK; /* STATUS_BUSY: something is still allocated */

void *general_heap_alloc(struct general_heap *heap, size_t bytes, size_t alignment);
void general_heap_free(struct general_heap *heap, void *memory);

/*
 * The same for a caller that allocates for another call site, which reports then name; somewhat
 * slower, and guarded more often.
 */
void *general_heap_alloc_at(struct general_heap *heap, size_t bytes, size_t alignment, const void *site);
void general_heap_free_at(struct general_heap *heap, void *memory, const void *site);

/*
 * Makes an allocation larger or smaller; its content stays as far as it fits. The allocation stays
 * in place if the new size has the same class or fills at least half of it and the alignment
 * allows; otherwise it moves. NULL: as for alloc, and then `memory` is as it was; 0 bytes free
 * nothing. `memory` NULL: as alloc.
 */
void *general_heap_resize(struct general_heap *heap, void *memory, size_t bytes, size_t alignment);

/* The cache that serves such objects now, or NULL if they take runs or the arguments are wrong. */
struct objcache *general_heap_cache(struct general_heap *heap, size_t bytes, size_t alignment);

/* The bytes that the allocation really has; the caller may use all of them from then on. */
size_t general_heap_usable_bytes(struct general_heap *heap, const void *memory);

/*
 * Debug builds: ends the free delay of all objects, so that counts of the classes are exact. Any
 * context. False: no object waited.
 */
bool general_heap_settle(struct general_heap *heap);

/* Bytes allocated, rounded up to their classes. */
uint64_t general_heap_used_bytes(struct general_heap *heap);

/*
 * Checks the sums over its objcaches, not the objcaches; for tests. No operation may be under way.
 */
bool general_heap_is_valid(struct general_heap *heap);
