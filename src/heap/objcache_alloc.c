/* Alloc and free: the functions that are called, and their long ways, which load and unload magazines. */
#include "objcache_internal.h"
#include "objcache_magazine.h"

/* Loads and unloads ------------------------------------------------------------------------------------------------------- */

/*
 * True if no block could be emptied by moving all objects together, but for the few holes of blocks that are nearly full: then
 * there is no better place for an object than where it is.
 */
static bool is_compact_locked(const struct objcache *cache)
{
	const uint64_t all = cache->objects_per_block;
	const uint64_t holes = cache->counts.objects - cache->taken - cache->counts.empty_blocks * all;

	return holes < all + cache->counts.blocks * cache->worthwhile_objects;
}

/* What was freed is what is allocated next. The magazine to allocate from is empty. */
static void swap_locked(struct objcache *cache, struct objcache_cpu *own)
{
	struct objcache_magazine *empty = own->alloc;
	const uint32_t count = objcache_own_free_count(own);

	objcache_own_alloc_set(own, own->free, count);
	objcache_own_free_set(cache, own, empty);
	own->loaded += count;
	own->unloaded += count;
}

/*
 * On top of what was freed here, three quarters are enough: so both magazines together have room for it when more is freed than
 * allocated for a while, and do not hand full ones to the depot, and to other CPUs, only to ask for others soon.
 */
static void load_from_blocks_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t have = objcache_own_alloc_count(own);
	const uint32_t want = cache->magazine_slots / 4 * (have == 0 ? 4 : 3);
	const uint32_t count = objcache_take_locked(cache, own->alloc->slots + 1 + have, want - have);

	objcache_own_alloc_set(own, own->alloc, have + count);
	own->loaded += count;
}

/*
 * The magazine to allocate from is empty. Where nothing has been freed since the last time, the cache grows, and takes what is
 * quickest; otherwise objects come and go, and places matter. True: what is loaded now comes from the depot.
 */
static bool load_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const bool compact = is_compact_locked(cache);

	if ((objcache_own_free_count(own) == 0 || (compact && objcache_own_free_count(own) < cache->magazine_slots / 2)) &&
	    objcache_depot_load_locked(cache, own))
		return true;
	if (compact)
		swap_locked(cache, own);
	else
		objcache_own_free_put_locked(cache, own);
	if (objcache_own_alloc_count(own) < cache->magazine_slots / 2)
		load_from_blocks_locked(cache, own);
	return objcache_own_alloc_count(own) == 0 && objcache_depot_load_locked(cache, own);
}

#define REST_SHARE 4 /* of a magazine: who has no more left than that will soon want what has just been freed */

/*
 * The magazine to free into is full. In the depot it is for whoever comes first: who frees about as much as he allocates rather
 * gives up the few objects that are left of the other one.
 */
static void unload_locked(struct objcache *cache, struct objcache_cpu *own)
{
	if (objcache_own_alloc_count(own) <= cache->magazine_slots / REST_SHARE && is_compact_locked(cache)) {
		objcache_own_alloc_put_locked(cache, own);
		swap_locked(cache, own);
	} else if (!objcache_depot_store_locked(cache, own)) {
		objcache_own_free_put_locked(cache, own);
	}
}

/* *cold: the objects come from the depot. */
static void *own_alloc_locked(struct objcache *cache, struct objcache_cpu *own, bool *cold)
{
	struct objcache_slot *top;

	if (objcache_own_alloc_count(own) == 0)
		*cold = load_locked(cache, own);
	if (objcache_own_alloc_count(own) == 0)
		return NULL;
	top = objcache_own_alloc_top(own);
	if (*top->state != OBJECT_CACHED)
		objcache_object_is_wrong(cache, top->object, "was freed twice at once", NULL);
	*top->state = OBJECT_ALLOCATED;
	atomic_store_explicit(&own->alloc_top, top - 1, memory_order_relaxed);
	return top->object;
}

static void own_free_locked(struct objcache *cache, struct objcache_cpu *own, const struct objcache_slot *slot)
{
	if (objcache_own_free_top(own) == own->free_limit)
		unload_locked(cache, own);
	*objcache_own_free_top(own) = *slot;
	atomic_store_explicit(&own->free_top, objcache_own_free_top(own) + 1, memory_order_relaxed);
}

#define PREFETCH_BYTES_MAX 1024 /* objects up to here; the first line of a larger one is a small part of what it costs */

