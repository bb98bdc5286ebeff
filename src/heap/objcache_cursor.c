/*
 * The cursor: filling blocks in address order and refilling them in place. The lock is let go for every call of a closure, so a
 * block that an eviction looks at is pinned meanwhile: it may be fenced then, but not released.
 */
#include "objcache_internal.h"

static bool at_end(const struct objcache *cache, const struct block *block)
{
	return block->position == cache->objects_per_block;
}

static void open_locked(struct objcache *cache, struct block *block)
{
	objcache_set_role_locked(cache, block, OBJCACHE_OPEN);
	block->position = 0;
	cache->open = block;
}

/* Opens a block of the cache's own: an empty one, else, if `reuse`, the oldest. */
static bool open_own_locked(struct objcache *cache, bool reuse)
{
	struct list *link = list_first(&cache->empty);

	if (!link && reuse)
		link = list_first(&cache->queue);
	if (link)
		open_locked(cache, container_of(link, struct block, link));
	return link != NULL;
}

static struct block *fresh_block(struct objcache *cache)
{
	const struct objcache_config *config = &cache->config;
	struct block *block;

	if (config->may_grow && !config->may_grow(config->context))
		return NULL;
	return objcache_block_take(cache, config->source, &block) == STATUS_OK ? block : NULL;
}

/*
 * Makes sure that there is an open block with frames ahead of the cursor; false: the cache has no block and gets none. Lets the
 * lock go to take a fresh block; if somebody else has opened one meanwhile, the fresh one is kept as an empty one.
 */
static bool open_next_locked(struct objcache *cache)
{
	struct block *fresh;

	if (cache->open && !at_end(cache, cache->open))
		return true;
	if (cache->open)
		objcache_set_role_locked(cache, cache->open, OBJCACHE_QUEUED);
	cache->open = NULL;
	if (open_own_locked(cache, false))
		return true;

	spinlock_unlock(&cache->lock);
	fresh = fresh_block(cache);
	spinlock_lock(&cache->lock);
	if (fresh)
		objcache_empty_add_locked(cache, fresh);
	if (cache->open && !at_end(cache, cache->open))
		return true;
	if (cache->open)
		objcache_set_role_locked(cache, cache->open, OBJCACHE_QUEUED);
	cache->open = NULL;
	return open_own_locked(cache, true);
}

/*
 * The eviction at a pinned block is over. Returns true if the frame is the caller's; a frame that was won in a block that has
 * been fenced meanwhile is freed again. *give: the block has become empty and goes back.
 */
static bool eviction_end_locked(struct objcache *cache, struct block *block, uint32_t index, bool evicted, bool *give)
{
	const bool keep = evicted && block->role != OBJCACHE_FENCED;

	block->pins--;
	if (keep) {
		cache->counts.refilled++;
		cache->counts.allocs++;
	} else if (evicted) {
		objcache_object_put_locked(cache, block, index);
	} else {
		cache->counts.kept++;
	}
	*give = false;
	if (block->used == 0 && block->pins == 0 && block->role == OBJCACHE_QUEUED) {
		objcache_set_role_locked(cache, block, OBJCACHE_EMPTY);
		*give = objcache_surplus_locked(cache, block);
	}
	return keep;
}

/* Asks the owner for the object at the cursor. */
static bool evict(struct objcache *cache, struct block *block, uint32_t index, void *object)
{
	bool evicted, give;

	evicted = cache->config.evict(cache->config.context, object);
	spinlock_lock(&cache->lock);
	evicted = eviction_end_locked(cache, block, index, evicted, &give);
	spinlock_unlock(&cache->lock);
	if (give)
		objcache_block_give(cache, block);
	return evicted;
}

void *objcache_cursor_alloc(struct objcache *cache)
{
	for (uint32_t scanned = 0; scanned < cache->config.scan_max; scanned++) {
		spinlock_lock(&cache->lock);
		if (!open_next_locked(cache)) {
			spinlock_unlock(&cache->lock);
			return NULL;
		}

		struct block *block = cache->open;
		const uint32_t index = block->position++;
		void *object = objcache_object(cache, block, index);
		const bool was_free = !bitmap_test(block->map, index);
		if (was_free) {
			(void)objcache_object_take_locked(cache, block, index);
			cache->counts.allocs++;
		} else {
			block->pins++;
		}
		spinlock_unlock(&cache->lock);

		if (was_free || evict(cache, block, index, object)) {
			objcache_junk_alloc(cache, object, was_free);
			return object;
		}
	}
	return NULL;
}

