// SPDX-License-Identifier: BSD-2-Clause
/*
 * Alloc, free, resize and drains of the general heap. The fast path is one table lookup and a pop
 * from a magazine, inlined into each function that callers use. The slow path tries, in this order:
 * a guarded object, a loaded magazine, a new block, and a free object of a larger class; where
 * there was no block lately, that one first.
 */
#include "general_heap_internal.h"
#include "objcache_fast.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* A class up to this factor larger stands in for one that has no object left. */
#define STAND_IN_FACTOR 4

/* How long stand-ins go first after a class got no block: an attempt is a drain of all heaps. */
#define FULL_NS (10 * NS_PER_MS)

struct objcache *general_heap_cache(struct general_heap *heap, size_t bytes, size_t alignment)
{
	if (bytes == 0 || !is_power_or_zero(alignment))
		return NULL;
	const unsigned class = general_heap_class_of(heap, bytes, MAX(alignment, 1));
	return class < heap->classes ? &heap->cache[general_heap_server(heap, class)] : NULL;
}

/* The cache that `memory` belongs to; NULL: a run, if anything. */
static struct objcache *cache_of(const struct general_heap *heap, const void *memory)
{
	const struct block *block = objcache_map_find(&heap->map, memory);

	return block && block->holder == heap ? block->cache : NULL;
}

/* Only if OBJCACHE_DEBUG. True: the free is done, and the object waits out its free delay. */
static bool debug_free(struct general_heap *heap, void *memory, const void *site)
{
	struct objcache *cache = cache_of(heap, memory);

	if (!objcache_debug_free(cache, memory, site))
		return false;
	free_delay_add(&heap->delay, cache, memory);
	return true;
}

/*
 * The class has no object and gets no block. It may still have objects of its own although another
 * class serves it, or a larger class may have one to spare.
 */
static void *alloc_stand_in(struct general_heap *heap, unsigned class, size_t bytes, size_t alignment)
{
	const size_t limit = general_heap_class_bytes(heap, class) * STAND_IN_FACTOR;
	void *memory = NULL;

	while (!memory && class < heap->classes && general_heap_class_bytes(heap, class) <= limit) {
		memory = objcache_alloc_slow(&heap->cache[class], false);
		class = general_heap_class_find(heap, class + 1, bytes, alignment);
	}
	return memory;
}

/*
 * Allocates where a magazine has to be loaded, with about three quarters of its objects; or takes a
 * guarded object if one is due. Objects of caches without magazines are too large to be guarded.
 */
static void *alloc_loading(struct general_heap *heap, unsigned class, size_t bytes, size_t alignment, const void *site)
{
	struct objcache *cache = &heap->cache[general_heap_server_choose(heap, class)];
	void *memory = NULL;

	if (guard_pool_is_due(&heap->guard, cache->magazine_slots * 3 / 4))
		memory = guard_pool_alloc(&heap->guard, bytes, alignment, site);
	return memory ? memory : objcache_alloc_slow(cache, true);
}

static __attribute__((noinline)) void *alloc_slow(struct general_heap *heap, size_t bytes, size_t alignment, const void *site)
{
	if (alignment == 0)
		alignment = OBJCACHE_OBJECT_MIN;
	if (bytes == 0 || !is_power_of_two(alignment) || block_heap_must_fail(heap->heap, heap->config.name, bytes))
		return NULL;

	const unsigned class = general_heap_class_of(heap, bytes, alignment);
	if (class == heap->classes)
		return general_heap_run_alloc(heap, bytes, alignment);
	void *memory = NULL;
	if (alignment != OBJCACHE_OBJECT_MIN || bytes > GENERAL_HEAP_SMALL_BYTES) /* else that was tried */
		memory = objcache_alloc_fast(&heap->cache[general_heap_server(heap, class)]);
	if (!memory && platform_now_ns() < atomic_load_explicit(&heap->full_until_ns, memory_order_relaxed))
		memory = alloc_stand_in(heap, class, bytes, alignment);
	if (!memory)
		memory = alloc_loading(heap, class, bytes, alignment, site);
	if (!memory) {
		atomic_store_explicit(&heap->full_until_ns, platform_now_ns() + FULL_NS, memory_order_relaxed);
		memory = alloc_stand_in(heap, class, bytes, alignment);
	}
	return !memory && general_heap_settle(heap) ? alloc_stand_in(heap, class, bytes, alignment) : memory;
}

