/* Blocks, lists by fill, and objects. Beginning, end and draining are in objcache_life.c. */
#include "objcache.h"

#include "objcache_internal.h"
#include "runtime/base/string.h"

/* Blocks ---------------------------------------------------------------------------------------------------------------- */

static size_t map_bytes(const struct objcache *cache)
{
	return bitmap_words(cache->objects_per_block) * sizeof(uint64_t);
}

/* Bits beyond the last object are set, so that a search for a clear one needs no end. */
static void map_init(const struct objcache *cache, uint64_t *map)
{
	for (uint64_t bit = cache->objects_per_block; bit % 64 != 0; bit++)
		bitmap_set(map, bit);
}

static status_t block_prepare(struct objcache *cache, struct block *block)
{
	const struct objcache_config *config = &cache->config;

	block->map = bookkeeping_alloc(config->bookkeeping, map_bytes(cache));
	if (!block->map)
		return STATUS_NO_MEMORY;
	map_init(cache, block->map);
	block->cache = cache;
	block->role = OBJCACHE_NONE;
	objcache_junk_fresh(cache, block);
	return STATUS_OK;
}

status_t objcache_block_take(struct objcache *cache, struct block_source *source, struct block **block)
{
	struct phys_addr address;
	status_t status;

	status = source->take(source, &cache->owner, &address);
	if (status != STATUS_OK)
		return status;
	*block = block_heap_find(cache->heap, address);
	status = block_prepare(cache, *block);
	if (status != STATUS_OK)
		source->give(source, address);
	return status;
}

void objcache_block_give(struct objcache *cache, struct block *block)
{
	const struct objcache_config *config = &cache->config;
	const struct phys_addr address = block_address(cache->heap, block);

	assert(block->cache == cache && block->used == 0 && block->role == OBJCACHE_NONE);
	bookkeeping_free(config->bookkeeping, block->map, map_bytes(cache));
	block->cache = NULL;
	config->source->give(config->source, address);
}

/* Lists ----------------------------------------------------------------------------------------------------------------- */

static unsigned bucket_of(const struct objcache *cache, const struct block *block)
{
	return (unsigned)((uint64_t)block->used * OBJCACHE_BUCKETS / cache->objects_per_block);
}

static void list_leave(struct objcache *cache, struct block *block)
{
	struct list *const next = block->link.next;

	list_remove(&block->link);
	if (block->role == OBJCACHE_EMPTY)
		cache->counts.empty_blocks--;
	if (block->role == OBJCACHE_PARTIAL && list_is_empty(next) && next >= cache->buckets &&
	    next < cache->buckets + OBJCACHE_BUCKETS)
		cache->bucket_mask &= ~(1u << (next - cache->buckets));
}

void objcache_set_role_locked(struct objcache *cache, struct block *block, enum objcache_role role)
{
	list_leave(cache, block);
	block->role = (uint8_t)role;
	switch (role) {
	case OBJCACHE_EMPTY:
		cache->counts.empty_blocks++;
		list_insert_first(&cache->empty, &block->link);
		break;
	case OBJCACHE_PARTIAL:
		list_insert_first(&cache->buckets[bucket_of(cache, block)], &block->link);
		cache->bucket_mask |= 1u << bucket_of(cache, block);
		break;
	case OBJCACHE_FULL:
		list_insert_first(&cache->full, &block->link);
		break;
	case OBJCACHE_NONE:
		break;
	}
}

/* After block->used went from `before` to what it is now: the right list. */
static void fullest_settle(struct objcache *cache, struct block *block, uint32_t before)
{
	const uint32_t all = cache->objects_per_block;

	if (block->used == 0)
		objcache_set_role_locked(cache, block, OBJCACHE_EMPTY);
	else if (block->used == all)
		objcache_set_role_locked(cache, block, OBJCACHE_FULL);
	else if (block->role != OBJCACHE_PARTIAL ||
		 (uint64_t)before * OBJCACHE_BUCKETS / all != (uint64_t)block->used * OBJCACHE_BUCKETS / all)
		objcache_set_role_locked(cache, block, OBJCACHE_PARTIAL);
}

/* Objects --------------------------------------------------------------------------------------------------------------- */

void *objcache_object_take_locked(struct objcache *cache, struct block *block, uint32_t index)
{
	bitmap_set(block->map, index);
	block->used++;
	cache->counts.used++;
	return objcache_object(cache, block, index);
}

void objcache_object_put_locked(struct objcache *cache, struct block *block, uint32_t index)
{
	bitmap_clear(block->map, index);
	block->used--;
	cache->counts.used--;
}

static struct block *fullest_block(struct objcache *cache)
{
	struct list *list = &cache->empty;

	if (cache->bucket_mask != 0)
		list = &cache->buckets[log2_floor(cache->bucket_mask)];
	return list_is_empty(list) ? NULL : container_of(list->next, struct block, link);
}