/* The next free frame of the open block, or of an empty one. */
void *objcache_cursor_alloc_held(struct objcache *cache)
{
	void *object = NULL;

	spinlock_lock(&cache->lock);
	while (!object) {
		if (!cache->open && !open_own_locked(cache, false))
			break;
		struct block *block = cache->open;
		const uint32_t index = (uint32_t)bitmap_find_clear(block->map, block->position, cache->objects_per_block);
		if (index < cache->objects_per_block) {
			object = objcache_object_take_locked(cache, block, index);
			cache->counts.allocs++;
			block->position = index + 1;
		} else if (list_is_empty(&cache->empty)) {
			break;
		} else {
			objcache_set_role_locked(cache, block, OBJCACHE_QUEUED);
			cache->open = NULL;
		}
	}
	spinlock_unlock(&cache->lock);
	if (object)
		objcache_junk_alloc(cache, object, true);
	return object;
}

/* Fencing --------------------------------------------------------------------------------------------------------------- */

static struct block *first_within(struct objcache *cache, struct list *list, struct phys_addr lowest, struct phys_addr highest)
{
	list_for_each (link, list) {
		struct block *block = container_of(link, struct block, link);

		if (objcache_block_is_within(cache, block, lowest, highest))
			return block;
	}
	return NULL;
}

/* Empty blocks are what the cache retains; they are in the way only where certain addresses are wanted. */
status_t objcache_fence(struct objcache *cache, struct phys_addr lowest, struct phys_addr highest, struct phys_addr *block)
{
	const bool anywhere = lowest.value <= block_address(cache->heap, cache->heap->blocks).value &&
			      (highest.value == 0 || highest.value == UINT64_MAX);
	struct block *found;

	spinlock_lock(&cache->lock);
	found = first_within(cache, &cache->queue, lowest, highest);
	if (!found && !anywhere)
		found = first_within(cache, &cache->empty, lowest, highest);
	if (!found && cache->open && objcache_block_is_within(cache, cache->open, lowest, highest)) {
		found = cache->open;
		cache->open = NULL;
	}
	if (found) {
		objcache_set_role_locked(cache, found, OBJCACHE_FENCED);
		*block = block_address(cache->heap, found);
	}
	spinlock_unlock(&cache->lock);
	return found ? STATUS_OK : STATUS_NOT_FOUND;
}

static struct block *fenced_block_locked(struct objcache *cache, struct phys_addr address)
{
	struct block *block = block_heap_find(cache->heap, address);

	if (!block || block->cache != cache || block->role != OBJCACHE_FENCED)
		platform_panic("objcache %s: block 0x%llx is not fenced", cache->config.name,
			       (unsigned long long)address.value);
	return block;
}

void *objcache_next_object(struct objcache *cache, struct phys_addr address, uint32_t *index)
{
	const struct block *block;
	uint64_t found;

	spinlock_lock(&cache->lock);
	block = fenced_block_locked(cache, address);
	found = bitmap_find_set(block->map, *index, cache->objects_per_block);
	spinlock_unlock(&cache->lock);
	if (found >= cache->objects_per_block)
		return NULL;
	*index = (uint32_t)found + 1;
	return objcache_object(cache, block, (uint32_t)found);
}

status_t objcache_release(struct objcache *cache, struct phys_addr address)
{
	struct block *block;
	bool ready;

	spinlock_lock(&cache->lock);
	block = fenced_block_locked(cache, address);
	ready = block->used == 0 && block->pins == 0;
	if (ready) {
		objcache_set_role_locked(cache, block, OBJCACHE_NONE);
		cache->counts.blocks--;
		cache->counts.objects -= cache->objects_per_block;
		cache->counts.drained_blocks++;
	}
	spinlock_unlock(&cache->lock);
	if (!ready)
		return STATUS_BUSY;
	objcache_block_give(cache, block);
	return STATUS_OK;
}

/* A block that was fenced while it was open has frames ahead of its cursor: it goes on there, or is the youngest. */
void objcache_unfence(struct objcache *cache, struct phys_addr address)
{
	struct block *block;

	spinlock_lock(&cache->lock);
	block = fenced_block_locked(cache, address);
	if (block->used == 0 && block->pins == 0) {
		objcache_set_role_locked(cache, block, OBJCACHE_EMPTY);
	} else if (!at_end(cache, block) && !cache->open) {
		objcache_set_role_locked(cache, block, OBJCACHE_OPEN);
		cache->open = block;
	} else {
		const bool oldest = at_end(cache, block);

		objcache_set_role_locked(cache, block, OBJCACHE_QUEUED);
		if (oldest) {
			list_remove(&block->link);
			list_insert_first(&cache->queue, &block->link);
		}
	}
	spinlock_unlock(&cache->lock);
}

void objcache_walk(struct objcache *cache, bool (*visit)(void *context, struct phys_addr block, uint32_t used), void *context)
{
	spinlock_lock(&cache->lock);
	list_for_each (link, &cache->queue) {
		const struct block *block = container_of(link, struct block, link);

		if (!visit(context, block_address(cache->heap, block), block->used))
			goto out;
	}
	if (cache->open)
		(void)visit(context, block_address(cache->heap, cache->open), cache->open->used);
out:
	spinlock_unlock(&cache->lock);
}
