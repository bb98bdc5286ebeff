// SPDX-License-Identifier: BSD-2-Clause
/*
 * The machine of the heap model: what lies in its objects, where its blocks come from, its
 * beginning and its end.
 */
#include "heap_model.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define START        (4 * GIB)
#define SEED_MAX     (2 * MIB)
#define STAMPED_ENDS 32 /* bytes at either end of larger objects, and a byte of each page in between */

static struct host_arena *arena;
static void *metadata;
static void *seed;

const struct heap_model_kind heap_model_kinds[HEAP_MODEL_CACHES] = {
	{ "small", 40, 0, 0, 0, true },
	{ "pages", 4096, 4096, 0, 2 * BLOCK_BYTES, false },
	{ "reserved", 3000, 512, 50, 0, false },
	{ "large", 100000, 0, 0, 0, true }, /* without magazines */
};

/* Content -------------------------------------------------------------------------------------- */

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

void heap_model_stamp(struct heap_model *model, struct heap_model_object *object)
{
	object->stamp = ++model->stamps;
	for (size_t i = 0; i < object->bytes; i = stamped_next(i, object->bytes))
		object->memory[i] = stamp_byte(object->stamp, i);
}

void heap_model_check_bytes(const struct heap_model_object *object, const unsigned char *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i = stamped_next(i, object->bytes))
		assert(memory[i] == stamp_byte(object->stamp, i));
}

void heap_model_check_content(const struct heap_model_object *object)
{
	heap_model_check_bytes(object, object->memory, object->bytes);
}

static void construct(void *object, void *context)
{
	struct heap_model_cache *from = context;

	*heap_model_built_word(from, object) = HEAP_MODEL_BUILT ^ (uintptr_t)object;
	from->constructed++;
}

static void destroy(void *object, void *context)
{
	struct heap_model_cache *from = context;

	assert(heap_model_is_built(from, object));
	*heap_model_built_word(from, object) = 0;
	from->constructed--;
}

/* Sources -------------------------------------------------------------------------------------- */

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

static status_t source_take(struct block_source *source, struct owner *owner, uint64_t blocks, uint64_t alignment,
			    struct phys_addr *run)
{
	return run_take(container_of(source, struct heap_model, source), owner, blocks, alignment, run);
}

static void source_give(struct block_source *source, struct phys_addr run)
{
	block_heap_free(&container_of(source, struct heap_model, source)->blocks, run);
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

/* Beginning and end ---------------------------------------------------------------------------- */

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
			.name = heap_model_kinds[made].name,
			.object_bytes = heap_model_kinds[made].object_bytes,
			.alignment = heap_model_kinds[made].alignment,
			.reserve_objects = heap_model_kinds[made].reserve_objects,
			.retain_bytes = heap_model_kinds[made].retain_bytes,
			.construct = heap_model_kinds[made].constructs ? construct : NULL,
			.destroy = heap_model_kinds[made].constructs ? destroy : NULL,
			.context = from,
			.source = &model->source,
			.metadata = &model->metadata,
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
	assert(model->metadata.used_bytes == 0);
	assert(block_heap_is_valid(&model->blocks));
	assert(block_heap_free_bytes(&model->blocks) >> BLOCK_SHIFT ==
	       model->blocks.total_blocks - model->metadata.owner.blocks);
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
	metadata_heap_init(&model->metadata, &model->blocks, seed, setup->seed_bytes);
	model->source = (struct block_source){ &model->blocks, source_take, source_give };
	model->injector.must_fail = must_fail;
	const struct general_heap_config config = {
		.name = "general",
		.powers_only = setup->powers_only,
		.source = &model->source,
		.runs = &model->source,
		.metadata = &model->metadata,
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
