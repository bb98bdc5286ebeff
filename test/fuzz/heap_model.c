// SPDX-License-Identifier: BSD-2-Clause
/* The operations of the heap model: each is done, noted and compared. */
#include "heap_model.h"

#include <string.h>

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

/*
 * A request may fail if something was made to fail during it, or where free blocks are few: it
 * takes one, and its metadata another one. Runs may find no place among what is left.
 */
static void check_refusal(const struct heap_model *model, size_t bytes, uint64_t failed_before)
{
	const uint64_t free = block_heap_free_bytes(&model->blocks) >> BLOCK_SHIFT;

	if (model->failed == failed_before)
		assert(free < 3 || bytes > OBJCACHE_OBJECT_MAX);
}

static void check_zeros(const unsigned char *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		assert(memory[i] == 0);
}

static void add(struct heap_model *model, struct heap_model_object object)
{
	const uint64_t address = platform_phys(object.memory).value;

	assert(address % MAX(object.alignment, OBJCACHE_OBJECT_MIN) == 0 &&
	       (uintptr_t)object.memory % OBJCACHE_OBJECT_MIN == 0);
	if (object.from) {
		object.from->given++;
		object.from->live++;
	} else {
		assert(general_heap_usable_bytes(&model->general, object.memory) >= object.bytes);
	}
	heap_model_stamp(model, &object);
	model->objects[model->count++] = object;
}

void heap_model_alloc(struct heap_model *model, size_t bytes, size_t alignment, enum heap_model_way way)
{
	struct heap_model_object object = { .bytes = bytes, .alignment = alignment };
	const uint64_t failed = model->failed;

	if (model->count == HEAP_MODEL_OBJECTS)
		return;
	switch (way) {
	case HEAP_MODEL_ZEROED:
		object.memory = heap_alloc_zeroed(&model->general.caching.heap, bytes, alignment);
		if (object.memory)
			check_zeros(object.memory, bytes);
		break;
	case HEAP_MODEL_ARRAY:
		object.bytes = bytes / 3 * 3;
		object.memory = heap_alloc_array(&model->general.caching.heap, 3, bytes / 3, alignment);
		break;
	case HEAP_MODEL_INTERFACE:
		object.memory = heap_alloc(&model->general.caching.heap, bytes, alignment);
		break;
	default:
		object.memory = general_heap_alloc(&model->general, bytes, alignment);
		break;
	}
	if (object.memory)
		add(model, object);
	else if (object.bytes > 0)
		check_refusal(model, MAX(bytes, alignment), failed);
	assert(object.bytes > 0 || !object.memory);
}

void heap_model_alloc_wrong(struct heap_model *model, unsigned kind, uint64_t number)
{
	struct general_heap *heap = &model->general;
	const size_t bytes = 1 + number % 5000;
	const size_t wrong_alignment = number | (1ull << 40) | 1;
	const size_t too_large = model->blocks.total_blocks * BLOCK_BYTES + 1 + number;

	assert(!general_heap_alloc(heap, 0, 16ull << kind % 8));
	assert(!general_heap_alloc(heap, bytes, wrong_alignment));
	assert(!heap_alloc_zeroed(&heap->caching.heap, MAX(too_large, number), 0));
	assert(!general_heap_alloc(heap, SIZE_MAX - number % 65536, kind % 2 * 4096));
	assert(!heap_alloc_array(&heap->caching.heap, SIZE_MAX / bytes + 1, bytes, 0));
	assert(!heap_alloc_array(&heap->caching.heap, kind % 2, (kind + 1) % 2, 0));
	assert(!general_heap_cache(heap, bytes, wrong_alignment) && !general_heap_cache(heap, 0, 0));
	assert(!heap_alloc(&model->caches[0].cache.caching.heap, 49 + number % 100000, 0));
	general_heap_free(heap, NULL);
	objcache_free(&model->caches[0].cache, NULL);
	if (model->count > 0) {
		const struct heap_model_object *object = &model->objects[number % model->count];

		if (!object->from) {
			assert(!general_heap_resize(heap, object->memory, 0, 0));
			assert(!general_heap_resize(heap, object->memory, bytes, wrong_alignment));
			assert(!general_heap_resize(heap, object->memory, too_large, 0));
		}
		heap_model_check_content(object);
	}
}

void heap_model_alloc_from(struct heap_model *model, unsigned cache, bool held)
{
	struct heap_model_cache *from = &model->caches[cache % HEAP_MODEL_CACHES];
	const bool constructed = from->cache.config.construct;
	const struct objcache_counts before = held ? objcache_count(&from->cache) : (struct objcache_counts){ 0 };
	const uint64_t failed = model->failed;
	struct heap_model_object object = {
		.bytes = from->cache.config.object_bytes - (constructed ? sizeof(uint64_t) : 0),
		.alignment = from->cache.config.alignment,
		.from = from,
	};

	if (model->count == HEAP_MODEL_OBJECTS)
		return;
	object.memory = held ? objcache_alloc_held(&from->cache) : objcache_alloc(&from->cache);
	if (held)
		assert((object.memory != NULL) == (before.objects > before.used) &&
		       objcache_count(&from->cache).blocks <= before.blocks);
	if (object.memory) {
		assert(!constructed || heap_model_is_built(from, object.memory));
		add(model, object);
	} else if (!held) {
		assert(model->failed > failed || objcache_count(&from->cache).objects == from->live);
		check_refusal(model, object.bytes, failed);
	}
}

