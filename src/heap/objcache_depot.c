/* Magazines that no CPU has: the depot's, and the empty ones beside it; and the memory of all. */
#include "objcache_internal.h"
#include "objcache_magazine.h"

/* Ends each magazine: the state of its lowest slot. */
static uint8_t end_state = OBJECT_NONE;

static size_t magazine_bytes(const struct objcache *cache)
{
	return sizeof(struct objcache_magazine) + (cache->magazine_slots + 1) * sizeof(struct objcache_slot);
}

struct objcache_magazine *objcache_magazine_new(struct objcache *cache)
{
	struct objcache_magazine *magazine = bookkeeping_alloc(cache->config.bookkeeping, magazine_bytes(cache));

	if (magazine) {
		list_init(&magazine->link);
		magazine->slots[0].state = &end_state;
	}
	return magazine;
}

void objcache_magazine_delete(struct objcache *cache, struct objcache_magazine *magazine)
{
	bookkeeping_free(cache->config.bookkeeping, magazine, magazine_bytes(cache));
}

void objcache_depot_init(struct objcache *cache)
{
	list_init(&cache->depot);
	list_init(&cache->spare);
}

void objcache_depot_fini(struct objcache *cache)
{
	for (struct list *link; (link = list_take_first(&cache->spare));)
		objcache_magazine_delete(cache, container_of(link, struct objcache_magazine, link));
}

#define DEPOT_SHARE 32  /* of the memory of the heap, for the depots of all objcaches together */
#define DEPOT_MAX   512 /* magazines of one: their memory, up to 2 MB, stays with the bookkeeping */

static bool depot_may_grow(const struct objcache *cache)
{
	const uint64_t all = atomic_load_explicit(&cache->heap->depot_bytes, memory_order_relaxed);

	return atomic_load_explicit(&cache->depot_count, memory_order_relaxed) < DEPOT_MAX &&
	       all < cache->heap->total_blocks * (BLOCK_BYTES / DEPOT_SHARE);
}

/* What a magazine in the depot counts for, however many objects it has. */
static uint64_t depot_magazine_bytes(const struct objcache *cache)
{
	return cache->magazine_slots * cache->config.object_bytes + magazine_bytes(cache);
}

static struct objcache_magazine *depot_take_locked(struct objcache *cache)
{
	struct list *link = list_take_first(&cache->depot);
	struct objcache_magazine *magazine = link ? container_of(link, struct objcache_magazine, link) : NULL;

	if (magazine) {
		cache->depot_count--;
		cache->depot_low = MIN(cache->depot_low, cache->depot_count);
		cache->depot_objects -= magazine->count;
		atomic_fetch_sub_explicit(&cache->heap->depot_bytes, depot_magazine_bytes(cache), memory_order_relaxed);
	}
	return magazine;
}

static void depot_add_locked(struct objcache *cache, struct objcache_magazine *magazine, uint32_t count)
{
	magazine->count = count;
	list_insert_first(&cache->depot, &magazine->link);
	cache->depot_count++;
	cache->depot_objects += count;
	atomic_fetch_add_explicit(&cache->heap->depot_bytes, depot_magazine_bytes(cache), memory_order_relaxed);
}

static void spare_add_locked(struct objcache *cache, struct objcache_magazine *magazine)
{
	list_insert_first(&cache->spare, &magazine->link);
	cache->spare_count++;
}

struct objcache_magazine *objcache_depot_load_locked(struct objcache *cache, struct objcache_magazine *empty)
{
	struct objcache_magazine *loaded = depot_take_locked(cache);

	if (loaded)
		spare_add_locked(cache, empty);
	return loaded;
}

struct objcache_magazine *objcache_depot_store_locked(struct objcache *cache, struct objcache_magazine *full)
{
	struct list *empty = depot_may_grow(cache) ? list_take_first(&cache->spare) : NULL;

	if (!empty)
		return NULL;
	cache->spare_count--;
	depot_add_locked(cache, full, cache->magazine_slots);
	return container_of(empty, struct objcache_magazine, link);
}

bool objcache_depot_take_object_locked(struct objcache *cache, struct objcache_slot *slot)
{
	struct objcache_magazine *magazine = depot_take_locked(cache);

	if (!magazine)
		return false;
	*slot = magazine->slots[magazine->count];
	if (magazine->count == 1)
		spare_add_locked(cache, magazine);
	else
		depot_add_locked(cache, magazine, magazine->count - 1);
	return true;
}

bool objcache_depot_flush(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	struct objcache_magazine *magazine = depot_take_locked(cache);

	if (magazine) {
		objcache_put_locked(cache, magazine->slots + 1, magazine->count);
		spare_add_locked(cache, magazine);
	}
	spinlock_unlock_interrupts(&cache->lock, state);
	return magazine != NULL;
}

void objcache_spare_prepare(struct objcache *cache)
{
	struct objcache_magazine *magazine;
	uint64_t state;

	if (atomic_load_explicit(&cache->spare_count, memory_order_relaxed) > 0 || cache->magazine_slots == 0 ||
	    platform_in_handler() || !depot_may_grow(cache))
		return;
	magazine = objcache_magazine_new(cache);
	if (!magazine)
		return;
	state = spinlock_lock_interrupts(&cache->lock);
	spare_add_locked(cache, magazine);
	spinlock_unlock_interrupts(&cache->lock, state);
}
