// SPDX-License-Identifier: BSD-2-Clause
/* One operation is one object allocated and freed. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "heap/memory.h"
#include "host/platform_host.h"
#include "runtime/base/random.h"

#define BLOCKS  256
#define OBJECTS 1000 /* allocated at once */

struct setting {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	struct objcache cache;
	void *objects[OBJECTS];
	uint32_t order[OBJECTS];
};

static void must(status_t status)
{
	if (status == STATUS_OK)
		return;
	fprintf(stderr, "bench: %s\n", status_text(status));
	abort();
}

static void order_shuffle(struct setting *setting)
{
	struct random random;

	random_seed(&random, 1);
	for (uint32_t i = 0; i < OBJECTS; i++) {
		const uint32_t other = (uint32_t)random_below(&random, i + 1);

		setting->order[i] = setting->order[other];
		setting->order[other] = i;
	}
}

static struct setting *setting_create(size_t object_bytes)
{
	const struct memory_config config = { .watermarks.low_bytes = (BLOCKS - 8) * BLOCK_BYTES };
	struct setting *setting = calloc(1, sizeof(*setting));
	struct phys_range range;

	setting->arena = host_arena_create(4 * GIB, BLOCKS * BLOCK_BYTES);
	range = host_arena_range(setting->arena);
	setting->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	must(memory_init(&setting->memory, &config, &range, 1, setting->metadata));
	must(memory_objcache_init(&setting->memory, &setting->cache,
				  (struct objcache_config){ .name = "bench", .object_bytes = object_bytes }));
	order_shuffle(setting);
	return setting;
}

static void *setup_64(void)
{
	return setting_create(64);
}

static void *setup_4096(void)
{
	return setting_create(4096);
}

static void teardown(void *context)
{
	struct setting *setting = context;

	host_arena_destroy(setting->arena);
	free(setting->metadata);
	free(setting);
}

static void pairs(void *context, uint64_t operations)
{
	struct setting *setting = context;

	while (operations-- > 0)
		objcache_free(&setting->cache, objcache_alloc(&setting->cache));
}

/* Allocates up to OBJECTS at once and frees them in the given order, or at random. */
static void batches(struct setting *setting, uint64_t operations, bool at_random)
{
	while (operations > 0) {
		const uint32_t count = (uint32_t)MIN(operations, OBJECTS);

		for (uint32_t i = 0; i < count; i++)
			setting->objects[i] = objcache_alloc(&setting->cache);
		for (uint32_t i = 0; i < OBJECTS; i++) {
			const uint32_t place = at_random ? setting->order[i] : i;

			if (place < count)
				objcache_free(&setting->cache, setting->objects[place]);
		}
		operations -= count;
	}
}

static void first_in_first_out(void *context, uint64_t operations)
{
	batches(context, operations, false);
}

static void random_order(void *context, uint64_t operations)
{
	batches(context, operations, true);
}

static void general(void *context, uint64_t operations)
{
	struct setting *setting = context;

	while (operations-- > 0)
		general_heap_free(&setting->memory.general, general_heap_alloc(&setting->memory.general, 100, 0));
}

const struct bench benches[] = {
	{ .name = "objcache pair, 64 bytes", .setup = setup_64, .run = pairs, .teardown = teardown },
	{ .name = "objcache first in first out, 64 bytes", .setup = setup_64, .run = first_in_first_out, .teardown = teardown },
	{ .name = "objcache freed at random, 64 bytes", .setup = setup_64, .run = random_order, .teardown = teardown },
	{ .name = "objcache pair, 4 KB", .setup = setup_4096, .run = pairs, .teardown = teardown },
	{ .name = "objcache freed at random, 4 KB", .setup = setup_4096, .run = random_order, .teardown = teardown },
	{ .name = "general heap pair, 100 bytes", .setup = setup_64, .run = general, .teardown = teardown },
	{ 0 },
};