void heap_model_free(struct heap_model *model, unsigned number)
{
	struct heap_model_object *object;

	if (model->count == 0)
		return;
	object = &model->objects[number % model->count];
	heap_model_check_content(object);
	if (object->from) {
		assert(objcache_of(&model->blocks, object->memory) == &object->from->cache);
		objcache_free(&object->from->cache, object->memory);
		object->from->live--;
	} else if (number & 1) {
		heap_free(&model->general.caching.heap, object->memory);
	} else {
		general_heap_free(&model->general, object->memory);
	}
	*object = model->objects[--model->count];
}

static void resize_null(struct heap_model *model, size_t bytes, size_t alignment)
{
	struct heap_model_object object = { .bytes = bytes, .alignment = alignment };

	if (model->count == HEAP_MODEL_OBJECTS)
		return;
	object.memory = general_heap_resize(&model->general, NULL, bytes, alignment);
	if (object.memory)
		add(model, object);
}

void heap_model_resize(struct heap_model *model, unsigned number, size_t bytes, size_t alignment)
{
	struct heap_model_object *object = &model->objects[number % MAX(model->count, 1u)];
	const uint64_t failed = model->failed;

	if (model->count == 0 || object->from) {
		resize_null(model, bytes, alignment);
		return;
	}
	const size_t usable = general_heap_usable_bytes(&model->general, object->memory);
	const bool fits = bytes <= usable && is_aligned(platform_phys(object->memory).value, MAX(alignment, 1));
	unsigned char *memory = general_heap_resize(&model->general, object->memory, bytes, alignment);
	if (!memory) {
		assert(!fits);
		heap_model_check_content(object);
		check_refusal(model, MAX(bytes, alignment), failed);
		return;
	}
	assert(!fits || bytes < usable / 2 || memory == object->memory);
	heap_model_check_bytes(object, memory, MIN(bytes, object->bytes));
	assert(general_heap_usable_bytes(&model->general, memory) >= bytes);
	assert(platform_phys(memory).value % MAX(alignment, OBJCACHE_OBJECT_MIN) == 0);
	object->memory = memory;
	object->bytes = bytes;
	object->alignment = alignment;
	heap_model_stamp(model, object);
}

void heap_model_drain(struct heap_model *model, unsigned which, uint64_t bytes, uint64_t retain, uint64_t lowest,
		      uint64_t highest)
{
	const uint64_t before = block_heap_free_bytes(&model->blocks), start = model->blocks.first_block << BLOCK_SHIFT;
	struct objcache *cache = &model->caches[which % HEAP_MODEL_CACHES].cache;
	const struct reclaim_target target = {
		.bytes = bytes,
		.lowest = { start + lowest * BLOCK_BYTES },
		.highest = { start + highest * BLOCK_BYTES - 1 },
		.deadline_ns = PLATFORM_FOREVER,
	};
	uint64_t given;

	if (which % 8 >= HEAP_MODEL_CACHES)
		given = caching_heap_drain(&model->general.caching, bytes, retain);
	else if (which & 8)
		given = objcache_group_drain(cache->group, &target, retain);
	else
		given = caching_heap_drain(&cache->caching, bytes, retain);
	assert(given < BLOCK_BYTES || given - BLOCK_BYTES < bytes);
	assert(block_heap_free_bytes(&model->blocks) == before + given);
}

void heap_model_grow(struct heap_model *model, unsigned which)
{
	struct objcache *cache = &model->caches[which % HEAP_MODEL_CACHES].cache;
	const struct objcache_counts before = objcache_count(cache);
	const status_t status = objcache_grow(cache, which & 4 ? &model->source : NULL);

	assert(objcache_count(cache).blocks == before.blocks + (status == STATUS_OK));
	assert(objcache_count(cache).used == before.used);
}

void heap_model_reserve(struct heap_model *model, uint32_t objects)
{
	struct heap_model_cache *from = &model->caches[HEAP_MODEL_RESERVED];

	if (objects == 0) {
		objcache_unreserve(&from->cache, from->reserved);
		from->reserved = 0;
	} else if (objcache_reserve(&from->cache, objects) == STATUS_OK) {
		from->reserved += objects;
	}
}

void heap_model_check_counts(struct heap_model *model)
{
	uint64_t general = 0;

	for (unsigned i = 0; i < model->count; i++)
		if (!model->objects[i].from)
			general += general_heap_usable_bytes(&model->general, model->objects[i].memory);
	assert(general_heap_used_bytes(&model->general) == general);
	for (unsigned i = 0; i < HEAP_MODEL_CACHES; i++) {
		const struct heap_model_cache *from = &model->caches[i];
		const struct objcache_counts counts = objcache_count(&model->caches[i].cache);

		assert(counts.used == from->live && counts.allocs == from->given && counts.frees == from->given - from->live);
		assert(counts.objects >= counts.used + counts.cached);
		assert(counts.objects >= heap_model_kinds[i].reserve_objects + from->reserved);
		assert(from->constructed == (from->cache.config.construct ? counts.objects : 0));
	}
}
