// SPDX-License-Identifier: BSD-2-Clause
/*
 * A ring of freed objects that wait before they can be allocated again. When an object leaves the
 * ring, its junk is checked before it goes back to its cache: a write after the free is found
 * there, with the places that allocated and freed the object.
 */
#include "free_delay.h"

#include "objcache_internal.h"

#ifdef WEIR_DEBUG

void free_delay_init(struct free_delay *delay)
{
	spinlock_init(&delay->lock, "free delay");
}

/* Releases the oldest object. False: none waits. */
static bool oldest_release(struct free_delay *delay)
{
	const uint64_t state = spinlock_lock_interrupts(&delay->lock);
	const bool found = delay->count > 0;
	struct objcache *cache = delay->waiting[delay->first].cache;
	void *object = delay->waiting[delay->first].object;

	if (found) {
		delay->first = (delay->first + 1) % FREE_DELAY_OBJECTS;
		delay->count--;
		delay->bytes -= cache->config.object_bytes;
	}
	spinlock_unlock_interrupts(&delay->lock, state);
	if (found) {
		objcache_debug_check_free(cache, object);
		objcache_free_slow(cache, object, objcache_site_of(cache, object, true));
	}
	return found;
}

/* False: the ring has no room. An object larger than all the room waits alone. */
static bool insert(struct free_delay *delay, struct objcache *cache, void *object)
{
	const uint64_t state = spinlock_lock_interrupts(&delay->lock);
	const uint64_t bytes = delay->bytes + cache->config.object_bytes;
	const bool fits = delay->count == 0 || (delay->count < FREE_DELAY_OBJECTS && bytes <= FREE_DELAY_BYTES);

	if (fits) {
		const uint32_t place = (delay->first + delay->count++) % FREE_DELAY_OBJECTS;

		delay->waiting[place].cache = cache;
		delay->waiting[place].object = object;
		delay->bytes = bytes;
	}
	spinlock_unlock_interrupts(&delay->lock, state);
	return fits;
}

void free_delay_add(struct free_delay *delay, struct objcache *cache, void *object)
{
	while (!insert(delay, cache, object))
		(void)oldest_release(delay);
}

bool free_delay_empty(struct free_delay *delay)
{
	const bool in_task = !platform_in_handler();
	const bool before = in_task && platform_set_cleaning(true);
	bool found = false;

	/*
	 * The mark of cleaning keeps blocks that become empty here in the heap: a drain then gives
	 * and counts them.
	 */
	while (oldest_release(delay))
		found = true;
	if (in_task)
		(void)platform_set_cleaning(before);
	return found;
}

#endif