/* block->position is the first word of the map that may have a clear bit. */
static void *fullest_alloc_locked(struct objcache *cache)
{
	struct block *block = fullest_block(cache);
	void *object;

	if (!block)
		return NULL;
	while (block->map[block->position] == ~0ull)
		block->position++;

	const unsigned bit = (unsigned)__builtin_ctzll(~block->map[block->position]);
	object = objcache_object_take_locked(cache, block, block->position * 64 + bit);
	fullest_settle(cache, block, block->used - 1);
	cache->counts.allocs++;
	return object;
}

void *objcache_alloc_held(struct objcache *cache)
{
	void *object;

	spinlock_lock(&cache->lock);
	object = fullest_alloc_locked(cache);
	spinlock_unlock(&cache->lock);
	if (object)
		objcache_junk_alloc(cache, object, true);
	return object;
}

void objcache_empty_add_locked(struct objcache *cache, struct block *block)
{
	cache->counts.blocks++;
	cache->counts.objects += cache->objects_per_block;
	objcache_set_role_locked(cache, block, OBJCACHE_EMPTY);
}

status_t objcache_grow(struct objcache *cache, struct block_source *source)
{
	struct block *block;
	status_t status;

	status = objcache_block_take(cache, source ? source : cache->config.source, &block);
	if (status != STATUS_OK)
		return status;
	spinlock_lock(&cache->lock);
	objcache_empty_add_locked(cache, block);
	spinlock_unlock(&cache->lock);
	return STATUS_OK;
}

static void *alloc_growing(struct objcache *cache)
{
	void *object;

	while (!(object = objcache_alloc_held(cache)))
		if (objcache_grow(cache, NULL) != STATUS_OK)
			return NULL;
	return object;
}

void *objcache_alloc(struct objcache *cache)
{
	void *object = NULL;

	if (__builtin_expect(platform_is_cleaning(), 0))
		platform_panic("objcache %s is asked for an object while the task cleans memory", cache->config.name);
	if (!block_heap_must_fail(cache->heap, cache->config.name, cache->config.object_bytes))
		object = alloc_growing(cache);
	if (__builtin_expect(!object, 0)) {
		spinlock_lock(&cache->lock);
		cache->counts.failures++;
		spinlock_unlock(&cache->lock);
	}
	return object;
}

static _Noreturn void free_is_wrong(const struct objcache *cache, const void *object, const char *why)
{
	platform_panic("objcache %s: free of %p, which is %s", cache->config.name, object, why);
}

bool objcache_surplus_locked(struct objcache *cache, struct block *block)
{
	const uint64_t keep = MAX(cache->config.retain_bytes >> BLOCK_SHIFT, 1);
	const uint64_t left = cache->counts.objects - cache->objects_per_block;

	if (cache->counts.empty_blocks <= keep || left < cache->config.reserve_objects)
		return false;
	objcache_set_role_locked(cache, block, OBJCACHE_NONE);
	cache->counts.blocks--;
	cache->counts.objects = left;
	return true;
}

/* Returns true if the block is to be given back. */
static bool object_free_locked(struct objcache *cache, struct block *block, uint32_t index)
{
	objcache_object_put_locked(cache, block, index);
	cache->counts.frees++;
	block->position = MIN(block->position, index / 64);
	fullest_settle(cache, block, block->used + 1);
	return block->role == OBJCACHE_EMPTY && objcache_surplus_locked(cache, block);
}

void objcache_free(struct objcache *cache, void *object)
{
	bool give;

	if (!object)
		return;

	const struct phys_addr address = platform_phys(object);
	struct block *block = block_heap_find(cache->heap, address);
	if (!block || block->cache != cache)
		free_is_wrong(cache, object, "no memory of this cache");

	const uint64_t offset = address.value & (BLOCK_BYTES - 1);
	const uint32_t index = (uint32_t)(offset * cache->reciprocal >> OBJCACHE_RECIPROCAL_SHIFT);
	if (index * cache->config.object_bytes != offset || index >= cache->objects_per_block)
		free_is_wrong(cache, object, "not the start of an object");
	objcache_junk_free(cache, object);

	spinlock_lock(&cache->lock);
	if (!bitmap_test(block->map, index))
		free_is_wrong(cache, object, "free already");
	give = object_free_locked(cache, block, index);
	spinlock_unlock(&cache->lock);
	if (give)
		objcache_block_give(cache, block);
}

struct objcache *objcache_of(const struct block_heap *heap, const void *object)
{
	const struct block *block = block_heap_find(heap, platform_phys(object));

	return block ? block->cache : NULL;
}

struct objcache_counts objcache_count(struct objcache *cache)
{
	spinlock_lock(&cache->lock);
	const struct objcache_counts counts = cache->counts;
	spinlock_unlock(&cache->lock);
	return counts;
}
