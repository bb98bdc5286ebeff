// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the objcache share; no other file includes it. `_locked`: with [C] held.
 *
 *	objcache.c		blocks, their lists by fill, and growing
 *	objcache_alloc.c	alloc and free, and their slow paths
 *	objcache_magazine.c	magazines, and how they are loaded and unloaded (objcache_magazine.h)
 *	objcache_drain.c	what goes back to the source
 *	objcache_life.c		beginning, end and counts
 *	objcache_check.c	reports of wrong uses, and the walker
 *	objcache_debug.c	what debug builds do
 */
#pragma once

#include "objcache_fast.h"
#include "runtime/base/bits.h"

/* How many objects of a block that is in a list are not free in it. */
static inline uint32_t objcache_block_used(const struct block *block)
{
	return block->floor + block->credit;
}

/*
 * Whether the caller may take and give blocks: a handler cannot, and a task that cleans takes none
 * and accounts for what it gives.
 */
static inline bool objcache_may_trade(void)
{
	return !platform_in_handler() && !platform_is_cleaning();
}

/*
 * The list for a block with `used` objects that are not free in it; the block stays there until
 * only *floor are.
 */
enum objcache_role objcache_role_of(const struct objcache *cache, uint32_t used, uint32_t *floor);

/*
 * Counts so many objects more, or fewer, as free in the cache's blocks; returns the bytes that are
 * free in the blocks of its group.
 */
static inline uint64_t objcache_group_add(struct objcache *cache, int64_t objects)
{
	const uint64_t bytes = (uint64_t)objects * cache->config.object_bytes;

	return atomic_fetch_add_explicit(&cache->group->free_bytes, bytes, memory_order_relaxed) + bytes;
}

/* Gives a block back that is in no list and has no object in use. Not under [C]. */
void objcache_block_give(struct objcache *cache, struct block *block);

/*
 * Takes an empty block out of the cache. False: less than `retain` bytes would be free in its
 * group; nothing was done.
 */
bool objcache_block_remove_locked(struct objcache *cache, struct block *block, uint64_t retain) MUST_CHECK;

/*
 * Gives empty blocks back until `spared` are left, as long as `retain` bytes stay free in the
 * group. Where objcache_may_trade().
 */
uint64_t objcache_give_empty(struct objcache *cache, uint64_t spared, uint64_t retain);

/*
 * Fills slots with 1 to `max` objects of the fullest blocks, or 0 if there are none; they become
 * OBJECT_CACHED. Returns how many.
 */
uint32_t objcache_take_locked(struct objcache *cache, struct objcache_slot *slots, uint32_t max);

/* Puts objects back into their blocks. */
void objcache_put_locked(struct objcache *cache, const struct objcache_slot *slots, uint32_t count);

static inline char *objcache_objects(const struct objcache *cache, const struct block *block)
{
	return (char *)(cache->map.start + ((uintptr_t)(block - cache->map.blocks) << BLOCK_SHIFT));
}

/* Ends in a panic. */
_Noreturn void objcache_object_is_wrong(const struct objcache *cache, const void *object, const char *what, const void *site);

/*
 * Only if OBJCACHE_DEBUG: for a block that has come and for one that goes; and the code that
 * allocated or freed an object, if known.
 */
void objcache_debug_block(struct objcache *cache, struct block *block);
void objcache_debug_block_end(struct objcache *cache, struct block *block);
void objcache_debug_check_free(const struct objcache *cache, const void *object); /* its junk is whole */
const void *objcache_site_of(const struct objcache *cache, const void *object, bool freed);
