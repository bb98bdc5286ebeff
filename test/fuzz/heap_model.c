#include "heap_model.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define START        (4 * GIB)
#define SEED_MAX     (2 * MIB)
#define BUILT        0x6275696c74ull
#define STAMPED_ENDS 32 /* bytes at either end of larger objects, and a byte of each page in between */

static struct host_arena *arena;
static void *metadata;
static void *seed;

static const struct {
	const char *name;
	size_t object_bytes, alignment;
	uint32_t reserve_objects;
	uint64_t retain_bytes;
	bool constructs;
} kinds[HEAP_MODEL_CACHES] = {
	{ "small", 40, 0, 0, 0, true },
	{ "pages", 4096, 4096, 0, 2 * BLOCK_BYTES, false },
	{ "reserved", 3000, 512, 50, 0, false },
	{ "large", 100000, 0, 0, 0, true }, /* without magazines */
};

#define RESERVED 2

/* Content --------------------------------------------------------------------------------------------------------------- */

static bool is_stamped_at(size_t i, size_t bytes)
{
	return i < STAMPED_ENDS || bytes - i <= STAMPED_ENDS || i % PAGE_BYTES == 0;
}

static size_t stamped_next(size_t i, size_t bytes)
{
	if (i + 1 >= STAMPED_ENDS && bytes - i > STAMPED_ENDS + PAGE_BYTES)
		return align_up(i + 1, PAGE_BYTES);
	for (i++; i < bytes && !is_stamped_at(i, bytes);)
		i++;
	return i;
}

static unsigned char stamp_byte(uint64_t stamp, size_t i)
{
	return (unsigned char)((stamp + i * 31 + i / PAGE_BYTES) * 0x9e3779b97f4a7c15ull >> 56);
}

static void stamp(struct heap_model *model, struct heap_model_object *object)
{
	object->stamp = ++model->stamps;
	for (size_t i = 0; i < object->bytes; i = stamped_next(i, object->bytes))
		object->memory[i] = stamp_byte(object->stamp, i);
}

void heap_model_check_content(const struct heap_model_object *object)
{
	for (size_t i = 0; i < object->bytes; i = stamped_next(i, object->bytes))
		assert(object->memory[i] == stamp_byte(object->stamp, i));
}

static uint64_t *built_word(const struct heap_model_cache *from, void *object)
{
	return (uint64_t *)object + from->cache.config.object_bytes / sizeof(uint64_t) - 1;
}

static void construct(void *object, void *context)
{
	struct heap_model_cache *from = context;

	*built_word(from, object) = BUILT ^ (uintptr_t)object;
	from->constructed++;
}

static void destroy(void *object, void *context)
{
	struct heap_model_cache *from = context;

	assert(*built_word(from, object) == (BUILT ^ (uintptr_t)object));
	*built_word(from, object) = 0;
	from->constructed--;
}

/* Sources --------------------------------------------------------------------------------------------------------------- */

static bool next_fails(uint64_t *bits)
{
	const bool fails = *bits & 1;

	*bits = *bits >> 1 | (uint64_t)fails << 63;
	return fails;
}

static status_t run_take(struct heap_model *model, struct owner *owner, uint64_t blocks, uint64_t alignment,
			 struct phys_addr *run)
{
	const struct run_request request = {
		.blocks = blocks,
		.constraints = { .alignment_bytes = alignment },
		.owner = owner,
	};

	if (next_fails(&model->fail_bits)) {
		model->failed++;
		return STATUS_NO_MEMORY;
	}
	return block_heap_alloc(&model->blocks, &request, run);
}

static status_t source_take(struct block_source *source, struct owner *owner, struct phys_addr *block)
{
	return run_take(container_of(source, struct heap_model, source), owner, 1, 0, block);
}

static void source_give(struct block_source *source, struct phys_addr block)
{
	block_heap_free(&container_of(source, struct heap_model, source)->blocks, block);
}

