// SPDX-License-Identifier: BSD-2-Clause
/*
 * The fast paths of alloc and free, which objcache and general heap have inline: under the
 * preemption count, without a lock, a saved flag or a locked instruction. Each gives up if a
 * magazine is empty or full, if there is no magazine, if the caller is an interrupt handler (which
 * has slot 0, where no cache has a magazine), or if the free is wrong; the slow path finds out
 * which.
 */
#pragma once

#include "objcache.h"

#define objcache_likely(condition) __builtin_expect(!!(condition), 1)

static inline struct objcache_slot *objcache_stack_top(const struct objcache_stack *stack)
{
	return atomic_load_explicit(&stack->top, memory_order_relaxed);
}

/* NULL: take the slow path. A magazine's lowest slot has a state that is not OBJECT_CACHED. */
static inline void *objcache_alloc_fast(struct objcache *cache)
{
	struct objcache_cpu *own;
	struct objcache_slot *top;
	void *object = NULL;

	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_acquire);
	top = objcache_stack_top(&own->alloc) - 1;
	if (objcache_likely(*top->state == OBJECT_CACHED)) {
		*top->state = OBJECT_ALLOCATED;
		atomic_store_explicit(&own->alloc.top, top, memory_order_relaxed);
		platform_compiler_barrier(); /* read last, into the register that returns it */
		object = top->object;
		if (!object)
			__builtin_unreachable();
	}
	platform_preempt_enable();
	return object;
}

static inline struct objcache_map objcache_map_make(const struct block_heap *heap)
{
	return (struct objcache_map){
		.start = (uintptr_t)platform_virt((struct phys_addr){ heap->first_block << BLOCK_SHIFT }),
		.bytes = heap->count << BLOCK_SHIFT,
		.blocks = heap->blocks,
	};
}

/* The object's offset in the memory of the block heap; beyond its end for a foreign address. */
static inline uint64_t objcache_map_offset(const struct objcache_map *map, const void *object)
{
	return (uintptr_t)object - map->start;
}

static inline struct block *objcache_map_find(const struct objcache_map *map, const void *object)
{
	const uint64_t offset = objcache_map_offset(map, object);

	return offset < map->bytes ? &map->blocks[offset >> BLOCK_SHIFT] : NULL;
}

/*
 * The number of the object in its block; false: no object begins there. Lemire, Kaser, Kurz:
 * "Faster Remainder by Direct Computation": the upper half of the product is the quotient, and the
 * division leaves no remainder if the lower half is below the inverse.
 */
static inline bool objcache_index(const struct objcache *cache, uint64_t offset, uint64_t *index)
{
	const unsigned __int128 product = (unsigned __int128)(offset & (BLOCK_BYTES - 1)) * cache->inverse;

	*index = (uint64_t)(product >> 64);
	return (uint64_t)product < cache->inverse;
}

/* The object's state; NULL: no object of the cache begins there. */
static inline uint8_t *objcache_state_find(const struct objcache *cache, const void *object)
{
	const struct block *block = objcache_map_find(&cache->map, object);
	uint64_t index;

	if (!block || block->cache != cache || !objcache_index(cache, objcache_map_offset(&cache->map, object), &index))
		return NULL;
	return &block->states[index];
}

/* The caller passes the object's block and offset. False: nothing was done. */
static inline bool objcache_free_fast(struct objcache *cache, const struct block *block, uint64_t offset, void *object)
{
	struct objcache_cpu *own;
	struct objcache_slot *top;
	bool done = false;
	uint64_t index;
	uint8_t *state;

	if (!objcache_likely(objcache_index(cache, offset, &index)))
		return false;
	state = &block->states[index];
	if (!objcache_likely(*state == OBJECT_ALLOCATED))
		return false;
	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_acquire);
	top = objcache_stack_top(&own->free);
	if (objcache_likely(top != own->free.limit)) {
		*state = OBJECT_CACHED;
		*top = (struct objcache_slot){ object, state };
		atomic_store_explicit(&own->free.top, top + 1, memory_order_relaxed);
		done = true;
	}
	platform_preempt_enable();
	return done;
}

/* The slow paths; `site`: the caller, for reports. */
void *objcache_alloc_slow(struct objcache *cache, bool grow);
void objcache_free_slow(struct objcache *cache, void *object, const void *site);

/*
 * A task that cleans takes only objects that the cache holds. Debug builds check that at each call,
 * others where a magazine is empty.
 */
static inline void objcache_forbid_cleaning(const struct objcache *cache)
{
	if (__builtin_expect(platform_is_cleaning(), 0))
		platform_panic("objcache %s is asked for an object while the task cleans memory", cache->config.name);
}

/*
 * What debug builds do beside each operation: called only if OBJCACHE_DEBUG. A NULL cache or
 * object: does nothing.
 */
void objcache_debug_alloc(struct objcache *cache, void *object, size_t bytes, const void *site);
void objcache_debug_resize(const struct objcache *cache, const void *object, size_t bytes);
bool objcache_debug_free(struct objcache *cache, void *object, const void *site); /* true: it may wait */
