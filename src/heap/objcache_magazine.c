/* Magazines, the depot, and the long ways of alloc and free. */
#include "objcache_internal.h"
#include "runtime/base/string.h"

/* Where nobody has a magazine: nothing to be had, no room. Never written to. */
static uint8_t no_state = OBJECT_NONE;
static struct objcache_slot no_slot = { NULL, &no_state };
static struct objcache_cpu no_magazines = { .alloc_top = &no_slot, .free_top = &no_slot, .free_limit = &no_slot };

/* Memory of magazines ----------------------------------------------------------------------------------------------------- */

static size_t magazine_bytes(const struct objcache *cache)
{
	return sizeof(struct objcache_magazine) + (cache->magazine_slots + 1) * sizeof(struct objcache_slot);
}

static struct objcache_magazine *magazine_new(struct objcache *cache)
{
	struct objcache_magazine *magazine = bookkeeping_alloc(cache->config.bookkeeping, magazine_bytes(cache));

	if (magazine) {
		list_init(&magazine->link);
		magazine->slots[0].state = &no_state;
	}
	return magazine;
}

static void magazine_delete(struct objcache *cache, struct objcache_magazine *magazine)
{
	bookkeeping_free(cache->config.bookkeeping, magazine, magazine_bytes(cache));
}

void objcache_magazines_init(struct objcache *cache)
{
	list_init(&cache->depot);
	list_init(&cache->spare);
	for (unsigned slot = 0; slot <= PLATFORM_CPUS_MAX; slot++)
		atomic_init(&cache->cpus[slot], &no_magazines);
}

static void own_delete(struct objcache *cache, struct objcache_cpu *own)
{
	magazine_delete(cache, own->alloc);
	magazine_delete(cache, own->free);
	bookkeeping_free(cache->config.bookkeeping, own, sizeof(*own));
}

void objcache_magazines_fini(struct objcache *cache)
{
	for (unsigned slot = 0; slot <= PLATFORM_CPUS_MAX; slot++) {
		if (cache->own[slot])
			own_delete(cache, cache->own[slot]);
		cache->own[slot] = NULL;
	}
	for (struct list *link; (link = list_take_first(&cache->spare));)
		magazine_delete(cache, container_of(link, struct objcache_magazine, link));
}

/* A CPU's magazines ------------------------------------------------------------------------------------------------------- */

static struct objcache_slot *alloc_top(const struct objcache_cpu *own)
{
	return atomic_load_explicit(&own->alloc_top, memory_order_relaxed);
}

static struct objcache_slot *free_top(const struct objcache_cpu *own)
{
	return atomic_load_explicit(&own->free_top, memory_order_relaxed);
}

static uint32_t alloc_count(const struct objcache_cpu *own)
{
	return (uint32_t)(alloc_top(own) - own->alloc->slots);
}

static uint32_t free_count(const struct objcache_cpu *own)
{
	return (uint32_t)(free_top(own) - (own->free->slots + 1));
}

static void alloc_set(struct objcache_cpu *own, struct objcache_magazine *magazine, uint32_t count)
{
	own->alloc = magazine;
	atomic_store_explicit(&own->alloc_top, magazine->slots + count, memory_order_relaxed);
}

static void free_set(const struct objcache *cache, struct objcache_cpu *own, struct objcache_magazine *magazine)
{
	own->free = magazine;
	own->free_limit = magazine->slots + 1 + cache->magazine_slots;
	atomic_store_explicit(&own->free_top, magazine->slots + 1, memory_order_relaxed);
}

static struct objcache_cpu *own_new(struct objcache *cache)
{
	struct objcache_cpu *own = bookkeeping_alloc(cache->config.bookkeeping, sizeof(*own));
	struct objcache_magazine *alloc = magazine_new(cache);
	struct objcache_magazine *free = magazine_new(cache);