/* What the CPU allocates next was freed long ago, in any order: all at once it comes sooner than one by one. */
static void prefetch_next(const struct objcache *cache)
{
	const struct objcache_cpu *own;

	if (cache->config.object_bytes > PREFETCH_BYTES_MAX)
		return;
	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_acquire);
	if (own->alloc) {
#pragma GCC unroll 16
		for (const struct objcache_slot *slot = objcache_own_alloc_top(own); slot > own->alloc->slots; slot--)
			__builtin_prefetch(slot->object, 1);
	}
	platform_preempt_enable();
}

/* The long ways ----------------------------------------------------------------------------------------------------------- */

/* An object without a magazine of this CPU's. */
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

/* Gives back what has become empty, if the cache has more of it than it keeps. */
static void unlock_and_give(struct objcache *cache, uint64_t state)
{
	const bool has_surplus = cache->counts.empty_blocks > cache->spared_blocks;

	spinlock_unlock_interrupts(&cache->lock, state);
	if (!objcache_likely(!has_surplus))
		objcache_surplus_give(cache);
}

/* A CPU that comes for the first time gets magazines, if there is memory. */
static void own_prepare(struct objcache *cache)
{
	if (!atomic_load_explicit(&cache->own[platform_cpu_slot()], memory_order_relaxed) && cache->magazine_slots != 0 &&
	    objcache_may_trade())
		objcache_own_make(cache);
}

static void *alloc_held_slow(struct objcache *cache)
{
	struct objcache_cpu *own;
	bool cold = false;
	uint64_t state;
	void *object;

	own_prepare(cache);
	state = spinlock_lock_interrupts(&cache->lock);
	own = objcache_own_locked(cache);
	object = own ? own_alloc_locked(cache, own, &cold) : single_alloc_locked(cache);
	unlock_and_give(cache, state);
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
	uint64_t state;
	void *object = NULL;

	if (!grow)
		return alloc_held_slow(cache);
	objcache_forbid_cleaning(cache);
	if (!block_heap_must_fail(cache->heap, cache->config.name, cache->config.object_bytes))
		object = alloc_growing(cache);
	if (!object) {
		state = spinlock_lock_interrupts(&cache->lock);
		cache->counts.failures++;
		spinlock_unlock_interrupts(&cache->lock, state);
	}
	return object;
}

static void free_locked(struct objcache *cache, const struct objcache_slot *slot)
{
	struct objcache_cpu *own = objcache_own_locked(cache);

	*slot->state = OBJECT_CACHED;
	if (!own) {
		objcache_put_locked(cache, slot, 1);
		cache->counts.frees++;
		return;
	}
	own_free_locked(cache, own, slot);
}

void objcache_free_slow(struct objcache *cache, void *object, const void *site)
{
	const struct block *block = objcache_map_find(&cache->map, object);
	struct objcache_slot slot = { .object = object };
	uint64_t state;

	if (!object)
		return;
	if (!block || block->cache != cache)
		objcache_object_is_wrong(cache, object, "is no memory of this cache", site);
	slot.state = objcache_state(cache, block, object);
	if (!slot.state || *slot.state == OBJECT_NONE)
		objcache_object_is_wrong(cache, object, "is not the start of an object", site);

	own_prepare(cache);
	objcache_spare_prepare(cache);
	state = spinlock_lock_interrupts(&cache->lock);
	if (*slot.state != OBJECT_ALLOCATED)
		objcache_object_is_wrong(cache, object, "is free already", site);
	free_locked(cache, &slot);
	unlock_and_give(cache, state);
}

void *objcache_alloc(struct objcache *cache)
{
	void *object;

	if (OBJCACHE_DEBUG)
		objcache_forbid_cleaning(cache);
	object = objcache_alloc_fast(cache);
	if (!objcache_likely(object))
		object = objcache_alloc_slow(cache, true);
	if (OBJCACHE_DEBUG)
		objcache_debug_alloc(cache, object, cache->config.object_bytes, __builtin_return_address(0));
	return object;
}

void *objcache_alloc_held(struct objcache *cache)
{
	void *object = objcache_alloc_fast(cache);

	if (!objcache_likely(object))
		object = objcache_alloc_slow(cache, false);
	if (OBJCACHE_DEBUG)
		objcache_debug_alloc(cache, object, cache->config.object_bytes, __builtin_return_address(0));
	return object;
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
