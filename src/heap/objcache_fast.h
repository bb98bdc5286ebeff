/*
 * The short ways of alloc and free, which objcache and general heap have inline: under the preemption count, without a lock, a
 * saved flag or an instruction that is locked. Each gives up where a magazine is empty or full, there is none, the caller is an
 * interrupt handler (which has slot 0, where no cache has a magazine), or the free is wrong; the long way finds out which.
 */
#pragma once

#include "objcache.h"

#define objcache_likely(condition) __builtin_expect(!!(condition), 1)

/* NULL: only the long way. A magazine's lowest slot has a state that is not OBJECT_CACHED. */
static inline void *objcache_alloc_fast(struct objcache *cache)
{
	struct objcache_cpu *own;
	struct objcache_slot *top;
	void *object = NULL;

	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_relaxed);
	top = atomic_load_explicit(&own->alloc_top, memory_order_relaxed);
	if (objcache_likely(*top->state == OBJECT_CACHED)) {
		*top->state = OBJECT_ALLOCATED;
		object = top->object;
		atomic_store_explicit(&own->alloc_top, top - 1, memory_order_relaxed);
	}
	platform_preempt_enable();
	return object;
}

static inline struct block *objcache_map_find(const struct objcache_map *map, const void *object)
{
	const uint64_t number = ((uintptr_t)object - map->start) >> BLOCK_SHIFT;

	return number < map->count ? &map->blocks[number] : NULL;
}

/*
 * The object's state, or NULL if no object begins there. Lemire, Kaser, Kurz: "Faster Remainder by Direct Computation": the upper
 * half of the product is the quotient, and the division leaves no remainder if the lower half is below the inverse.
 */
static inline uint8_t *objcache_state(const struct objcache *cache, const struct block *block, const void *object)
{
	const uint64_t offset = ((uintptr_t)object - cache->map.start) & (BLOCK_BYTES - 1);
	const unsigned __int128 product = (unsigned __int128)offset * cache->inverse;

	return (uint64_t)product < cache->inverse ? &block->states[product >> 64] : NULL;
}

/* False: nothing was done, or the state is OBJECT_CACHED and the object in no magazine yet. */
static inline bool objcache_free_fast(struct objcache *cache, const struct block *block, void *object)
{
	uint8_t *state = objcache_state(cache, block, object);
	struct objcache_cpu *own;
	struct objcache_slot *top;
	bool done = false;

	if (!objcache_likely(state && *state == OBJECT_ALLOCATED))
		return false;
	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_relaxed);
	top = atomic_load_explicit(&own->free_top, memory_order_relaxed);
	if (objcache_likely(top != own->free_limit)) {
		*state = OBJECT_CACHED;
		*top = (struct objcache_slot){ object, state };
		atomic_store_explicit(&own->free_top, top + 1, memory_order_relaxed);
		done = true;
	}
	platform_preempt_enable();
	return done;
}

/* The long ways; `site`: the caller, for reports. */
void *objcache_alloc_slow(struct objcache *cache, bool grow);
void objcache_free_slow(struct objcache *cache, void *object, const void *site);

/* Who cleans memory must not ask for any but what is held. Debug builds always look, others where a magazine is empty. */
static inline void objcache_forbid_cleaning(const struct objcache *cache)
{
	if (__builtin_expect(platform_is_cleaning(), 0))
		platform_panic("objcache %s is asked for an object while the task cleans memory", cache->config.name);
}

/* What debug builds do beside each operation. */
#ifdef WEIR_DEBUG
static inline void objcache_debug_begin(const struct objcache *cache)
{
	objcache_forbid_cleaning(cache);
}
void objcache_debug_alloc(struct objcache *cache, void *object, const void *site);
void objcache_debug_free(struct objcache *cache, void *object, const void *site);
#else
static inline void objcache_debug_begin(const struct objcache *cache)
{
	(void)cache;
}
static inline void objcache_debug_alloc(struct objcache *cache, void *object, const void *site)
{
	(void)cache, (void)object, (void)site;
}
static inline void objcache_debug_free(struct objcache *cache, void *object, const void *site)
{
	(void)cache, (void)object, (void)site;
}
#endif