	if (!own || !alloc || !free) {
		bookkeeping_free(cache->config.bookkeeping, own, sizeof(*own));
		bookkeeping_free(cache->config.bookkeeping, alloc, magazine_bytes(cache));
		bookkeeping_free(cache->config.bookkeeping, free, magazine_bytes(cache));
		return NULL;
	}
	alloc_set(own, alloc, 0);
	free_set(cache, own, free);
	own->detached = UINT64_MAX; /* attached by its first use */
	return own;
}

/* Makes magazines for a CPU that comes for the first time, which may fail. Not under [C]. */
static void own_prepare(struct objcache *cache)
{
	struct objcache_cpu *own;
	uint64_t state;
	unsigned slot;

	if (atomic_load_explicit(&cache->own[platform_cpu_slot()], memory_order_relaxed) || cache->magazine_slots == 0 ||
	    platform_in_handler())
		return;
	own = own_new(cache);
	if (!own)
		return;
	state = spinlock_lock_interrupts(&cache->lock);
	slot = platform_cpu_slot();
	if (!cache->own[slot]) {
		atomic_store_explicit(&cache->own[slot], own, memory_order_relaxed);
		cache->own_end = MAX(cache->own_end, slot + 1);
		own = NULL;
	}
	spinlock_unlock_interrupts(&cache->lock, state);
	if (own)
		own_delete(cache, own);
}

void objcache_detach_locked(struct objcache *cache, uint64_t flush)
{
	for (unsigned slot = 1; slot < cache->own_end; slot++) {
		if (!cache->own[slot])
			continue;
		cache->own[slot]->detached = flush;
		atomic_store_explicit(&cache->cpus[slot], &no_magazines, memory_order_relaxed);
	}
}

static bool must_go_the_long_way(const struct objcache *cache)
{
	return atomic_load_explicit(&cache->heap->fault, memory_order_relaxed) != NULL;
}

void objcache_attach_locked(struct objcache *cache, unsigned slot)
{
	struct objcache_cpu *own = cache->own[slot];

	if (must_go_the_long_way(cache))
		return;
	own->detached = 0;
	atomic_store_explicit(&cache->cpus[slot], own, memory_order_release);
}

/* Not inline: objcache_own_locked would save registers for it each time. NULL as there. */
static __attribute__((noinline)) struct objcache_cpu *own_attach_locked(struct objcache *cache, unsigned slot)
{
	struct objcache_cpu *own = cache->own[slot];

	objcache_own_empty_locked(cache, own);
	objcache_attach_locked(cache, slot);
	return own->detached == 0 ? own : NULL;
}

/* The running CPU's magazines, or NULL: it has none, or may not use them. */
static struct objcache_cpu *own_locked(struct objcache *cache)
{
	const unsigned slot = platform_cpu_slot();
	struct objcache_cpu *own = slot != 0 ? cache->own[slot] : NULL;

	if (!own)
		return NULL;
	if (own->detached != 0)
		return own_attach_locked(cache, slot);
	return must_go_the_long_way(cache) ? NULL : own;
}

static void free_put_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t count = free_count(own);

	objcache_put_locked(cache, own->free->slots + 1, count);
	own->unloaded += count;
	free_set(cache, own, own->free);
}

static void alloc_put_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t count = alloc_count(own);

	objcache_put_locked(cache, own->alloc->slots + 1, count);
	own->returned += count;
	alloc_set(own, own->alloc, 0);
}

void objcache_own_empty_locked(struct objcache *cache, struct objcache_cpu *own)
{
	alloc_put_locked(cache, own);
	free_put_locked(cache, own);
}

struct objcache_cpu_counts objcache_cpu_count_locked(const struct objcache *cache, unsigned slot)
{
	const struct objcache_cpu *own = cache->own[slot];
	uint64_t to_alloc, freed;

