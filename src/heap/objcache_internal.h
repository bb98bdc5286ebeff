/* What the files of the objcache share; nobody else includes it. `_locked`: with [C] held. */
#pragma once

#include "objcache.h"
#include "runtime/base/bits.h"

/* Shift of cache->reciprocal: offsets are below 2^21 and sizes below 2^21, so the quotient is exact. */
#define OBJCACHE_RECIPROCAL_SHIFT 42

/* Takes a fresh block from the source and makes it ready; it is in no list yet. Not under [C]. */
status_t objcache_block_take(struct objcache *cache, struct block_source *source, struct block **block) MUST_CHECK;

/* Gives a block back that is in no list and holds no object. Not under [C]. */
void objcache_block_give(struct objcache *cache, struct block *block);

/* Takes a block that has become empty out of the cache if it has enough of them: the caller gives it. */
bool objcache_surplus_locked(struct objcache *cache, struct block *block);

/* Moves the block to the list for `role`. */
void objcache_set_role_locked(struct objcache *cache, struct block *block, enum objcache_role role);

/* Adds a block that objcache_block_take returned. */
void objcache_empty_add_locked(struct objcache *cache, struct block *block);

/* Marks the object allocated or free. */
void *objcache_object_take_locked(struct objcache *cache, struct block *block, uint32_t index);
void objcache_object_put_locked(struct objcache *cache, struct block *block, uint32_t index);

static inline char *objcache_object(const struct objcache *cache, const struct block *block, uint32_t index)
{
	return (char *)platform_virt(block_address(cache->heap, block)) + (size_t)index * cache->config.object_bytes;
}

static inline bool objcache_block_is_within(const struct objcache *cache, const struct block *block, struct phys_addr lowest,
					    struct phys_addr highest)
{
	const uint64_t start = block_address(cache->heap, block).value;

	return start >= lowest.value && (highest.value == 0 || start + BLOCK_BYTES - 1 <= highest.value);
}

/* Junk: debug builds only. */
#ifdef WEIR_DEBUG
void objcache_junk_fresh(struct objcache *cache, struct block *block);
void objcache_junk_alloc(struct objcache *cache, void *object, bool was_free);
void objcache_junk_free(struct objcache *cache, void *object);
#else
static inline void objcache_junk_fresh(struct objcache *cache, struct block *block)
{
	(void)cache, (void)block;
}
static inline void objcache_junk_alloc(struct objcache *cache, void *object, bool was_free)
{
	(void)cache, (void)object, (void)was_free;
}
static inline void objcache_junk_free(struct objcache *cache, void *object)
{
	(void)cache, (void)object;
}
#endif
