/*
 * What the files of the general heap share; nobody else includes it.
 *
 *	general_heap.c		alloc, free, resize, draining, beginning and end
 *	general_heap_classes.c	which sizes there are, and who serves them
 *	general_heap_runs.c	what is larger
 */
#pragma once

#include "general_heap.h"

static inline size_t general_heap_class_bytes(const struct general_heap *heap, unsigned class)
{
	return heap->cache[class].config.object_bytes;
}

/* The smallest class that is large enough and aligned; heap->classes: none. */
unsigned general_heap_class_of(const struct general_heap *heap, size_t bytes, size_t alignment);

/* The same, from `class` on. */
unsigned general_heap_class_find(const struct general_heap *heap, unsigned class, size_t bytes, size_t alignment);

/* The class that serves this one. */
static inline unsigned general_heap_server(const struct general_heap *heap, unsigned class)
{
	const struct general_heap_class *info = &heap->class_info[class];

	return atomic_load_explicit(&info->is_own, memory_order_relaxed) ? class : info->power;
}

/*
 * The class that serves one that has to be loaded, from now on: that one itself if the memory for it is there or a block is
 * saved, as far as notes of such loads tell. A class that serves itself writes nothing that all CPUs look at.
 */
unsigned general_heap_server_choose(struct general_heap *heap, unsigned class);

/* Has classes with few objects served by a power of two again. */
void general_heap_classes_review(struct general_heap *heap);

/* The first block of a run that is allocated; once it has been freed, its `holder` is not NULL until it has been given back. */
struct block *general_heap_run_of(struct general_heap *heap, const void *memory);

/* In any context; NULL in a handler. */
void *general_heap_run_alloc(struct general_heap *heap, size_t bytes, size_t alignment);
void general_heap_run_free(struct general_heap *heap, void *memory);

/* Gives back what handlers have freed, block by block, as far as the target wants it; returns the bytes. In tasks. */
uint64_t general_heap_freed_runs_give(struct general_heap *heap, const struct reclaim_target *target);

/* STATUS_NO_MEMORY: no bookkeeping memory. */
status_t general_heap_classes_init(struct general_heap *heap) MUST_CHECK;
void general_heap_classes_fini(struct general_heap *heap); /* the caches are empty */
