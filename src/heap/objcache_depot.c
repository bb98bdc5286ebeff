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

#define DEPOT_SHARE 32  /* of the memory of the heap, for the depots of all objcaches together */
#define DEPOT_MAX   512 /* magazines of one: their memory, up to 2 MB, stays with the bookkeeping */

static bool depot_may_grow(const struct objcache *cache)
{
	const uint64_t all = atomic_load_explicit(&cache->heap->depot_bytes, memory_order_relaxed);

	return atomic_load_explicit(&cache->depot_count, memory_order_relaxed) < DEPOT_MAX &&
	       all < cache->heap->total_blocks * (BLOCK_BYTES / DEPOT_SHARE);
}

/* What a magazine in the depot counts for. */
static uint64_t depot_magazine_bytes(const struct objcache *cache)
{
	return cache->magazine_slots * cache->config.object_bytes + magazine_bytes(cache);
}

static struct objcache_magazine *depot_take_locked(struct objcache *cache)
{
	struct list *link = list_take_first(&cache->depot);

	if (!link)
		return NULL;
	cache->depot_count--;
	cache->depot_low = MIN(cache->depot_low, cache->depot_count);
	atomic_fetch_sub_explicit(&cache->heap->depot_bytes, depot_magazine_bytes(cache), memory_order_relaxed);
	return container_of(link, struct objcache_magazine, link);
}

static void spare_add_locked(struct objcache *cache, struct objcache_magazine *magazine)
{
	list_insert_first(&cache->spare, &magazine->link);
	cache->spare_count++;
}

static struct objcache_magazine *spare_take_locked(struct objcache *cache)
{
	struct list *link = list_take_first(&cache->spare);

	if (!link)
		return NULL;
	cache->spare_count--;
	return container_of(link, struct objcache_magazine, link);
}

bool objcache_depot_load_locked(struct objcache *cache, struct objcache_cpu *own)
{
	struct objcache_magazine *full = depot_take_locked(cache);

	if (!full)
		return false;
	spare_add_locked(cache, own->alloc);
	objcache_own_alloc_set(own, full, cache->magazine_slots);
	own->loaded += cache->magazine_slots;
	return true;
}

bool objcache_depot_store_locked(struct objcache *cache, struct objcache_cpu *own)
{
	struct objcache_magazine *empty = depot_may_grow(cache) ? spare_take_locked(cache) : NULL;

	if (!empty)
		return false;
	list_insert_first(&cache->depot, &own->free->link);
	cache->depot_count++;
	atomic_fetch_add_explicit(&cache->heap->depot_bytes, depot_magazine_bytes(cache), memory_order_relaxed);
	own->unloaded += cache->magazine_slots;
	objcache_own_free_set(cache, own, empty);
	return true;
}

bool objcache_depot_flush_locked(struct objcache *cache)
{
	struct objcache_magazine *full = depot_take_locked(cache);

	if (!full)
		return false;
	objcache_put_locked(cache, full->slots + 1, cache->magazine_slots);
	spare_add_locked(cache, full);
	return true;
}

bool objcache_depot_flush(struct objcache *cache)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	const bool found = objcache_depot_flush_locked(cache);

	spinlock_unlock_interrupts(&cache->lock, state);
	return found;
}

void objcache_spare_delete(struct objcache *cache)
{
	struct objcache_magazine *magazine;
	uint64_t state;

	do {
		state = spinlock_lock_interrupts(&cache->lock);
		magazine = spare_take_locked(cache);
		spinlock_unlock_interrupts(&cache->lock, state);
		objcache_magazine_delete(cache, magazine);
	} while (magazine);
}

void objcache_spare_prepare(struct objcache *cache)
{
	struct objcache_magazine *magazine;
	uint64_t state;

	if (atomic_load_explicit(&cache->spare_count, memory_order_relaxed) > 0 || cache->magazine_slots == 0 ||
	    !objcache_may_trade() || !depot_may_grow(cache))
		return;
	magazine = objcache_magazine_new(cache);
	if (!magazine)
		return;
	state = spinlock_lock_interrupts(&cache->lock);
	spare_add_locked(cache, magazine);
	spinlock_unlock_interrupts(&cache->lock, state);
}
