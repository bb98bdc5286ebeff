/* The beginning, the end, and the draining of an objcache, and its side of struct heap. */
#include "objcache_internal.h"
#include "runtime/base/string.h"

static uint64_t free_bytes_locked(const struct objcache *cache)
{
	return (cache->counts.objects - cache->counts.used) * cache->config.object_bytes;
}

static struct block *empty_take_locked(struct objcache *cache, uint64_t retain, struct phys_addr lowest,
				       struct phys_addr highest)
{
	const uint64_t block_bytes = cache->objects_per_block * cache->config.object_bytes;

	if (cache->counts.objects < cache->config.reserve_objects + cache->objects_per_block ||
	    free_bytes_locked(cache) < retain + block_bytes)
		return NULL;
	list_for_each (link, &cache->empty) {
		struct block *block = container_of(link, struct block, link);

		if (!objcache_block_is_within(cache, block, lowest, highest))
			continue;
		objcache_set_role_locked(cache, block, OBJCACHE_NONE);
		cache->counts.blocks--;
		cache->counts.objects -= cache->objects_per_block;
		cache->counts.drained_blocks++;
		return block;
	}
	return NULL;
}

uint64_t objcache_drain(struct objcache *cache, uint64_t bytes, uint64_t retain, struct phys_addr lowest,
			struct phys_addr highest)
{
	uint64_t given = 0;

	while (given < bytes) {
		struct block *block;

		spinlock_lock(&cache->lock);
		block = empty_take_locked(cache, retain, lowest, highest);
		spinlock_unlock(&cache->lock);
		if (!block)
			break;
		objcache_block_give(cache, block);
		given += BLOCK_BYTES;
	}
	return given;
}

static uint64_t interface_drain(struct caching_heap *heap, uint64_t bytes, uint64_t retain)
{
	struct objcache *cache = container_of(heap, struct objcache, caching);

	return objcache_drain(cache, bytes, retain, (struct phys_addr){ 0 }, (struct phys_addr){ 0 });
}

static uint64_t clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	struct objcache *cache = container_of(cleaner, struct objcache, cleaner);

	return objcache_drain(cache, target->bytes, cache->config.retain_bytes, target->lowest, target->highest);
}

static uint64_t held_back(struct cleaner *cleaner)
{
	return objcache_count(container_of(cleaner, struct objcache, cleaner)).empty_blocks << BLOCK_SHIFT;
}

/* Life ------------------------------------------------------------------------------------------------------------------ */

static void *interface_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	struct objcache *cache = container_of(heap, struct objcache, caching.heap);

	if (bytes == 0 || bytes > cache->config.object_bytes || !is_power_of_two(MAX(alignment, 1)) ||
	    alignment > cache->config.alignment)
		return NULL;
	return objcache_alloc(cache);
}

static void interface_free(struct heap *heap, void *object)
{
	objcache_free(container_of(heap, struct objcache, caching.heap), object);
}

static bool config_is_valid(const struct objcache_config *config)
{
	if (!config->name || !config->source || !config->bookkeeping)
		return false;
	if (config->object_bytes == 0 || config->object_bytes > OBJCACHE_OBJECT_MAX)
		return false;
	if (config->alignment > OBJCACHE_OBJECT_MAX || !is_power_of_two(MAX(config->alignment, 1)))
		return false;
	return true;
}

static void lists_init(struct objcache *cache)
{
	for (unsigned i = 0; i < OBJCACHE_BUCKETS; i++)
		list_init(&cache->buckets[i]);
	list_init(&cache->empty);
	list_init(&cache->full);
}

static status_t reserve_fill(struct objcache *cache)
{
	status_t status = STATUS_OK;

	while (status == STATUS_OK && objcache_count(cache).objects < cache->config.reserve_objects)
		status = objcache_grow(cache, NULL);
	return status;
}

/* What is drained meanwhile respects the new reserve already. */
status_t objcache_reserve(struct objcache *cache, uint32_t objects)
{
	spinlock_lock(&cache->lock);
	cache->config.reserve_objects += objects;
	spinlock_unlock(&cache->lock);
	const status_t status = reserve_fill(cache);
	if (status != STATUS_OK)
		objcache_unreserve(cache, objects);
	return status;
}

void objcache_unreserve(struct objcache *cache, uint32_t objects)
{
	spinlock_lock(&cache->lock);
	cache->config.reserve_objects -= objects;
	spinlock_unlock(&cache->lock);
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
	cache->objects_per_block = (uint32_t)(BLOCK_BYTES / cache->config.object_bytes);
	cache->reciprocal = divide_round_up(1ull << OBJCACHE_RECIPROCAL_SHIFT, cache->config.object_bytes);
	cache->heap = config->source->heap;
	cache->caching = (struct caching_heap){ { config->name, interface_alloc, interface_free }, interface_drain };
	spinlock_init(&cache->lock, config->name);
	owner_init(&cache->owner, config->name, false);
	lists_init(cache);

	status = reserve_fill(cache);
	if (status != STATUS_OK) {
		cache->config.reserve_objects = 0;
		(void)objcache_drain(cache, UINT64_MAX, 0, (struct phys_addr){ 0 }, (struct phys_addr){ 0 });
		return status;
	}
	spinlock_lock(&cache->heap->caches_lock);
	list_insert_last(&cache->heap->caches, &cache->link);
	spinlock_unlock(&cache->heap->caches_lock);
	if (config->cleaners) {
		cache->cleaner = (struct cleaner){
			.name = config->name,
			.cost = CLEANER_FREE,
			.clean = clean,
			.held_back = held_back,
		};
		cleaner_register(config->cleaners, &cache->cleaner);
	}
	return STATUS_OK;
}

status_t objcache_fini(struct objcache *cache)
{
	if (objcache_count(cache).used != 0)
		return STATUS_BUSY;
	if (cache->config.cleaners)
		cleaner_unregister(cache->config.cleaners, &cache->cleaner);
	spinlock_lock(&cache->heap->caches_lock);
	list_remove(&cache->link);
	spinlock_unlock(&cache->heap->caches_lock);

	cache->config.reserve_objects = 0;
	(void)objcache_drain(cache, UINT64_MAX, 0, (struct phys_addr){ 0 }, (struct phys_addr){ 0 });
	return STATUS_OK;
}
