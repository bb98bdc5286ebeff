// SPDX-License-Identifier: BSD-2-Clause
/*
 * A ring of freed objects that wait before they can be allocated again. When an object leaves the
 * ring, its junk is checked before it goes back to its cache: a write after the free is found
 * there, with the places that allocated and freed the object.
 */
#include "heap_quarantine.h"

#include "objcache_internal.h"

#ifdef WEIR_DEBUG

void heap_quarantine_init(struct heap_quarantine *quarantine)
{
	spinlock_init(&quarantine->lock, "heap quarantine");
}

/* Releases the oldest object. False: none waits. */
static bool oldest_release(struct heap_quarantine *quarantine)
{
	const uint64_t state = spinlock_lock_interrupts(&quarantine->lock);
	const bool found = quarantine->count > 0;
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

/* False: the ring has no room. An object larger than all the room waits alone. */
static bool insert(struct heap_quarantine *quarantine, struct objcache *cache, void *object)
{
	const uint64_t state = spinlock_lock_interrupts(&quarantine->lock);
	const uint64_t bytes = quarantine->bytes + cache->config.object_bytes;
	const bool fits =
		quarantine->count == 0 || (quarantine->count < HEAP_QUARANTINE_OBJECTS && bytes <= HEAP_QUARANTINE_BYTES);

	if (fits) {
		const uint32_t place = (quarantine->first + quarantine->count++) % HEAP_QUARANTINE_OBJECTS;

		quarantine->waiting[place].cache = cache;
		quarantine->waiting[place].object = object;
		quarantine->bytes = bytes;
	}
	spinlock_unlock_interrupts(&quarantine->lock, state);
	return fits;
}

void heap_quarantine_add(struct heap_quarantine *quarantine, struct objcache *cache, void *object)
{
	while (!insert(quarantine, cache, object))
		(void)oldest_release(quarantine);
}

bool heap_quarantine_empty(struct heap_quarantine *quarantine)
{
	const bool in_task = !platform_in_handler();
	const bool before = in_task && platform_set_cleaning(true);
	bool found = false;

	/*
	 * The mark of cleaning keeps blocks that become empty here in the heap: a drain then gives
	 * and counts them.
	 */
	while (oldest_release(quarantine))
		found = true;
	if (in_task)
		(void)platform_set_cleaning(before);
	return found;
}

#endif
