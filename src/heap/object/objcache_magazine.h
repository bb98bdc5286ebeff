// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the objcache share about magazines; no other file includes it. `_locked`: with
 * [C] held. A CPU pushes objects on its stacks and pops them without a lock. All else is done under
 * [C], by that CPU or, once it has been detached and is not in an operation, by others.
 */
#pragma once

#include "objcache_fast.h"

static inline uint32_t objcache_stack_count(const struct objcache_stack *stack)
{
	return (uint32_t)(objcache_stack_top(stack) - (stack->magazine->slots + 1));
}

/* At first, no CPU has magazines. */
void objcache_magazines_init(struct objcache *cache);

/* Empties all magazines into the blocks, and gives their memory back. */
void objcache_magazines_fini(struct objcache *cache);

/* Makes magazines for the running CPU, if it has none and there is memory. Not under [C]. */
void objcache_cpu_prepare(struct objcache *cache);

/*
 * The running CPU's magazines; if they were detached, empties and attaches them again. NULL: it has
 * none, or may not use them: in a handler, or with a fault injector.
 */
struct objcache_cpu *objcache_cpu_get_locked(struct objcache *cache);

/*
 * Takes an object from the CPU's magazines, which are loaded if they are empty; NULL: blocks and
 * depot have none. *cold: the next objects come from the depot.
 */
void *objcache_cpu_alloc_locked(struct objcache *cache, struct objcache_cpu *own, bool *cold);
void objcache_cpu_free_locked(struct objcache *cache, struct objcache_cpu *own, const struct objcache_slot *slot);

/* Detaches the magazines of all CPUs, for the flush of that number. Not under [C]. */
void objcache_detach(struct objcache *cache, uint64_t flush);

/* Empties the magazines of one CPU and attaches them again. False: a fault injector forbids it. */
bool objcache_attach_locked(struct objcache *cache, struct objcache_cpu *own, unsigned slot);

/* Those of the depot are full. [C] */
static inline uint64_t objcache_depot_objects(const struct objcache *cache)
{
	return (uint64_t)cache->depot.count * cache->magazine_slots;
}

/* How many objects the CPU in that slot has, and how many it allocated and freed. */
struct objcache_cpu_counts objcache_cpu_count_locked(const struct objcache *cache, unsigned slot);

/* Gives the memory of spare magazines back. Not under [C]. */
void objcache_spare_delete(struct objcache *cache);

/*
 * Makes a spare magazine for the next full one, if there is none and the depot may grow. Not under
 * [C].
 */
void objcache_spare_prepare(struct objcache *cache);

/* Empties one magazine of the depot into the blocks. False: the depot has none. */
bool objcache_depot_flush_locked(struct objcache *cache);
bool objcache_depot_flush(struct objcache *cache); /* not under [C] */