	if (!own)
		return (struct objcache_cpu_counts){ 0 };
	to_alloc = alloc_count(own);
	freed = free_count(own);
	return (struct objcache_cpu_counts){
		.cached = to_alloc + freed,
		.allocs = own->loaded - own->returned - to_alloc,
		.frees = own->unloaded + freed,
	};
}

uint64_t objcache_cpus_cached_locked(const struct objcache *cache)
{
	uint64_t cached = 0;

	for (unsigned slot = 1; slot < cache->own_end; slot++)
		if (cache->own[slot])
			cached += alloc_count(cache->own[slot]) + free_count(cache->own[slot]);
	return cached;
}

/* Depot ----------------------------------------------------------------------------------------------------------------- */

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

void objcache_depot_empty_locked(struct objcache *cache)
{
	for (struct objcache_magazine *magazine; (magazine = depot_take_locked(cache));) {
		objcache_put_locked(cache, magazine->slots + 1, magazine->count);
		spare_add_locked(cache, magazine);
	}
}

/* Another empty magazine, if the depot may grow. Not under [C]. */
static void spare_prepare(struct objcache *cache)
{
	struct objcache_magazine *magazine;
	uint64_t state;

	if (atomic_load_explicit(&cache->spare_count, memory_order_relaxed) > 0 || cache->magazine_slots == 0 ||
	    platform_in_handler() || !depot_may_grow(cache))
		return;
	magazine = magazine_new(cache);
	if (!magazine)
		return;
	state = spinlock_lock_interrupts(&cache->lock);
	spare_add_locked(cache, magazine);
	spinlock_unlock_interrupts(&cache->lock, state);
}

/* The long ways ----------------------------------------------------------------------------------------------------------- */

/*
 * True if no block could be emptied by moving all objects together, but for the few holes of blocks that are nearly full: then
 * there is no better place for an object than where it is.
 */
static bool is_compact_locked(const struct objcache *cache)
{
	const uint64_t all = cache->objects_per_block;
	const uint64_t holes = cache->counts.objects - cache->taken - cache->counts.empty_blocks * all;

	return holes < all + cache->counts.blocks * cache->worthwhile_objects;
}

/* What was freed is what is allocated next. The magazine to allocate from is empty. */
static void swap_locked(struct objcache *cache, struct objcache_cpu *own)
{
	struct objcache_magazine *empty = own->alloc;
	const uint32_t count = free_count(own);

	alloc_set(own, own->free, count);
	free_set(cache, own, empty);
	own->loaded += count;
	own->unloaded += count;
}

static bool load_from_depot_locked(struct objcache *cache, struct objcache_cpu *own)
{
	struct objcache_magazine *full = depot_take_locked(cache);

	if (!full)
		return false;
	spare_add_locked(cache, own->alloc);
	alloc_set(own, full, full->count);
	own->loaded += full->count;
	return true;
}

/*
 * On top of what was freed here, three quarters are enough: so both magazines together have room for it when more is freed than
 * allocated for a while, and do not hand full ones to the depot, and to other CPUs, only to ask for others soon.
 */
static uint32_t topped_up(const struct objcache *cache)
{
	return cache->magazine_slots / 4 * 3;
}

static void load_from_blocks_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t have = alloc_count(own);
	const uint32_t want = have == 0 ? cache->magazine_slots : topped_up(cache);
	const uint32_t count = objcache_take_locked(cache, own->alloc->slots + 1 + have, want - have);

	alloc_set(own, own->alloc, have + count);
	own->loaded += count;
}

/*
 * The magazine to allocate from is empty. Where nothing has been freed since the last time, the cache grows, and takes what is
 * quickest; otherwise objects come and go, and places matter. True: what is loaded now comes from the depot.
 */
static bool load_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const bool compact = is_compact_locked(cache);

	if ((free_count(own) == 0 || (compact && free_count(own) < cache->magazine_slots / 2)) &&
	    load_from_depot_locked(cache, own))
		return true;
	if (compact)
		swap_locked(cache, own);
	else
		free_put_locked(cache, own);
	if (alloc_count(own) < cache->magazine_slots / 2)
		load_from_blocks_locked(cache, own);
	return alloc_count(own) == 0 && load_from_depot_locked(cache, own);
}

