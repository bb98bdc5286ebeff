// SPDX-License-Identifier: BSD-2-Clause
/*
 * Magazines: those of the CPUs, those of the depot, which are full, and spare ones, which are
 * empty. A CPU's stack that has run empty, or full, gets another magazine from there or from the
 * CPU's other stack, is loaded from the blocks, or is unloaded into them.
 */
#include "objcache_magazine.h"

#include "objcache_internal.h"

/* Ends each magazine: the state of its lowest slot. */
static uint8_t end_state = OBJECT_NONE;

/* The magazines of a CPU that has none: no object to take, no room to free. Never written to. */
static struct objcache_slot no_slot = { NULL, &end_state };
static struct objcache_cpu no_magazines = { .alloc.top = &no_slot + 1, .free = { .top = &no_slot, .limit = &no_slot } };

/* Magazines that no CPU has -------------------------------------------------------------------- */

static size_t magazine_bytes(const struct objcache *cache)
{
	return sizeof(struct objcache_magazine) + (cache->magazine_slots + 1) * sizeof(struct objcache_slot);
}

static struct objcache_magazine *magazine_new(struct objcache *cache)
{
	struct objcache_magazine *magazine = metadata_heap_alloc(cache->config.metadata, magazine_bytes(cache));

	if (magazine)
		magazine->slots[0].state = &end_state;
	return magazine;
}

static void magazine_delete(struct objcache *cache, struct objcache_magazine *magazine)
{
	metadata_heap_free(cache->config.metadata, magazine, magazine_bytes(cache));
}

#define DEPOT_SHARE 32  /* of the heap's memory, for the depots of all objcaches together */
#define DEPOT_MAX   512 /* magazines of one depot, whose memory is up to 2 MB */

static bool depot_may_grow(const struct objcache *cache)
{
	const uint64_t all = atomic_load_explicit(&cache->heap->depot_bytes, memory_order_relaxed);

	return atomic_load_explicit(&cache->depot.count, memory_order_relaxed) < DEPOT_MAX &&
	       all < cache->heap->total_blocks * (BLOCK_BYTES / DEPOT_SHARE);
}

/* Counts one magazine more, or one fewer; spare magazines take no share of the memory. */
static inline void depot_change_locked(struct objcache *cache, struct objcache_depot *depot, int change)
{
	const uint64_t bytes = cache->magazine_slots * cache->config.object_bytes + magazine_bytes(cache);
	const uint32_t count = atomic_load_explicit(&depot->count, memory_order_relaxed) + (uint32_t)change;

	atomic_store_explicit(&depot->count, count, memory_order_relaxed);
	depot->low = MIN(depot->low, count);
	if (depot == &cache->depot)
		atomic_fetch_add_explicit(&cache->heap->depot_bytes, bytes * (uint64_t)change, memory_order_relaxed);
}

static inline void depot_add_locked(struct objcache *cache, struct objcache_depot *depot, struct objcache_magazine *magazine)
{
	list_insert_first(&depot->magazines, &magazine->link);
	depot_change_locked(cache, depot, 1);
}

static inline struct objcache_magazine *depot_take_locked(struct objcache *cache, struct objcache_depot *depot)
{
	struct list *link = list_take_first(&depot->magazines);

	if (!link)
		return NULL;
	depot_change_locked(cache, depot, -1);
	return container_of(link, struct objcache_magazine, link);
}

bool objcache_depot_flush_locked(struct objcache *cache)
{
	struct objcache_magazine *full = depot_take_locked(cache, &cache->depot);

	if (!full)
		return false;
	objcache_put_locked(cache, full->slots + 1, cache->magazine_slots);
	depot_add_locked(cache, &cache->spare, full);
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

	do {
		const uint64_t state = spinlock_lock_interrupts(&cache->lock);

		magazine = depot_take_locked(cache, &cache->spare);
		spinlock_unlock_interrupts(&cache->lock, state);
		magazine_delete(cache, magazine);
	} while (magazine);
}

void objcache_spare_prepare(struct objcache *cache)
{
	struct objcache_magazine *magazine;

	if (atomic_load_explicit(&cache->spare.count, memory_order_relaxed) > 0 || cache->magazine_slots == 0 ||
	    !objcache_may_trade() || !depot_may_grow(cache))
		return;
	magazine = magazine_new(cache);
	if (!magazine)
		return;
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	depot_add_locked(cache, &cache->spare, magazine);
	spinlock_unlock_interrupts(&cache->lock, state);
}

/* Stacks --------------------------------------------------------------------------------------- */

/* Gives the stack another magazine, or sets its count after a change in bulk. */
static inline void stack_set(const struct objcache *cache, struct objcache_stack *stack, struct objcache_magazine *magazine,
			     uint32_t count)
{
	stack->loaded += (uint64_t)count - (stack->magazine ? objcache_stack_count(stack) : 0);
	stack->magazine = magazine;
	stack->limit = magazine->slots + 1 + cache->magazine_slots;
	atomic_store_explicit(&stack->top, magazine->slots + 1 + count, memory_order_relaxed);
}