static status_t runs_take(struct run_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment,
			  struct phys_addr *run)
{
	return run_take(container_of(source, struct heap_model, runs), owner, blocks, alignment, run);
}

static void runs_give(struct run_source *source, struct phys_addr run)
{
	block_heap_free(&container_of(source, struct heap_model, runs)->blocks, run);
}

static bool must_fail(struct fault_injector *injector, const char *where, uint64_t bytes)
{
	struct heap_model *model = container_of(injector, struct heap_model, injector);

	assert(where && bytes > 0);
	if (!next_fails(&model->inject_bits))
		return false;
	model->failed++;
	return true;
}

void heap_model_inject(struct heap_model *model, uint64_t bits)
{
	model->inject_bits = bits;
	atomic_store(&model->blocks.fault, bits != 0 ? &model->injector : NULL);
	objcaches_detach(&model->blocks);
}

/* Beginning and end ----------------------------------------------------------------------------------------------------- */

static void machine_make(void)
{
	if (arena)
		return;
	host_log_level(LOG_ERROR);
	arena = host_arena_create(START, HEAP_MODEL_BLOCKS * BLOCK_BYTES);
	const struct phys_range range = host_arena_range(arena);
	metadata = aligned_alloc(64, align_up(block_heap_metadata_bytes(&range, 1), 64));
	seed = aligned_alloc(64, SEED_MAX);
	assert(metadata && seed);
}

static bool caches_init(struct heap_model *model)
{
	unsigned made = 0;

	while (made < HEAP_MODEL_CACHES) {
		struct heap_model_cache *from = &model->caches[made];
		const struct objcache_config config = {
			.name = kinds[made].name,
			.object_bytes = kinds[made].object_bytes,
			.alignment = kinds[made].alignment,
			.reserve_objects = kinds[made].reserve_objects,
			.retain_bytes = kinds[made].retain_bytes,
			.construct = kinds[made].constructs ? construct : NULL,
			.destroy = kinds[made].constructs ? destroy : NULL,
			.context = from,
			.source = &model->source,
			.bookkeeping = &model->bookkeeping,
		};

		if (objcache_init(&from->cache, &config) != STATUS_OK)
			break;
		made++;
	}
	for (unsigned i = 0; made < HEAP_MODEL_CACHES && i < made; i++) {
		const status_t status = objcache_fini(&model->caches[i].cache);

		assert(status == STATUS_OK);
	}
	return made == HEAP_MODEL_CACHES;
}

static void check_all_free(struct heap_model *model)
{
	assert(model->bookkeeping.used_bytes == 0);
	assert(block_heap_is_valid(&model->blocks));
	assert(block_heap_free_bytes(&model->blocks) >> BLOCK_SHIFT ==
	       model->blocks.total_blocks - model->bookkeeping.owner.blocks);
}

bool heap_model_init(struct heap_model *model, const struct heap_model_setup *setup)
{
	struct phys_range range;
	status_t status;

	machine_make();
	memset(model, 0, offsetof(struct heap_model, objects));
	model->count = 0;
	model->stamps = 0;
	range = host_arena_range(arena);
	range.bytes = setup->blocks * BLOCK_BYTES;
	status = block_heap_init(&model->blocks, &range, 1, metadata);
	assert(status == STATUS_OK && setup->seed_bytes <= SEED_MAX);
	bookkeeping_init(&model->bookkeeping, &model->blocks, seed, setup->seed_bytes);
	model->source = (struct block_source){ &model->blocks, source_take, source_give };
	model->runs = (struct run_source){ runs_take, runs_give };
	model->injector.must_fail = must_fail;
	const struct general_heap_config config = {
		.name = "general",
		.powers_only = setup->powers_only,
		.source = &model->source,
		.runs = &model->runs,
		.bookkeeping = &model->bookkeeping,
	};
	status = general_heap_init(&model->general, &config);
	if (status == STATUS_OK && !caches_init(model)) {
		status = general_heap_fini(&model->general);
		assert(status == STATUS_OK);
		status = STATUS_NO_MEMORY;
	}
	if (status != STATUS_OK)
		check_all_free(model);
	return status == STATUS_OK;
}

