// SPDX-License-Identifier: BSD-2-Clause
/*
 * What debug builds do beside each alloc and free: junk in fresh and freed objects, a red zone
 * behind the bytes that were asked for, and for each object a record of the code that allocated and
 * freed it. Records lie outside of the block, as its states do, in chunks that are made when one of
 * their objects is first allocated; if there is no memory for a chunk, nothing is known of its
 * objects.
 */
#include "objcache_internal.h"
#include "runtime/base/string.h"

#ifdef WEIR_DEBUG

#define JUNK_ALLOCATED 0xa5
#define JUNK_FREE      0x5a
#define JUNK_RED       0xbd
#define CHUNK_RECORDS  512u

struct objcache_record {
	const void *_Atomic allocated_by;
	const void *_Atomic freed_by; /* since it was allocated; NULL: not freed */
	_Atomic uint32_t bytes;       /* that were asked for */
};

static uint32_t chunk_count(const struct objcache *cache)
{
	return (uint32_t)divide_round_up(cache->objects_per_block, CHUNK_RECORDS);
}

static size_t chunk_bytes(const struct objcache *cache)
{
	return MIN(cache->objects_per_block, CHUNK_RECORDS) * sizeof(struct objcache_record);
}

void objcache_debug_block(struct objcache *cache, struct block *block)
{
	memset(objcache_objects(cache, block), JUNK_FREE, BLOCK_BYTES);
	block->records = metadata_heap_alloc(cache->config.metadata, chunk_count(cache) * sizeof(*block->records));
}

void objcache_debug_block_end(struct objcache *cache, struct block *block)
{
	for (uint32_t i = 0; block->records && i < chunk_count(cache); i++)
		metadata_heap_free(cache->config.metadata, block->records[i], chunk_bytes(cache));
	metadata_heap_free(cache->config.metadata, block->records, chunk_count(cache) * sizeof(*block->records));
	block->records = NULL;
}

/* The object's record; NULL: there is none, and it cannot or (`make`) need not be made. */
static struct objcache_record *record_find(const struct objcache *cache, const void *object, bool make)
{
	const struct block *block = objcache_map_find(&cache->map, object);
	struct objcache_record *none = NULL, *chunk;
	uint64_t index;

	if (!block || block->cache != cache || !block->records ||
	    !objcache_index(cache, objcache_map_offset(&cache->map, object), &index))
		return NULL;
	struct objcache_record *_Atomic *place = &block->records[index / CHUNK_RECORDS];
	if (make && !atomic_load(place) && !platform_in_handler()) {
		chunk = metadata_heap_alloc(cache->config.metadata, chunk_bytes(cache));
		if (chunk && !atomic_compare_exchange_strong(place, &none, chunk))
			metadata_heap_free(cache->config.metadata, chunk, chunk_bytes(cache));
	}
	chunk = atomic_load(place);
	return chunk ? &chunk[index % CHUNK_RECORDS] : NULL;
}

/*
 * The record of an allocated object; NULL: a handler allocated it before there was a record, so
 * nothing is known of it.
 */
static struct objcache_record *record_live(const struct objcache *cache, const void *object)
{
	struct objcache_record *record = record_find(cache, object, false);

	return record && atomic_load(&record->allocated_by) && !atomic_load(&record->freed_by) ? record : NULL;
}

/*
 * Whether the object was freed and waits out its free delay; for the cache, of a general heap, it
 * is allocated.
 */
static bool is_waiting(const struct objcache *cache, const void *object)
{
	const struct objcache_record *record = record_find(cache, object, false);

	return cache->parent && record && atomic_load(&record->freed_by);
}

/*
 * Whether objects get junk. Constructed objects keep their content; they are allocated whole, so
 * they have no red zone, and no general heap has them.
 */
static bool has_junk(const struct objcache *cache)
{
	return !cache->config.construct;
}

static void red_zone_check(const struct objcache *cache, const void *object, size_t bytes, const void *site)
{
	if (!memory_is_filled((const char *)object + bytes, JUNK_RED, cache->config.object_bytes - bytes))
		objcache_object_is_wrong(cache, object, "was written to behind its end", site);
}

static void red_zone_set(const struct objcache *cache, const void *object, size_t bytes, struct objcache_record *record)
{
	atomic_store(&record->bytes, (uint32_t)bytes);
	memset((char *)object + bytes, JUNK_RED, cache->config.object_bytes - bytes);
}

void objcache_debug_check_free(const struct objcache *cache, const void *object)
{
	if (!memory_is_filled(object, JUNK_FREE, cache->config.object_bytes))
		objcache_object_is_wrong(cache, object, "was written to while it was free", NULL);
}

void objcache_debug_alloc(struct objcache *cache, void *object, size_t bytes, const void *site)
{
	struct objcache_record *record;

	if (!cache || !object)
		return;
	if (has_junk(cache)) {
		objcache_debug_check_free(cache, object);
		memset(object, JUNK_ALLOCATED, cache->config.object_bytes);
	}
	record = record_find(cache, object, true);
	if (!record)
		return;
	atomic_store(&record->allocated_by, site);
	atomic_store(&record->freed_by, NULL);
	red_zone_set(cache, object, bytes, record);
}

/* The size that was asked for has changed: moves the red zone. */
void objcache_debug_resize(const struct objcache *cache, const void *object, size_t bytes)
{
	struct objcache_record *record = cache ? record_live(cache, object) : NULL;

	if (!record)
		return;
	red_zone_check(cache, object, atomic_load(&record->bytes), NULL);
	red_zone_set(cache, object, bytes, record);
}

/* Leaves wrong frees to objcache_free. */
bool objcache_debug_free(struct objcache *cache, void *object, const void *site)
{
	const uint8_t *state = cache ? objcache_state_find(cache, object) : NULL;
	struct objcache_record *record;

	if (!state || *state != OBJECT_ALLOCATED)
		return false;
	record = record_live(cache, object);
	if (is_waiting(cache, object))
		objcache_object_is_wrong(cache, object, "is free already", site);
	if (record) {
		red_zone_check(cache, object, atomic_load(&record->bytes), site);
		atomic_store(&record->freed_by, site);
	}
	if (has_junk(cache))
		memset(object, JUNK_FREE, cache->config.object_bytes);
	return cache->parent && record;
}

const void *objcache_site_of(const struct objcache *cache, const void *object, bool freed)
{
	const struct objcache_record *record = record_find(cache, object, false);

	if (!record)
		return NULL;
	return freed ? atomic_load(&record->freed_by) : atomic_load(&record->allocated_by);
}

static void block_count_sites(const struct objcache *cache, const struct block *block, struct call_sites *sites)
{
	const char *object = objcache_objects(cache, block);

	for (uint32_t i = 0; i < cache->objects_per_block; i++, object += cache->config.object_bytes) {
		const struct objcache_record *record = record_live(cache, object);

		if (block->states[i] != OBJECT_ALLOCATED || is_waiting(cache, object))
			continue;
		if (record)
			call_sites_add(sites, atomic_load(&record->allocated_by), 1, atomic_load(&record->bytes));
		else
			call_sites_add(sites, NULL, 1, cache->config.object_bytes);
	}
}

void objcache_count_sites(struct objcache *cache, struct call_sites *sites)
{
	const uint64_t state = spinlock_lock_interrupts(&cache->lock);

	for (unsigned role = 0; role < OBJCACHE_ROLES; role++)
		list_for_each (link, &cache->blocks[role])
			block_count_sites(cache, container_of(link, struct block, link), sites);
	spinlock_unlock_interrupts(&cache->lock, state);
}

#endif