#define REST_SHARE 4 /* of a magazine: who has no more left than that will soon want what has just been freed */

/*
 * The magazine to free into is full. In the depot it is for whoever comes first: who frees about as much as he allocates rather
 * gives up the few objects that are left of the other one.
 */
static void unload_locked(struct objcache *cache, struct objcache_cpu *own)
{
	struct list *spare;

	if (alloc_count(own) <= cache->magazine_slots / REST_SHARE && is_compact_locked(cache)) {
		alloc_put_locked(cache, own);
		swap_locked(cache, own);
		return;
	}
	if (!depot_may_grow(cache) || !(spare = list_take_first(&cache->spare))) {
		free_put_locked(cache, own);
		return;
	}
	cache->spare_count--;
	own->unloaded += cache->magazine_slots;
	depot_add_locked(cache, own->free, cache->magazine_slots);
	free_set(cache, own, container_of(spare, struct objcache_magazine, link));
}

/* *cold: the objects come from the depot. */
static void *own_alloc_locked(struct objcache *cache, struct objcache_cpu *own, bool *cold)
{
	struct objcache_slot *top;

	if (alloc_count(own) == 0)
		*cold = load_locked(cache, own);
	if (alloc_count(own) == 0)
		return NULL;
	top = alloc_top(own);
	if (*top->state != OBJECT_CACHED)
		objcache_object_is_wrong(cache, top->object, "was freed twice at once", NULL);
	*top->state = OBJECT_ALLOCATED;
	atomic_store_explicit(&own->alloc_top, top - 1, memory_order_relaxed);
	return top->object;
}

/* An object without a magazine of this CPU's. */
static void *single_alloc_locked(struct objcache *cache)
{
	struct objcache_slot slot;
	struct objcache_magazine *magazine;

	if (objcache_take_locked(cache, &slot, 1) == 0) {
		magazine = depot_take_locked(cache);
		if (!magazine)
			return NULL;
		slot = magazine->slots[magazine->count];
		if (magazine->count == 1)
			spare_add_locked(cache, magazine);
		else
			depot_add_locked(cache, magazine, magazine->count - 1);
	}
	*slot.state = OBJECT_ALLOCATED;
	cache->counts.allocs++;
	return slot.object;
}

/* Gives back what has become empty, if the cache has more of it than it keeps. */
static void unlock_and_give(struct objcache *cache, uint64_t state)
{
	struct list surplus;

	if (objcache_likely(cache->counts.empty_blocks <= 1)) {
		spinlock_unlock_interrupts(&cache->lock, state);
		return;
	}
	list_init(&surplus);
	objcache_surplus_locked(cache, &surplus);
	spinlock_unlock_interrupts(&cache->lock, state);
	if (!list_is_empty(&surplus))
		objcache_blocks_give(cache, &surplus);
}

#define PREFETCH_BYTES_MAX 1024 /* objects up to here; the first line of a larger one is a small part of what it costs */

/* What the CPU allocates next was freed long ago, in any order: all at once it comes sooner than one by one. */
static void prefetch_next(const struct objcache *cache)
{
	const struct objcache_cpu *own;

	if (cache->config.object_bytes > PREFETCH_BYTES_MAX)
		return;
	platform_preempt_disable();
	own = atomic_load_explicit(&cache->cpus[platform_cpu_slot()], memory_order_acquire);
	if (own != &no_magazines) {
#pragma GCC unroll 16
		for (const struct objcache_slot *slot = alloc_top(own); slot > own->alloc->slots; slot--)
			__builtin_prefetch(slot->object, 1);
	}
	platform_preempt_enable();
}

