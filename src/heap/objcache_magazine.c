/* A CPU's magazines: how it comes by them, loses them and gets them back, and what is in them. */
#include "objcache_internal.h"
#include "objcache_magazine.h"

/* Where nobody has a magazine: nothing to be had, no room. Never written to. */
static uint8_t no_state = OBJECT_NONE;
static struct objcache_slot no_slot = { NULL, &no_state };
static struct objcache_cpu no_magazines = { .alloc_top = &no_slot, .free_top = &no_slot, .free_limit = &no_slot };

void objcache_magazines_init(struct objcache *cache)
{
	for (unsigned slot = 0; slot <= PLATFORM_CPUS_MAX; slot++)
		atomic_init(&cache->cpus[slot], &no_magazines);
}

static void own_delete(struct objcache *cache, struct objcache_cpu *own)
{
	objcache_magazine_delete(cache, own->alloc);
	objcache_magazine_delete(cache, own->free);
	bookkeeping_free(cache->config.bookkeeping, own, sizeof(*own));
}

void objcache_magazines_fini(struct objcache *cache)
{
	for (unsigned slot = 0; slot <= PLATFORM_CPUS_MAX; slot++) {
		if (cache->own[slot])
			own_delete(cache, cache->own[slot]);
		cache->own[slot] = NULL;
	}
}

static struct objcache_cpu *own_new(struct objcache *cache)
{
	struct objcache_cpu *own = bookkeeping_alloc(cache->config.bookkeeping, sizeof(*own));

	if (!own)
		return NULL;
	own->alloc = objcache_magazine_new(cache);
	own->free = objcache_magazine_new(cache);
	if (!own->alloc || !own->free) {
		own_delete(cache, own);
		return NULL;
	}
	objcache_own_alloc_set(own, own->alloc, 0);
	objcache_own_free_set(cache, own, own->free);
	own->detached = UINT64_MAX; /* attached by its first use */
	return own;
}

void objcache_own_make(struct objcache *cache)
{
	struct objcache_cpu *own = own_new(cache);
	uint64_t state;
	unsigned slot;

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

static bool must_go_the_long_way(const struct objcache *cache)
{
	return atomic_load_explicit(&cache->heap->fault, memory_order_relaxed) != NULL;
}

/* Not inline: objcache_own_locked would save registers for it each time. */
__attribute__((noinline)) bool objcache_attach_locked(struct objcache *cache, unsigned slot)
{
	struct objcache_cpu *own = cache->own[slot];

	objcache_own_empty_locked(cache, own);
	if (must_go_the_long_way(cache))
		return false;
	own->detached = 0;
	atomic_store_explicit(&cache->cpus[slot], own, memory_order_release);
	return true;
}

struct objcache_cpu *objcache_own_locked(struct objcache *cache)
{
	const unsigned slot = platform_cpu_slot();
	struct objcache_cpu *own = slot != 0 ? cache->own[slot] : NULL;

	if (!own)
		return NULL;
	if (own->detached != 0)
		return objcache_attach_locked(cache, slot) ? own : NULL;
	return must_go_the_long_way(cache) ? NULL : own;
}

void objcache_own_free_put_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t count = objcache_own_free_count(own);

	objcache_put_locked(cache, own->free->slots + 1, count);
	own->unloaded += count;
	objcache_own_free_set(cache, own, own->free);
}

void objcache_own_alloc_put_locked(struct objcache *cache, struct objcache_cpu *own)
{
	const uint32_t count = objcache_own_alloc_count(own);

	objcache_put_locked(cache, own->alloc->slots + 1, count);
	own->returned += count;
	objcache_own_alloc_set(own, own->alloc, 0);
}

void objcache_own_empty_locked(struct objcache *cache, struct objcache_cpu *own)
{
	objcache_own_alloc_put_locked(cache, own);
	objcache_own_free_put_locked(cache, own);
}

struct objcache_cpu_counts objcache_cpu_count_locked(const struct objcache *cache, unsigned slot)
{
	const struct objcache_cpu *own = cache->own[slot];
	uint64_t to_alloc, freed;

	if (!own)
		return (struct objcache_cpu_counts){ 0 };
	to_alloc = objcache_own_alloc_count(own);
	freed = objcache_own_free_count(own);
	return (struct objcache_cpu_counts){
		.cached = to_alloc + freed,
		.allocs = own->loaded - own->returned - to_alloc,
		.frees = own->unloaded + freed,
	};
}