/*
 * These are inlined into each function of the interface: the address of its caller, for reports, is
 * then read only where it is needed. An argument would cost the fast path three instructions.
 */
#define FOR_CALLER static inline __attribute__((always_inline))
#define CALLER     __builtin_return_address(0)

FOR_CALLER void *alloc_for_caller(struct general_heap *heap, size_t bytes, size_t alignment)
{
	void *memory = NULL;

	if (OBJCACHE_DEBUG)
		objcache_forbid_cleaning(heap->cache);
	if (objcache_likely(alignment == 0 && bytes - 1 < GENERAL_HEAP_SMALL_BYTES))
		memory = objcache_alloc_fast(atomic_load_explicit(&heap->small[(bytes - 1) / 16], memory_order_relaxed));
	if (objcache_likely(memory))
		__asm__ volatile("" : : "D"(heap)); /* kept in its register, not copied */
	else
		memory = alloc_slow(heap, bytes, alignment, CALLER);
	if (OBJCACHE_DEBUG)
		objcache_debug_alloc(cache_of(heap, memory), memory, bytes, CALLER);
	return memory;
}

void *general_heap_alloc(struct general_heap *heap, size_t bytes, size_t alignment)
{
	return alloc_for_caller(heap, bytes, alignment);
}

void *general_heap_alloc_at(struct general_heap *heap, size_t bytes, size_t alignment, const void *site)
{
	void *memory;

	if (OBJCACHE_DEBUG)
		objcache_forbid_cleaning(heap->cache);
	memory = alloc_slow(heap, bytes, alignment, site);
	if (OBJCACHE_DEBUG)
		objcache_debug_alloc(cache_of(heap, memory), memory, bytes, site);
	return memory;
}

static __attribute__((noinline)) void free_slow(struct general_heap *heap, void *memory, const void *site)
{
	struct objcache *cache;

	if (!memory)
		return;
	cache = cache_of(heap, memory);
	if (cache) {
		objcache_free_slow(cache, memory, site);
	} else if (guard_pool_owns(&heap->guard, memory)) {
		guard_pool_free(&heap->guard, memory, site);
	} else {
		general_heap_run_free(heap, memory);
	}
}

FOR_CALLER void free_for_caller(struct general_heap *heap, void *memory)
{
	const uint64_t offset = objcache_map_offset(&heap->map, memory);
	const struct block *block;

	if (objcache_likely(offset < heap->map.bytes)) {
		block = &heap->map.blocks[offset >> BLOCK_SHIFT];
		if (objcache_likely(block->holder == heap)) {
			if (OBJCACHE_DEBUG && debug_free(heap, memory, CALLER))
				return;
			if (objcache_likely(objcache_free_fast(block->cache, block, offset, memory)))
				return;
		}
	}
	free_slow(heap, memory, CALLER);
}

void general_heap_free(struct general_heap *heap, void *memory)
{
	free_for_caller(heap, memory);
}

void general_heap_free_at(struct general_heap *heap, void *memory, const void *site)
{
	if (!OBJCACHE_DEBUG || !debug_free(heap, memory, site))
		free_slow(heap, memory, site);
}

static size_t usable_bytes(struct general_heap *heap, const void *memory)
{
	const struct objcache *cache = cache_of(heap, memory);

	if (cache)
		return cache->config.object_bytes;
	if (guard_pool_owns(&heap->guard, memory))
		return guard_pool_usable_bytes(&heap->guard, memory);
	return (size_t)general_heap_run_of(heap, memory)->run_blocks << BLOCK_SHIFT;
}

size_t general_heap_usable_bytes(struct general_heap *heap, const void *memory)
{
	const size_t bytes = usable_bytes(heap, memory);

	if (OBJCACHE_DEBUG)
		objcache_debug_resize(cache_of(heap, memory), memory, bytes);
	return bytes;
}

