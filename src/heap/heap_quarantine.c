#include "heap_quarantine.h"

#include "objcache_internal.h"

#ifdef WEIR_DEBUG

void heap_quarantine_init(struct heap_quarantine *quarantine)
{
	spinlock_init(&quarantine->lock, "heap quarantine");
	quarantine->first = quarantine->count = 0;
	quarantine->bytes = 0;
}

/* Lets the oldest go if there are more than `objects` or `bytes`. */
static bool oldest_release(struct heap_quarantine *quarantine, uint32_t objects, uint64_t bytes)
{
	const uint64_t state = spinlock_lock_interrupts(&quarantine->lock);
	const bool found = quarantine->count > objects || quarantine->bytes > bytes;
	struct objcache *cache = quarantine->waiting[quarantine->first].cache;
	void *object = quarantine->waiting[quarantine->first].object;

	if (found) {
		quarantine->first = (quarantine->first + 1) % HEAP_QUARANTINE_OBJECTS;
		quarantine->count--;
		quarantine->bytes -= cache->config.object_bytes;
	}
	spinlock_unlock_interrupts(&quarantine->lock, state);
	if (found) {
		objcache_debug_check_free(cache, object);
		objcache_free_slow(cache, object, objcache_site_of(cache, object, true));
	}
	return found;
}

/* The place in the ring; false: others have filled it meanwhile. */
static bool insert(struct heap_quarantine *quarantine, struct objcache *cache, void *object)
{
	const uint64_t state = spinlock_lock_interrupts(&quarantine->lock);
	const bool fits = quarantine->count < HEAP_QUARANTINE_OBJECTS;

	if (fits) {
		const uint32_t place = (quarantine->first + quarantine->count++) % HEAP_QUARANTINE_OBJECTS;

		quarantine->waiting[place].cache = cache;
		quarantine->waiting[place].object = object;
		quarantine->bytes += cache->config.object_bytes;
	}
	spinlock_unlock_interrupts(&quarantine->lock, state);
	return fits;
}

void heap_quarantine_add(struct heap_quarantine *quarantine, struct objcache *cache, void *object)
{
	while (!insert(quarantine, cache, object))
		(void)oldest_release(quarantine, HEAP_QUARANTINE_OBJECTS - 1, UINT64_MAX);
	while (oldest_release(quarantine, HEAP_QUARANTINE_OBJECTS, HEAP_QUARANTINE_BYTES))
		;
}

uint32_t heap_quarantine_empty(struct heap_quarantine *quarantine)
{
	const bool in_task = !platform_in_handler();
	const bool before = in_task && platform_set_cleaning(true);
	uint32_t objects = 0;

	/* The mark keeps blocks that become empty here: a drain counts what goes. */
	while (oldest_release(quarantine, 0, 0))
		objects++;
	if (in_task)
		(void)platform_set_cleaning(before);
	return objects;
}

#endif
