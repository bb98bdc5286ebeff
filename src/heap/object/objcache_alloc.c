// SPDX-License-Identifier: BSD-2-Clause
/*
 * Alloc and free of an objcache. The fast path, a pop or a push on a magazine of the CPU, is in
 * objcache_fast.h; here are the functions that callers use, and the slow path: with the lock,
 * through the depot and the blocks, up to a new block.
 */
#include "objcache_internal.h"
#include "objcache_magazine.h"

#define PREFETCH_BYTES_MAX 1024 /* only smaller objects: of larger ones, the first line is little */

/*
 * Prefetches the objects that the CPU allocates next. They were freed long ago, in any order;
 * fetched at once they come sooner than one by one.
 */
static void prefetch_next(const struct objcache *cache)
{
	const struct objcache_cpu *own;

	if (cache->config.object_bytes > PREFETCH_BYTES_MAX)
		return;
	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_acquire);
	if (own->alloc.magazine) {
		const struct objcache_slot *slots = own->alloc.magazine->slots;

#pragma GCC unroll 16
		for (const struct objcache_slot *slot = objcache_stack_top(&own->alloc) - 1; slot > slots; slot--)
			__builtin_prefetch(slot->object, 1);
	}
	platform_preempt_enable();
}

/* Slow paths ----------------------------------------------------------------------------------- */

/* Allocates for a CPU that has no magazines. */
static void *single_alloc_locked(struct objcache *cache)
{
	struct objcache_slot slot;

	while (objcache_take_locked(cache, &slot, 1) == 0)
		if (!objcache_depot_flush_locked(cache))
			return NULL;
	*slot.state = OBJECT_ALLOCATED;
	cache->counts.allocs++;
	return slot.object;
}

/*
 * Releases the lock. A CPU without magazines gets some for the next time, and blocks that have
 * become empty go back, beyond those that the cache keeps.
 */
static inline void unlock_and_give(struct objcache *cache, const struct objcache_cpu *own, uint64_t state)
{
	const bool has_surplus = cache->counts.empty_blocks > cache->spared_blocks;

	spinlock_unlock_interrupts(&cache->lock, state);
	if (!own)
		objcache_cpu_prepare(cache);
	if (!objcache_likely(!has_surplus) && objcache_may_trade())
		(void)objcache_give_empty(cache, cache->spared_blocks, 0);
}

static void *alloc_held_slow(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	struct objcache_cpu *own = objcache_cpu_get_locked(cache);
	bool cold = false;
	void *object;

	object = own ? objcache_cpu_alloc_locked(cache, own, &cold) : single_alloc_locked(cache);
	unlock_and_give(cache, own, state);
	if (cold)
		prefetch_next(cache);
	return object;
}

static void *alloc_growing(struct objcache *cache)
{
	void *object;

	while (!(object = alloc_held_slow(cache))) {
		if (platform_in_handler())
			return NULL;
		if (objcache_grow(cache, NULL) != STATUS_OK) {
			objcache_flush(cache);
			return alloc_held_slow(cache);
		}
	}
	return object;
}

void *objcache_alloc_slow(struct objcache *cache, bool grow)
{
	void *object = NULL;

	if (!grow)
		return alloc_held_slow(cache);
	objcache_forbid_cleaning(cache);
	if (!block_heap_must_fail(cache->heap, cache->config.name, cache->config.object_bytes))
		object = alloc_growing(cache);
	if (!object) {
		const uint64_t state = spinlock_lock_interrupts(&cache->lock);

		cache->counts.failures++;
		spinlock_unlock_interrupts(&cache->lock, state);
	}
	return object;
}

void objcache_free_slow(struct objcache *cache, void *object, const void *site)
{
	const struct objcache_slot slot = { object, objcache_state_find(cache, object) };
	struct objcache_cpu *own;
	uint64_t state;

	if (!object)
		return;
	if (!slot.state || *slot.state == OBJECT_NONE) {
		const struct block *block = objcache_map_find(&cache->map, object);
		const bool is_ours = block && block->cache == cache;

		objcache_object_is_wrong(cache, object,
					 is_ours ? "is not the start of an object" : "is no memory of this cache", site);
	}
	objcache_spare_prepare(cache);
	state = spinlock_lock_interrupts(&cache->lock);
	if (*slot.state != OBJECT_ALLOCATED)
		objcache_object_is_wrong(cache, object, "is free already", site);
	*slot.state = OBJECT_CACHED;
	own = objcache_cpu_get_locked(cache);
	if (own)
		objcache_cpu_free_locked(cache, own, &slot);
	else
		objcache_put_locked(cache, &slot, 1);
	unlock_and_give(cache, own, state);
}

static inline __attribute__((always_inline)) void *alloc(struct objcache *cache, bool grow, const void *site)
{
	void *object;

	if (OBJCACHE_DEBUG && grow)
		objcache_forbid_cleaning(cache);
	object = objcache_alloc_fast(cache);
	if (!objcache_likely(object))
		object = objcache_alloc_slow(cache, grow);
	if (OBJCACHE_DEBUG)
		objcache_debug_alloc(cache, object, cache->config.object_bytes, site);
	return object;
}

void *objcache_alloc(struct objcache *cache)
{
	return alloc(cache, true, __builtin_return_address(0));
}

void *objcache_alloc_held(struct objcache *cache)
{
	return alloc(cache, false, __builtin_return_address(0));
}

void objcache_free(struct objcache *cache, void *object)
{
	const uint64_t offset = objcache_map_offset(&cache->map, object);
	const struct block *block;

	if (OBJCACHE_DEBUG)
		(void)objcache_debug_free(cache, object, __builtin_return_address(0));
	if (objcache_likely(offset < cache->map.bytes)) {
		block = &cache->map.blocks[offset >> BLOCK_SHIFT];
		if (objcache_likely(block->cache == cache && objcache_free_fast(cache, block, offset, object)))
			return;
	}
	objcache_free_slow(cache, object, __builtin_return_address(0));
}