static void *alloc_held_slow(struct objcache *cache)
{
	struct objcache_cpu *own;
	bool cold = false;
	uint64_t state;
	void *object;

	own_prepare(cache);
	state = spinlock_lock_interrupts(&cache->lock);
	own = own_locked(cache);
	object = own ? own_alloc_locked(cache, own, &cold) : single_alloc_locked(cache);
	unlock_and_give(cache, state);
	if (cold)
		prefetch_next(cache);
	return object;
}

static void *alloc_growing(struct objcache *cache)
{
	void *object;

	while (!(object = alloc_held_slow(cache))) {
		if (platform_in_handler())
			return NULL;
		if (objcache_grow(cache, NULL) != STATUS_OK) {
			objcaches_flush(cache, 1);
			return alloc_held_slow(cache);
		}
	}
	return object;
}

void *objcache_alloc_slow(struct objcache *cache, bool grow)
{
	uint64_t state;
	void *object = NULL;

	if (!grow)
		return alloc_held_slow(cache);
	objcache_forbid_cleaning(cache);
	if (!block_heap_must_fail(cache->heap, cache->config.name, cache->config.object_bytes))
		object = alloc_growing(cache);
	if (!object) {
		state = spinlock_lock_interrupts(&cache->lock);
		cache->counts.failures++;
		spinlock_unlock_interrupts(&cache->lock, state);
	}
	return object;
}

static void free_locked(struct objcache *cache, const struct objcache_slot *slot)
{
	struct objcache_cpu *own = own_locked(cache);

	*slot->state = OBJECT_CACHED;
	if (!own) {
		objcache_put_locked(cache, slot, 1);
		cache->counts.frees++;
		return;
	}
	if (free_top(own) == own->free_limit)
		unload_locked(cache, own);
	*free_top(own) = *slot;
	atomic_store_explicit(&own->free_top, free_top(own) + 1, memory_order_relaxed);
}

void objcache_free_slow(struct objcache *cache, void *object, const void *site)
{
	const struct block *block = objcache_map_find(&cache->map, object);
	struct objcache_slot slot = { .object = object };
	uint64_t state;

	if (!object)
		return;
	if (!block || block->cache != cache)
		objcache_object_is_wrong(cache, object, "is no memory of this cache", site);
	slot.state = objcache_state(cache, block, object);
	if (!slot.state || *slot.state == OBJECT_NONE)
		objcache_object_is_wrong(cache, object, "is not the start of an object", site);

	own_prepare(cache);
	spare_prepare(cache);
	state = spinlock_lock_interrupts(&cache->lock);
	if (*slot.state != OBJECT_ALLOCATED)
		objcache_object_is_wrong(cache, object, "is free already", site);
	free_locked(cache, &slot);
	unlock_and_give(cache, state);
}

void *objcache_alloc(struct objcache *cache)
{
	void *object;

	objcache_debug_begin(cache);
	object = objcache_alloc_fast(cache);
	if (!objcache_likely(object))
		object = objcache_alloc_slow(cache, true);
	objcache_debug_alloc(cache, object, cache->config.object_bytes, __builtin_return_address(0));
	return object;
}

void *objcache_alloc_held(struct objcache *cache)
{
	void *object = objcache_alloc_fast(cache);

	if (!objcache_likely(object))
		object = objcache_alloc_slow(cache, false);
	objcache_debug_alloc(cache, object, cache->config.object_bytes, __builtin_return_address(0));
	return object;
}

void objcache_free(struct objcache *cache, void *object)
{
	const uint64_t offset = objcache_map_offset(&cache->map, object);
	const struct block *block;

	(void)objcache_debug_free(cache, object, __builtin_return_address(0));
	if (objcache_likely(offset < cache->map.bytes)) {
		block = &cache->map.blocks[offset >> BLOCK_SHIFT];
		if (objcache_likely(block->cache == cache && objcache_free_fast(cache, block, offset, object)))
			return;
	}
	objcache_free_slow(cache, object, __builtin_return_address(0));
}
