// SPDX-License-Identifier: BSD-2-Clause
/*
 * The interface of a heap. Heaps compose behind it: code that needs memory takes a `struct heap *`
 * and does not know which one.
 *
 * 1. alloc returns memory aligned as asked (a power of two; 0 means 16), or NULL. Contents are
 *    undefined.
 * 2. free takes what alloc of the same heap returned, or NULL, and needs no size.
 * 3. Both may be called with preemption off and in interrupt handlers unless the heap says
 *    otherwise; a heap that can wait for memory does so only where platform_may_sleep().
 *
 * A caching heap also keeps free memory of its own for speed, and gives it back on request.
 */
#pragma once

#include "types.h"

struct heap {
	const char *name;
	void *(*alloc)(struct heap *heap, size_t bytes, size_t alignment);
	void (*free)(struct heap *heap, void *memory);
};

static inline void *heap_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	return heap->alloc(heap, bytes, alignment);
}

static inline void heap_free(struct heap *heap, void *memory)
{
	heap->free(heap, memory);
}

/* The same, filled with zeros. */
static inline void *heap_alloc_zeroed(struct heap *heap, size_t bytes, size_t alignment)
{
	void *memory = heap_alloc(heap, bytes, alignment);

	if (memory)
		__builtin_memset(memory, 0, bytes);
	return memory;
}

/* `count` elements of so many bytes each; NULL also where the product does not fit into size_t. */
static inline void *heap_alloc_array(struct heap *heap, size_t count, size_t bytes, size_t alignment)
{
	size_t all;

	return __builtin_mul_overflow(count, bytes, &all) ? NULL : heap_alloc(heap, all, alignment);
}

struct caching_heap {
	struct heap heap;
	/*
	 * Gives whole blocks back to the parent until `bytes` went there, or one more would leave
	 * less than `retain` bytes free here. Returns the bytes that this call handed to the
	 * parent: at most `bytes` rounded up to a block. Any values: with UINT64_MAX, all that may
	 * go, or all stays. Waits for no I/O and for no other task. In tasks.
	 */
	uint64_t (*drain)(struct caching_heap *heap, uint64_t bytes, uint64_t retain);
};

static inline uint64_t caching_heap_drain(struct caching_heap *heap, uint64_t bytes, uint64_t retain)
{
	return heap->drain(heap, bytes, retain);
}
