/*
 * The general heap: memory of any size from 16 bytes on, behind struct heap. Size classes over objcaches up to 1 MB, runs of
 * whole blocks above. Free finds the class by the physical address, so it needs no size.
 *
 * Results: alloc returns NULL for 0 bytes, for an alignment that is no power of two, for more than the machine has, and when
 * there is no memory. The alignment is that of the physical address, too. Alignment 0 means 16. When a class has no object left
 * and gets no block, a class up to four times as large stands in.
 *
 * Contexts: as objcache.h.
 */
#pragma once

#include "objcache.h"

#define GENERAL_HEAP_CLASSES_MAX 32
#define GENERAL_HEAP_SMALL_BYTES 1024 /* up to here a table finds the class */
#define GENERAL_HEAP_NAME_BYTES  32

/* Takes runs of blocks; beside block_source, which takes single ones. */
struct run_source {
	status_t (*take)(struct run_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment_bytes,
			 struct phys_addr *run);
	void (*give)(struct run_source *source, struct phys_addr run);
};

struct general_heap_config {
	const char *name;
	bool powers_only;      /* classes are powers of two from 64 bytes on: objects never cross a multiple of their size */
	uint64_t retain_bytes; /* free bytes that a drain leaves in all classes together */
	struct block_source *source;
	struct run_source *runs;
	struct bookkeeping *bookkeeping;
	struct cleaner_registry *cleaners; /* NULL: general_heap_register comes later, or nobody drains it */
};

struct general_heap {
	struct caching_heap caching;
	struct general_heap_config config;                      /* [I] */
	struct block_heap *heap;                                /* [I] */
	struct owner runs;                                      /* owner of the runs */
	unsigned classes;                                       /* [I] */
	uint8_t small_class[GENERAL_HEAP_SMALL_BYTES / 16 + 1]; /* [I] by bytes / 16, rounded up */
	char class_name[GENERAL_HEAP_CLASSES_MAX][GENERAL_HEAP_NAME_BYTES];
	struct objcache cache[GENERAL_HEAP_CLASSES_MAX];
	struct cleaner cleaner;
};

status_t general_heap_init(struct general_heap *heap, const struct general_heap_config *config) MUST_CHECK;
status_t general_heap_fini(struct general_heap *heap) MUST_CHECK; /* STATUS_BUSY: something is still allocated */

/* Has the heap drained by this registry; once. Any task context. */
void general_heap_register(struct general_heap *heap, struct cleaner_registry *cleaners);

void *general_heap_alloc(struct general_heap *heap, size_t bytes, size_t alignment);
void general_heap_free(struct general_heap *heap, void *memory);

/* The class for such objects, or NULL if they take runs or the arguments are wrong. */
struct objcache *general_heap_cache(struct general_heap *heap, size_t bytes, size_t alignment);

/* Bytes that the allocation really has. */
size_t general_heap_usable_bytes(struct general_heap *heap, const void *memory);

/* Bytes allocated, rounded up to their classes. */
uint64_t general_heap_used_bytes(struct general_heap *heap);
