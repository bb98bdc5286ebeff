// SPDX-License-Identifier: BSD-2-Clause
/*
 * Drains of a general heap with objects in all of its classes: what they cost should depend on what
 * they give.
 */
#include "bench/bench.h"

#include <stdlib.h>

#include "heap/memory.h"
#include "host/platform_host.h"

#define ARENA_BYTES (2 * GIB)
#define ROUNDS      40 /* of objects of all sizes; two thirds of them stay */

struct setting {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
};

static void must(bool condition)
{
	if (!condition)
		abort();
}

static void fill(struct general_heap *heap)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (size_t bytes = 16; bytes <= OBJCACHE_OBJECT_MAX; bytes += bytes < 128 ? 16 : bytes / 8) {
			void *object = bytes < 20000 || i < 3 ? general_heap_alloc(heap, bytes, 0) : NULL;

			if (i % 3 == 0)
				general_heap_free(heap, object);
		}
	}
}

static void *setup(void)
{
	const struct memory_config config = { .watermarks.atomic_percent = 100 };
	struct setting *setting = calloc(1, sizeof(*setting));
	struct phys_range range;

	must(setting);
	setting->arena = host_arena_create(4 * GIB, ARENA_BYTES);
	range = host_arena_range(setting->arena);
	setting->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	must(setting->metadata && memory_init(&setting->memory, &config, &range, 1, setting->metadata) == STATUS_OK);
	fill(&setting->memory.general);
	while (caching_heap_drain(&setting->memory.general.caching, UINT64_MAX, 0) > 0)
		continue;
	return setting;
}

static void teardown(void *context)
{
	struct setting *setting = context;

	host_arena_destroy(setting->arena);
	free(setting->metadata);
	free(setting);
}

static void nothing(void *context, uint64_t operations)
{
	struct setting *setting = context;

	while (operations-- > 0)
		must(caching_heap_drain(&setting->memory.general.caching, BLOCK_BYTES, 0) == 0);
}

/* The block is taken for it, which counts, too. */
static void one_block(void *context, uint64_t operations)
{
	struct setting *setting = context;
	struct general_heap *heap = &setting->memory.general;

	while (operations-- > 0) {
		must(objcache_grow(general_heap_cache(heap, 32 * KIB, 0), NULL) == STATUS_OK);
		must(caching_heap_drain(&heap->caching, BLOCK_BYTES, 0) == BLOCK_BYTES);
	}
}

const struct bench benches[] = {
	{ .name = "general heap, drain that gives nothing",
	  .setup = setup,
	  .run = nothing,
	  .teardown = teardown,
	  .heavy = 100 },
	{ .name = "general heap, taking and draining a block",
	  .setup = setup,
	  .run = one_block,
	  .teardown = teardown,
	  .heavy = 100 },
	{ 0 },
};
