// SPDX-License-Identifier: BSD-2-Clause
/*
 * The beginning and the end of an objcache, its counts, and its side of struct caching_heap. No
 * count is kept on the fast path: how many objects a CPU allocated and freed follows from what was
 * loaded into its magazines and what is in them.
 */
#include "objcache_internal.h"
#include "objcache_magazine.h"
#include "runtime/base/string.h"

/* Counts --------------------------------------------------------------------------------------- */

/*
 * Counts while the CPUs go on: each CPU is looked at once, and frees are derived from the other
 * figures, so that the figures fit each other at any moment.
 */
struct objcache_counts objcache_count(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	struct objcache_counts counts = cache->counts;

	counts.cached = objcache_depot_objects(cache);
	for (unsigned slot = 1; slot < cache->own_end; slot++) {
		const struct objcache_cpu_counts own = objcache_cpu_count_locked(cache, slot);

		counts.cached += own.cached;
		counts.allocs += own.allocs;
	}
	counts.cached = MIN(counts.cached, cache->taken);
	counts.used = cache->taken - counts.cached;
	counts.frees = counts.allocs - MIN(counts.used, counts.allocs);
	spinlock_unlock_interrupts(&cache->lock, state);
	return counts;
}

/* The caching heap ----------------------------------------------------------------------------- */

static uint64_t interface_drain(struct caching_heap *heap, uint64_t bytes, uint64_t retain)
{
	const struct reclaim_target target = reclaim_target_any(bytes);

	return objcache_group_drain(container_of(heap, struct objcache, caching)->group, &target, retain);
}

static void *interface_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	struct objcache *cache = container_of(heap, struct objcache, caching.heap);

	if (bytes == 0 || bytes > cache->config.object_bytes || !is_power_or_zero(alignment) ||
	    alignment > cache->config.alignment)
		return NULL;
	return objcache_alloc(cache);
}

static void interface_free(struct heap *heap, void *object)
{
	objcache_free(container_of(heap, struct objcache, caching.heap), object);
}

/* Life ----------------------------------------------------------------------------------------- */

static bool config_is_valid(const struct objcache_config *config)
{
	if (!config->name || !config->source || !config->metadata)
		return false;
	if (config->object_bytes == 0 || config->object_bytes > OBJCACHE_OBJECT_MAX)
		return false;
	return config->alignment <= OBJCACHE_OBJECT_MAX && is_power_or_zero(config->alignment);
}

#define WORTHWHILE_SHARE 256         /* of a block's objects: fewer free ones are passed by */
#define MAGAZINE_BYTES   (512 * KIB) /* of objects in one magazine */

static void sizes_init(struct objcache *cache)
{
	const struct objcache_config *config = &cache->config;
	const uint32_t all = (uint32_t)(BLOCK_BYTES / config->object_bytes);
	const uint32_t with_rest = all + (all * config->object_bytes != BLOCK_BYTES);

	cache->objects_per_block = all;
	cache->inverse = UINT64_MAX / config->object_bytes + 1;
	cache->lines = (uint32_t)divide_round_up(with_rest, 64);
	cache->bucket_objects = (uint32_t)divide_round_up(all, OBJCACHE_BUCKETS);
	cache->worthwhile_objects = MAX(all / WORTHWHILE_SHARE, 1u);
	cache->spared_blocks = MAX(config->retain_bytes >> BLOCK_SHIFT, 1);
	if (config->reserve_objects == 0 && config->object_bytes <= OBJCACHE_MAGAZINE_OBJECT_MAX) {
		cache->magazine_slots =
			(uint32_t)align_down(MIN(MAGAZINE_BYTES / config->object_bytes, OBJCACHE_MAGAZINE_SLOTS), 8);
	}
}

static status_t reserve_fill(struct objcache *cache)
{
	status_t status = STATUS_OK;

	while (status == STATUS_OK && objcache_count(cache).objects < cache->config.reserve_objects)
		status = objcache_grow(cache, NULL);
	return status;
}

static void reserve_add(struct objcache *cache, uint32_t objects)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	cache->config.reserve_objects += objects;
	spinlock_unlock_interrupts(&cache->lock, state);
}

/* Raises the reserve first, so that drains meanwhile respect it already. */
status_t objcache_reserve(struct objcache *cache, uint32_t objects)
{
	status_t status;

	assert(cache->magazine_slots == 0);
	reserve_add(cache, objects);
	status = reserve_fill(cache);
	if (status != STATUS_OK)
		objcache_unreserve(cache, objects);
	return status;
}

void objcache_unreserve(struct objcache *cache, uint32_t objects)
{
	reserve_add(cache, -objects);
}

static void give_all(struct objcache *cache)
{
	cache->config.reserve_objects = 0;
	(void)objcache_give_empty(cache, 0, 0);
}

status_t objcache_init(struct objcache *cache, const struct objcache_config *config)
{
	status_t status;

	if (!config_is_valid(config))
		return STATUS_INVALID;
	memset(cache, 0, sizeof(*cache));
	cache->config = *config;
	cache->config.alignment = MAX(config->alignment, OBJCACHE_OBJECT_MIN);
	cache->config.object_bytes = align_up(config->object_bytes, cache->config.alignment);
	cache->heap = config->source->heap;
	cache->group = &cache->alone;
	cache->alone = (struct objcache_group){ .caches = cache, .count = 1, .retain_bytes = config->retain_bytes };
	cache->caching = (struct caching_heap){ { config->name, interface_alloc, interface_free }, interface_drain };
	sizes_init(cache);
	cache->map = objcache_map_make(cache->heap);
	spinlock_init(&cache->lock, config->name);
	owner_init(&cache->owner, config->name, false);
	for (unsigned role = 0; role < OBJCACHE_ROLES; role++)
		list_init(&cache->blocks[role]);
	objcache_magazines_init(cache);

	status = reserve_fill(cache);
	if (status != STATUS_OK) {
		give_all(cache);
		return status;
	}
	spinlock_lock(&cache->heap->caches_lock);
	list_insert_last(&cache->heap->caches, &cache->link);
	spinlock_unlock(&cache->heap->caches_lock);
	objcache_group_register(cache->group, config->name, config->cleaners);
	return STATUS_OK;
}

status_t objcache_fini(struct objcache *cache)
{
	if (objcache_count(cache).used != 0)
		return STATUS_BUSY;
	if (cache->config.cleaners)
		cleaner_unregister(cache->config.cleaners, &cache->group->cleaner);
	spinlock_lock(&cache->heap->caches_lock);
	list_remove(&cache->link);
	spinlock_unlock(&cache->heap->caches_lock);

	objcache_magazines_fini(cache);
	give_all(cache);
	return STATUS_OK;
}