/* Puts the stack's objects back into the blocks. */
static void stack_put_locked(struct objcache *cache, struct objcache_stack *stack)
{
	objcache_put_locked(cache, stack->magazine->slots + 1, objcache_stack_count(stack));
	stack_set(cache, stack, stack->magazine, 0);
}

/*
 * Exchanges the stack's magazine, which goes to `to`, for one of `from`, with `count` objects.
 * False: `from` has none; nothing was done.
 */
static bool stack_exchange_locked(struct objcache *cache, struct objcache_stack *stack, struct objcache_depot *from,
				  struct objcache_depot *to, uint32_t count)
{
	struct objcache_magazine *other = depot_take_locked(cache, from);

	if (!other)
		return false;
	depot_add_locked(cache, to, stack->magazine);
	stack_set(cache, stack, other, count);
	return true;
}

/*
 * Exchanges the CPU's magazines: freed objects are allocated next. The magazine to allocate from is
 * empty.
 */
static void swap_locked(const struct objcache *cache, struct objcache_cpu *own)
{
	struct objcache_magazine *empty = own->alloc.magazine;

	stack_set(cache, &own->alloc, own->free.magazine, objcache_stack_count(&own->free));
	stack_set(cache, &own->free, empty, 0);
}

/*
 * Loads a magazine from the blocks. One that has freed objects is loaded to three quarters only: so
 * both magazines together have room when more is freed than allocated for a while, and do not hand
 * full ones to the depot, and to other CPUs, only to ask for others soon.
 */
static void load_from_blocks_locked(struct objcache *cache, struct objcache_stack *stack)
{
	const uint32_t have = objcache_stack_count(stack);
	const uint32_t want = cache->magazine_slots / 4 * (have == 0 ? 4 : 3);
	const uint32_t count = objcache_take_locked(cache, objcache_stack_top(stack), want - have);

	stack_set(cache, stack, stack->magazine, have + count);
}

/*
 * True if no block could be emptied by moving all objects together, but for the few holes of blocks
 * that are nearly full: then each object already lies where it should.
 */
static bool is_compact_locked(const struct objcache *cache)
{
	const uint64_t all = cache->objects_per_block;
	const uint64_t holes = cache->counts.objects - cache->taken - cache->counts.empty_blocks * all;

	return holes < all + cache->counts.blocks * cache->worthwhile_objects;
}

static bool load_from_depot_locked(struct objcache *cache, struct objcache_cpu *own)
{
	return stack_exchange_locked(cache, &own->alloc, &cache->depot, &cache->spare, cache->magazine_slots);
}

/*
 * Loads the magazine to allocate from, which is empty. If nothing has been freed since the last
 * time, the cache grows, and takes what is quickest; otherwise objects come and go, and their
 * places matter. True: the objects come from the depot.
 */
static bool load_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t freed = objcache_stack_count(&own->free);
	const bool compact = is_compact_locked(cache);

	if ((freed == 0 || (compact && freed < cache->magazine_slots / 2)) && load_from_depot_locked(cache, own))
		return true;
	if (compact)
		swap_locked(cache, own);
	else
		stack_put_locked(cache, &own->free);
	if (objcache_stack_count(&own->alloc) < cache->magazine_slots / 2)
		load_from_blocks_locked(cache, &own->alloc);
	return objcache_stack_count(&own->alloc) == 0 && load_from_depot_locked(cache, own);
}

#define REST_SHARE 4 /* of a magazine: a CPU that has less left soon wants more */

/*
 * Unloads the magazine to free into, which is full. In the depot it is for the CPU that comes
 * first: so a CPU that frees about as much as it allocates rather gives up the few objects that are
 * left in its other magazine.
 */
static void unload_locked(struct objcache *cache, struct objcache_cpu *own)
{
	if (objcache_stack_count(&own->alloc) <= cache->magazine_slots / REST_SHARE && is_compact_locked(cache)) {
		stack_put_locked(cache, &own->alloc);
		swap_locked(cache, own);
	} else if (!depot_may_grow(cache) || !stack_exchange_locked(cache, &own->free, &cache->spare, &cache->depot, 0)) {
		stack_put_locked(cache, &own->free);
	}
}

/* A CPU's -------------------------------------------------------------------------------------- */

void objcache_magazines_init(struct objcache *cache)
{
	list_init(&cache->depot.magazines);
	list_init(&cache->spare.magazines);
	for (unsigned slot = 0; slot <= PLATFORM_CPUS_MAX; slot++)
		atomic_init(&cache->cpus[slot], &no_magazines);
}

static void own_delete(struct objcache *cache, struct objcache_cpu *own)
{
	magazine_delete(cache, own->alloc.magazine);
	magazine_delete(cache, own->free.magazine);
	metadata_heap_free(cache->config.metadata, own, sizeof(*own));
}