void heap_model_check_valid(struct heap_model *model)
{
	list_for_each (link, &model->blocks.caches)
		assert(objcache_is_valid(container_of(link, struct objcache, link)));
	assert(general_heap_is_valid(&model->general));
	assert(block_heap_is_valid(&model->blocks));
}

void heap_model_fini(struct heap_model *model)
{
	status_t status;

	heap_model_inject(model, 0);
	heap_model_check_counts(model);
	heap_model_check_valid(model);
	while (model->count > 0)
		heap_model_free(model, 0);
	heap_model_check_counts(model);
	for (unsigned i = 0; i < HEAP_MODEL_CACHES; i++) {
		status = objcache_fini(&model->caches[i].cache);
		assert(status == STATUS_OK && model->caches[i].constructed == 0);
	}
	status = general_heap_fini(&model->general);
	assert(status == STATUS_OK);
	check_all_free(model);
}

/* Operations ------------------------------------------------------------------------------------------------------------ */

/*
 * A request may fail if something was made to fail during it, or where free blocks are few: it takes one, and its bookkeeping
 * another one. Runs may find no place among what is left.
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
	stamp(model, &object);
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
		object.memory = general_heap_alloc_zeroed(&model->general, bytes, alignment);
		if (object.memory)
			check_zeros(object.memory, bytes);
		break;
	case HEAP_MODEL_ARRAY:
		object.bytes = bytes / 3 * 3;
		object.memory = general_heap_alloc_array(&model->general, 3, bytes / 3, alignment);
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
	assert(!general_heap_alloc_zeroed(heap, MAX(too_large, number), 0));
	assert(!general_heap_alloc(heap, SIZE_MAX - number % 65536, kind % 2 * 4096));
	assert(!general_heap_alloc_array(heap, SIZE_MAX / bytes + 1, bytes, 0));
	assert(!general_heap_alloc_array(heap, kind % 2, (kind + 1) % 2, 0));
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
		assert(!constructed || *built_word(from, object.memory) == (BUILT ^ (uintptr_t)object.memory));
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
	for (size_t i = 0; i < MIN(bytes, object->bytes); i = stamped_next(i, object->bytes))
		assert(memory[i] == stamp_byte(object->stamp, i));
	assert(general_heap_usable_bytes(&model->general, memory) >= bytes);
	assert(platform_phys(memory).value % MAX(alignment, OBJCACHE_OBJECT_MIN) == 0);
	object->memory = memory;
	object->bytes = bytes;
	object->alignment = alignment;
	stamp(model, object);
}

void heap_model_drain(struct heap_model *model, unsigned which, uint64_t bytes, uint64_t retain, uint64_t lowest,
		      uint64_t highest)
{
	const uint64_t before = block_heap_free_bytes(&model->blocks);
	struct objcache *cache = &model->caches[which % HEAP_MODEL_CACHES].cache;
	const struct reclaim_target target = {
		.bytes = bytes,
		.lowest = { START + lowest * BLOCK_BYTES },
		.highest = { START + highest * BLOCK_BYTES - 1 },
		.deadline_ns = PLATFORM_FOREVER,
	};
	uint64_t given;

	if (which % 8 >= HEAP_MODEL_CACHES)
		given = caching_heap_drain(&model->general.caching, bytes, retain);
	else if (which & 8)
		given = objcaches_drain(cache, 1, &target, retain);
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
	struct heap_model_cache *from = &model->caches[RESERVED];

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
		assert(counts.objects >= kinds[i].reserve_objects + from->reserved);
		assert(from->constructed == (from->cache.config.construct ? counts.objects : 0));
	}
}
