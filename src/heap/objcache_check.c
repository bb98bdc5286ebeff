/* Junk in freed objects, and the walker over all invariants. */
#include "objcache_internal.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#ifdef WEIR_DEBUG

#define JUNK_ALLOCATED 0xa5
#define JUNK_FREE      0x5a
#define JUNK_FREE_WORD 0x5a5a5a5a5a5a5a5aull

void objcache_junk_fresh(struct objcache *cache, struct block *block)
{
	memset(platform_virt(block_address(cache->heap, block)), JUNK_FREE, BLOCK_BYTES);
}

/* Objects are whole words. */
void objcache_junk_alloc(struct objcache *cache, void *object, bool was_free)
{
	const uint64_t *words = object;

	for (size_t i = 0; was_free && i < cache->config.object_bytes / sizeof(*words); i++)
		if (words[i] != JUNK_FREE_WORD)
			platform_panic("objcache %s: object %p was written to near byte %zu while it was free",
				       cache->config.name, object, i * sizeof(*words));
	memset(object, JUNK_ALLOCATED, cache->config.object_bytes);
}

void objcache_junk_free(struct objcache *cache, void *object)
{
	memset(object, JUNK_FREE, cache->config.object_bytes);
}

#endif

struct totals {
	uint64_t blocks;
	uint64_t used;
	const char *violation;
};

static uint32_t count_used(const struct objcache *cache, const struct block *block)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < cache->objects_per_block; i++)
		used += bitmap_test(block->map, i);
	return used;
}

static const char *block_violation(const struct objcache *cache, const struct block *block, enum objcache_role role)
{
	if (!block->taken || block->cache != cache || block->owner != &cache->owner || block->run_blocks != 1)
		return "a block does not belong to it";
	if (block->role != role)
		return "a block is in the wrong list";
	if (!block->map || count_used(cache, block) != block->used)
		return "a block's count does not fit its bitmap";
	if (role == OBJCACHE_EMPTY && block->used != 0)
		return "an empty block has objects";
	if (role == OBJCACHE_FULL && block->used != cache->objects_per_block)
		return "a full block has room";
	if (role == OBJCACHE_PARTIAL && (block->used == 0 || block->used == cache->objects_per_block))
		return "a partial block is empty or full";
	return NULL;
}

static void block_check(const struct objcache *cache, const struct block *block, enum objcache_role role, struct totals *totals)
{
	const char *violation = block_violation(cache, block, role);

	totals->blocks++;
	totals->used += block->used;
	if (violation)
		totals->violation = violation;
}

static void list_check(const struct objcache *cache, const struct list *list, enum objcache_role role, struct totals *totals)
{
	list_for_each (link, list)
		block_check(cache, container_of(link, struct block, link), role, totals);
}

static void buckets_check(const struct objcache *cache, struct totals *totals)
{
	for (unsigned i = 0; i < OBJCACHE_BUCKETS; i++) {
		list_check(cache, &cache->buckets[i], OBJCACHE_PARTIAL, totals);
		if (((cache->bucket_mask >> i) & 1) == list_is_empty(&cache->buckets[i]))
			totals->violation = "the mask of buckets is wrong";
		list_for_each (link, &cache->buckets[i])
			if ((uint64_t)container_of(link, struct block, link)->used * OBJCACHE_BUCKETS /
				    cache->objects_per_block !=
			    i)
				totals->violation = "a block is in the wrong bucket";
	}
}

bool objcache_is_valid(struct objcache *cache)
{
	struct totals totals = { 0 };

	spinlock_lock(&cache->lock);
	buckets_check(cache, &totals);
	list_check(cache, &cache->full, OBJCACHE_FULL, &totals);

	const uint64_t others = totals.blocks;
	list_check(cache, &cache->empty, OBJCACHE_EMPTY, &totals);
	if (totals.blocks - others != cache->counts.empty_blocks)
		totals.violation = "the number of empty blocks is wrong";
	if (totals.blocks != cache->counts.blocks || totals.blocks != cache->owner.blocks ||
	    totals.blocks * cache->objects_per_block != cache->counts.objects)
		totals.violation = "the number of blocks is wrong";
	if (totals.used != cache->counts.used)
		totals.violation = "the number of objects is wrong";
	spinlock_unlock(&cache->lock);
	if (totals.violation)
		log_error("objcache %s: %s", cache->config.name, totals.violation);
	return !totals.violation;
}
