/* What the files of the objcache share about magazines; nobody else includes it. `_locked`: with [C] held. */
#pragma once

#include "objcache.h"

/*
 * A CPU's magazines, in objcache_magazine.c. The CPU takes objects off the top of `alloc` and puts them on the top of `free`.
 * All else is done under [C], by that CPU or, once it has been detached and is not in the middle of something, by others.
 */
static inline struct objcache_slot *objcache_own_alloc_top(const struct objcache_cpu *own)
{
	return atomic_load_explicit(&own->alloc_top, memory_order_relaxed);
}

static inline struct objcache_slot *objcache_own_free_top(const struct objcache_cpu *own)
{
	return atomic_load_explicit(&own->free_top, memory_order_relaxed);
}

static inline uint32_t objcache_own_alloc_count(const struct objcache_cpu *own)
{
	return (uint32_t)(objcache_own_alloc_top(own) - own->alloc->slots);
}

static inline uint32_t objcache_own_free_count(const struct objcache_cpu *own)
{
	return (uint32_t)(objcache_own_free_top(own) - (own->free->slots + 1));
}

static inline void objcache_own_alloc_set(struct objcache_cpu *own, struct objcache_magazine *magazine, uint32_t count)
{
	own->alloc = magazine;
	atomic_store_explicit(&own->alloc_top, magazine->slots + count, memory_order_relaxed);
}

static inline void objcache_own_free_set(const struct objcache *cache, struct objcache_cpu *own,
					 struct objcache_magazine *magazine)
{
	own->free = magazine;
	own->free_limit = magazine->slots + 1 + cache->magazine_slots;
	atomic_store_explicit(&own->free_top, magazine->slots + 1, memory_order_relaxed);
}

/* No CPU has magazines. */
void objcache_magazines_init(struct objcache *cache);

/* Gives the memory of those of all CPUs back, which are empty. */
void objcache_magazines_fini(struct objcache *cache);

/* Makes magazines for the running CPU, which has none, if there is memory. Not under [C], and not in a handler. */
void objcache_own_make(struct objcache *cache);

/*
 * The running CPU's magazines; empties and attaches them again if they were detached. NULL: it has none, or may not use
 * them: in a handler, or with a fault injector.
 */
struct objcache_cpu *objcache_own_locked(struct objcache *cache);

/* Puts what is in `alloc`, in `free`, or in both back into the blocks, of a CPU that does not use them now. */
void objcache_own_alloc_put_locked(struct objcache *cache, struct objcache_cpu *own);
void objcache_own_free_put_locked(struct objcache *cache, struct objcache_cpu *own);
void objcache_own_empty_locked(struct objcache *cache, struct objcache_cpu *own);

/* Takes the magazines away from all CPUs, for the flush of that number; not under [C]. */
void objcache_detach(struct objcache *cache, uint64_t flush);

/* Empties those of one CPU and gives them back. False: it has to do without (objcache_own_locked). */
bool objcache_attach_locked(struct objcache *cache, unsigned slot);

/* What the CPU in that slot has and did. */
struct objcache_cpu_counts objcache_cpu_count_locked(const struct objcache *cache, unsigned slot);

/* Magazines that no CPU has, in objcache_depot.c: those of the depot have objects, spare ones have none. */

/* An empty one, or NULL: no memory; and its end. Not under [C]. */
struct objcache_magazine *objcache_magazine_new(struct objcache *cache);
void objcache_magazine_delete(struct objcache *cache, struct objcache_magazine *magazine); /* NULL: nothing */

/* Those of the depot are full. [C] */
static inline uint64_t objcache_depot_objects(const struct objcache *cache)
{
	return (uint64_t)cache->depot_count * cache->magazine_slots;
}

/* Gives the memory of spare ones back. Not under [C]. */
void objcache_spare_delete(struct objcache *cache);

/* Makes a spare one for the next store, if there is none and the depot may grow. Not under [C]. */
void objcache_spare_prepare(struct objcache *cache);

/* Exchanges a CPU's empty `alloc` for one of the depot. False: the depot has none; nothing was done. */
bool objcache_depot_load_locked(struct objcache *cache, struct objcache_cpu *own);

/* Exchanges a CPU's full `free` for a spare one. False: there is none, or the depots have their share; nothing was done. */
bool objcache_depot_store_locked(struct objcache *cache, struct objcache_cpu *own);

/* Empties one magazine of the depot into the blocks. False: it has none. */
bool objcache_depot_flush_locked(struct objcache *cache);
bool objcache_depot_flush(struct objcache *cache); /* not under [C] */
