// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the general heap share; no other file includes it.
 *
 *	general_heap.c		alloc, free, resize, draining, beginning and end
 *	general_heap_classes.c	which sizes there are, and which class serves which
 *	general_heap_runs.c	what is larger than any class
 */
#pragma once

#include "general_heap.h"

static inline size_t general_heap_class_bytes(const struct general_heap *heap, unsigned class)
{
	return heap->cache[class].config.object_bytes;
}

/* The smallest class that is large enough and aligned; heap->classes: none. */
unsigned general_heap_class_of(const struct general_heap *heap, size_t bytes, size_t alignment);

/* The same, searching from `class` on. */
unsigned general_heap_class_find(const struct general_heap *heap, unsigned class, size_t bytes, size_t alignment);

/* The class that serves this one. */
static inline unsigned general_heap_server(const struct general_heap *heap, unsigned class)
{
	const struct general_heap_class *info = &heap->class_info[class];

	return atomic_load_explicit(&info->is_own, memory_order_relaxed) ? class : info->power;
}

/*
 * The class that serves objects of `class` from now on; called when a magazine has to be loaded for
 * it. That is `class` itself if the memory for its own blocks is there, or a block is saved, as far
 * as the counts of such loads tell. A class that serves itself writes to nothing that all CPUs
 * read.
 */
unsigned general_heap_server_choose(struct general_heap *heap, unsigned class);

/* Lets classes with few objects share the blocks of a power of two again. */
void general_heap_classes_review(struct general_heap *heap);

/*
 * The first block of an allocated run. From its free until it is given back, the block's `holder`
 * is not NULL.
 */
struct block *general_heap_run_of(struct general_heap *heap, const void *memory);

/* In any context; NULL in a handler. */
void *general_heap_run_alloc(struct general_heap *heap, size_t bytes, size_t alignment);
void general_heap_run_free(struct general_heap *heap, void *memory);

/*
 * Gives back the runs that handlers have freed, block by block, as far as the target wants them;
 * returns the bytes. In tasks.
 */
uint64_t general_heap_freed_runs_give(struct general_heap *heap, const struct reclaim_target *target);

/* STATUS_NO_MEMORY: no memory for metadata. */
status_t general_heap_classes_init(struct general_heap *heap) MUST_CHECK;
void general_heap_classes_fini(struct general_heap *heap); /* the caches are empty */