static void own_empty_locked(struct objcache *cache, struct objcache_cpu *own)
{
	stack_put_locked(cache, &own->alloc);
	stack_put_locked(cache, &own->free);
}

void objcache_magazines_fini(struct objcache *cache)
{
	while (objcache_depot_flush(cache))
		continue;
	objcache_spare_delete(cache);
	for (unsigned slot = 1; slot < cache->own_end; slot++) {
		struct objcache_cpu *own = cache->own[slot];

		if (!own)
			continue;
		const uint64_t state = spinlock_lock_interrupts(&cache->lock);
		own_empty_locked(cache, own);
		spinlock_unlock_interrupts(&cache->lock, state);
		own_delete(cache, own);
	}
}

static struct objcache_cpu *own_new(struct objcache *cache)
{
	struct objcache_cpu *own = metadata_heap_alloc(cache->config.metadata, sizeof(*own));
	struct objcache_magazine *alloc = magazine_new(cache), *free = magazine_new(cache);

	if (own && alloc && free) {
		stack_set(cache, &own->alloc, alloc, 0);
		stack_set(cache, &own->free, free, 0);
		own->detached = UINT64_MAX; /* attached by its first use */
		return own;
	}
	magazine_delete(cache, alloc);
	magazine_delete(cache, free);
	metadata_heap_free(cache->config.metadata, own, sizeof(*own));
	return NULL;
}

void objcache_cpu_prepare(struct objcache *cache)
{
	struct objcache_cpu *own;

	if (atomic_load_explicit(&cache->own[platform_cpu_slot()], memory_order_relaxed) || cache->magazine_slots == 0 ||
	    !objcache_may_trade())
		return;
	own = own_new(cache);
	if (!own)
		return;
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);
	const unsigned slot = platform_cpu_slot();
	if (!cache->own[slot]) {
		atomic_store_explicit(&cache->own[slot], own, memory_order_relaxed);
		cache->own_end = MAX(cache->own_end, slot + 1);
		own = NULL;
	}
	spinlock_unlock_interrupts(&cache->lock, state);
	if (own)
		own_delete(cache, own);
}

void objcache_detach(struct objcache *cache, uint64_t flush)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	for (unsigned slot = 1; slot < cache->own_end; slot++) {
		if (!cache->own[slot])
			continue;
		cache->own[slot]->detached = flush;
		atomic_store_explicit(&cache->cpus[slot], &no_magazines, memory_order_relaxed);
	}
	spinlock_unlock_interrupts(&cache->lock, state);
}

/* Not inline: objcache_cpu_get_locked would save registers for it at each call. */
__attribute__((noinline)) bool objcache_attach_locked(struct objcache *cache, struct objcache_cpu *own, unsigned slot)
{
	own_empty_locked(cache, own);
	if (atomic_load_explicit(&cache->heap->fault, memory_order_relaxed))
		return false;
	own->detached = 0;
	atomic_store_explicit(&cache->cpus[slot], own, memory_order_release);
	return true;
}

struct objcache_cpu *objcache_cpu_get_locked(struct objcache *cache)
{
	const unsigned slot = platform_cpu_slot();
	struct objcache_cpu *own = cache->own[slot];

	return own && (own->detached == 0 || objcache_attach_locked(cache, own, slot)) ? own : NULL;
}

void *objcache_cpu_alloc_locked(struct objcache *cache, struct objcache_cpu *own, bool *cold)
{
	struct objcache_slot *top;

	if (objcache_stack_count(&own->alloc) == 0)
		*cold = load_locked(cache, own);
	if (objcache_stack_count(&own->alloc) == 0)
		return NULL;
	top = objcache_stack_top(&own->alloc) - 1;
	if (*top->state != OBJECT_CACHED)
		objcache_object_is_wrong(cache, top->object, "was freed twice at once", NULL);
	*top->state = OBJECT_ALLOCATED;
	atomic_store_explicit(&own->alloc.top, top, memory_order_relaxed);
	return top->object;
}

void objcache_cpu_free_locked(struct objcache *cache, struct objcache_cpu *own, const struct objcache_slot *slot)
{
	if (objcache_stack_top(&own->free) == own->free.limit)
		unload_locked(cache, own);
	*objcache_stack_top(&own->free) = *slot;
	atomic_store_explicit(&own->free.top, objcache_stack_top(&own->free) + 1, memory_order_relaxed);
}

/* Objects that have been loaded and are not there any more were allocated. */
struct objcache_cpu_counts objcache_cpu_count_locked(const struct objcache *cache, unsigned slot)
{
	const struct objcache_cpu *own = cache->own[slot];
	uint64_t to_alloc, freed;

	if (!own)
		return (struct objcache_cpu_counts){ 0 };
	to_alloc = objcache_stack_count(&own->alloc);
	freed = objcache_stack_count(&own->free);
	return (struct objcache_cpu_counts){
		.cached = to_alloc + freed,
		.allocs = own->alloc.loaded - to_alloc,
		.frees = freed - own->free.loaded,
	};
}