void *general_heap_resize(struct general_heap *heap, void *memory, size_t bytes, size_t alignment)
{
	const size_t usable = memory ? usable_bytes(heap, memory) : 0;
	void *other;

	if (bytes == 0 || !is_power_or_zero(alignment))
		return NULL;
	const bool fits = bytes <= usable && is_aligned(platform_phys(memory).value, MAX(alignment, 1));
	if (fits && bytes >= usable / 2) {
		if (OBJCACHE_DEBUG)
			objcache_debug_resize(cache_of(heap, memory), memory, bytes);
		return memory;
	}
	other = alloc_for_caller(heap, bytes, alignment);
	if (!other)
		return fits ? memory : NULL; /* the red zone stays where it was */
	if (memory) {
		memcpy(other, memory, MIN(bytes, usable));
		free_for_caller(heap, memory);
	}
	return other;
}

bool general_heap_settle(struct general_heap *heap)
{
	return OBJCACHE_DEBUG && free_delay_empty(&heap->delay);
}

uint64_t general_heap_used_bytes(struct general_heap *heap)
{
	uint64_t bytes;

	(void)general_heap_settle(heap);
	(void)general_heap_freed_runs_give(heap, &reclaim_all);
	bytes = guard_pool_count(&heap->guard).live_bytes;
	spinlock_lock(&heap->heap->lock);
	bytes += heap->runs.blocks << BLOCK_SHIFT;
	spinlock_unlock(&heap->heap->lock);
	for (unsigned class = 0; class < heap->classes; class ++)
		bytes += objcache_count(&heap->cache[class]).used * general_heap_class_bytes(heap, class);
	return bytes;
}

/* Draining ------------------------------------------------------------------------------------- */

static uint64_t settle(struct objcache_group *group, const struct reclaim_target *target)
{
	struct general_heap *heap = container_of(group, struct general_heap, group);

	(void)general_heap_settle(heap);
	general_heap_classes_review(heap);
	return general_heap_freed_runs_give(heap, target);
}

static uint64_t interface_drain(struct caching_heap *caching, uint64_t bytes, uint64_t retain)
{
	const struct reclaim_target target = reclaim_target_any(bytes);

	return objcache_group_drain(&container_of(caching, struct general_heap, caching)->group, &target, retain);
}

bool general_heap_is_valid(struct general_heap *heap)
{
	uint64_t free_bytes = 0;

	for (unsigned class = 0; class < heap->classes; class ++) {
		const struct objcache *cache = &heap->cache[class];

		free_bytes += (cache->counts.objects - cache->taken) * general_heap_class_bytes(heap, class);
	}
	return free_bytes == atomic_load(&heap->group.free_bytes);
}

/* Life ----------------------------------------------------------------------------------------- */

static void *interface_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	return alloc_for_caller(container_of(heap, struct general_heap, caching.heap), bytes, alignment);
}

static void interface_free(struct heap *heap, void *memory)
{
	free_for_caller(container_of(heap, struct general_heap, caching.heap), memory);
}

status_t general_heap_init(struct general_heap *heap, const struct general_heap_config *config)
{
	status_t status;

	memset(heap, 0, sizeof(*heap));
	heap->config = *config;
	heap->heap = config->source->heap;
	heap->caching = (struct caching_heap){ { config->name, interface_alloc, interface_free }, interface_drain };
	owner_init(&heap->runs, config->name, false);
	heap->map = objcache_map_make(heap->heap);
	status = general_heap_classes_init(heap);
	if (status != STATUS_OK)
		return status;
	heap->group.caches = heap->cache;
	heap->group.count = heap->classes;
	heap->group.retain_bytes = config->retain_bytes;
	heap->group.settle = settle;
	if (OBJCACHE_DEBUG)
		free_delay_init(&heap->delay);
	guard_pool_init(&heap->guard, config->name, &config->guard, heap->heap, config->metadata);
	objcache_group_register(&heap->group, config->name, config->cleaners);
	return STATUS_OK;
}

status_t general_heap_fini(struct general_heap *heap)
{
	if (general_heap_used_bytes(heap) != 0)
		return STATUS_BUSY;
	if (heap->config.cleaners)
		cleaner_unregister(heap->config.cleaners, &heap->group.cleaner);
	guard_pool_fini(&heap->guard);
	general_heap_classes_fini(heap);
	return STATUS_OK;
}
