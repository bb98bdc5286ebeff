// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a machine can never give: arithmetic on its ranges beside a search through all places, and
 * the answers that follow.
 */
#include "fake/heap_fixture.h"
#include "fake/place_model.h"
#include "heap/dma/dma_state.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS_MAX PLACE_MODEL_BLOCKS

/* A machine of few blocks, with holes: ranges in any order, some of them touching. */
struct map {
	struct phys_range ranges[BLOCKS_MAX];
	uint32_t count;
	struct place_model present;
};

static void map_random(struct map *map, struct random *random)
{
	memset(map, 0, sizeof(*map));
	map->present.first = 1 + random_below(random, 70);
	for (unsigned i = 0; i < BLOCKS_MAX;) {
		const unsigned blocks = 1 + (unsigned)random_below(random, 12);
		const unsigned end = MIN(i + blocks, BLOCKS_MAX);

		if (random_below(random, 4) != 0) {
			map->ranges[map->count++] = (struct phys_range){ { (map->present.first + i) << BLOCK_SHIFT },
									 (uint64_t)(end - i) << BLOCK_SHIFT };
			memset(&map->present.usable[i], true, end - i);
		}
		i = end;
	}
	for (uint32_t i = 0; i + 1 < map->count; i++) {
		const uint32_t other = i + (uint32_t)random_below(random, map->count - i);
		const struct phys_range swapped = map->ranges[i];

		map->ranges[i] = map->ranges[other];
		map->ranges[other] = swapped;
	}
}

static struct block_constraints constraints_random(const struct map *map, struct random *random, uint64_t blocks)
{
	struct block_constraints constraints = { 0 };

	if (random_below(random, 2))
		constraints.alignment_bytes = 1ull << random_below(random, random_below(random, 2) ? 64 : 26);
	if (random_below(random, 2))
		constraints.boundary_bytes = (BLOCK_BYTES << log2_ceil(blocks)) << random_below(random, 4);
	if (random_below(random, 3) == 0)
		constraints.lowest.value = (map->present.first << BLOCK_SHIFT) + random_below(random, BLOCKS_MAX * BLOCK_BYTES);
	if (random_below(random, 3) == 0)
		constraints.highest.value =
			(map->present.first << BLOCK_SHIFT) + random_below(random, BLOCKS_MAX * BLOCK_BYTES) - 1;
	return constraints;
}

START_TEST(what_fits_is_what_a_search_through_all_places_finds)
{
	unsigned fitting = 0, tight = 0;
	struct random random;

	random_seed(&random, 11);
	for (unsigned loop = 0; loop < 500; loop++) {
		struct block_heap heap;
		struct map map;
		void *metadata;

		map_random(&map, &random);
		if (map.count == 0)
			continue;
		metadata = malloc(block_heap_metadata_bytes(map.ranges, map.count));
		ck_assert_int_eq(block_heap_init(&heap, map.ranges, map.count, metadata), STATUS_OK);
		for (unsigned i = 0; i < 10; i++) {
			const uint64_t blocks = 1 + random_below(&random, 1ull << random_below(&random, 6));
			const uint64_t last_blocks = random_below(&random, 2) ? random_below(&random, blocks) : 0;
			const struct block_constraints constraints = constraints_random(&map, &random, blocks);
			uint64_t count = 1;

			while (place_model_holds(&map.present, &constraints, blocks, count, last_blocks)) {
				ck_assert(block_heap_could_hold(&heap, &constraints, blocks, count, last_blocks));
				count++;
				fitting++;
			}
			ck_assert(!block_heap_could_hold(&heap, &constraints, blocks, count, last_blocks));
			ck_assert(!block_heap_could_hold(&heap, &constraints, blocks, UINT32_MAX, last_blocks));
			tight += last_blocks != 0 && block_heap_could_hold(&heap, &constraints, blocks, count, 0);
		}
		free(metadata);
	}
	ck_assert_uint_gt(fitting, 3000);
	ck_assert_uint_gt(tight, 20);
}
END_TEST

static struct machine machine;
static struct memory *const memory = &machine.memory;

static void setup(uint64_t blocks, uint64_t min_blocks)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, blocks, min_blocks, min_blocks + 2);
}

/*
 * None of these ever waits: the clock's only thread panics when it does so for ever. Nothing is
 * cleaned, either.
 */
START_TEST(what_can_never_be_given_is_refused_at_once)
{
	const uint64_t start = MACHINE_START, block = BLOCK_BYTES;
	const struct memory_request requests[] = {
		{ .blocks = 1, .constraints.alignment_bytes = 1ull << 40 },
		{ .blocks = 1, .constraints.alignment_bytes = 1ull << 63 },
		{ .blocks = 1, .constraints.highest = { 0xffffff } },
		{ .blocks = 1, .constraints.lowest = { UINT64_MAX } },
		{ .blocks = 1, .constraints = { .lowest = { start + 9 * block }, .highest = { start + 9 * block - 1 } } },
		{ .blocks = 1, .constraints = { .lowest = { start + 1 }, .highest = { start + 2 * block - 2 } } },
		{ .blocks = 1, .constraints = { { start + block }, { start + 2 * block - 1 }, .alignment_bytes = 16 * MIB } },
		{ .blocks = 3, .constraints = { { start + 2 * block }, { start + 6 * block - 1 }, 0, 4 * block } },
		{ .blocks = 65 },
		{ .blocks = UINT32_MAX },
		{ .blocks = UINT64_MAX },
		{ .blocks = 63 }, /* of 64, 2 of which only kernel objects may take */
	};
	struct test_cache cache;
	struct owner owner;

	setup(64, 2);
	owner_init(&owner, "owner", false);
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	host_clock_set(HOST_CLOCK_ALONE);
	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++) {
		struct memory_request request = requests[i];
		struct phys_addr run = { 1 };

		request.owner = &owner;
		for (request.wait = MEMORY_WAIT_NEVER; request.wait <= MEMORY_WAIT_FOREVER; request.wait++) {
			ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_RANGE);
			ck_assert_uint_eq(run.value, 1);
		}
		ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, UINT32_MAX, &run), STATUS_RANGE);
	}
	ck_assert_uint_eq(cache.cleaned_blocks, 0);
	struct phys_addr run;
	const struct memory_request most = { .blocks = 62, .owner = &owner, .wait = MEMORY_WAIT_FOREVER };
	ck_assert_int_eq(memory_blocks_alloc(memory, &most, &run), STATUS_OK);
	memory_blocks_free(memory, run);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

/* Idle or on loan: it is there for those that must not wait. */
START_TEST(what_is_guaranteed_is_never_given)
{
	const struct memory_config config = {
		.watermarks.min_bytes = 2 * BLOCK_BYTES,
		.watermarks.low_bytes = 4 * BLOCK_BYTES,
		.watermarks.atomic_percent = 100,
		.guarantee = { .bytes = 32 * BLOCK_BYTES, .piece_bytes = 4 * BLOCK_BYTES },
	};
	const struct device device = { .name = "device", .dma_mask = UINT64_MAX };
	struct dma_request request = { .bytes = 31 * BLOCK_BYTES, .wait = MEMORY_WAIT_FOREVER };
	struct dma_buffer *buffer;

	host_log_level(LOG_ERROR);
	host_clock_set(HOST_CLOCK_ALONE);
	machine_init_with(&machine, MACHINE_START, 64, &config);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &request, &buffer), STATUS_RANGE);
	/* What the device has reserved it gets, though the other memory is too small. */
	ck_assert_int_eq(guarantee_reserve(&memory->guarantee, &device, request.bytes), STATUS_OK);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &request, &buffer), STATUS_OK);
	dma_free(memory_dma(memory), buffer);
	guarantee_end_reservation(&memory->guarantee, &device);
	request.bytes = 24 * BLOCK_BYTES;
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &request, &buffer), STATUS_OK);
	dma_free(memory_dma(memory), buffer);
	machine_fini(&machine);
}
END_TEST

START_TEST(a_hole_is_no_memory)
{
	struct host_arena *arena = host_arena_create(64 * GIB, 32 * BLOCK_BYTES);
	const struct phys_range ranges[] = { { { 64 * GIB }, 16 * BLOCK_BYTES },
					     { { 64 * GIB + 20 * BLOCK_BYTES }, 12 * BLOCK_BYTES } };
	void *metadata = aligned_alloc(64, align_up(memory_metadata_bytes(ranges, 2), 64));
	const struct memory_config config = { .watermarks.atomic_percent = 100 };
	struct memory_request request = { .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr runs[2];
	struct owner owner;

	host_log_level(LOG_ERROR);
	host_clock_set(HOST_CLOCK_ALONE);
	ck_assert_int_eq(memory_init(memory, &config, ranges, 2, metadata), STATUS_OK);
	owner_init(&owner, "owner", false);
	request.owner = &owner;
	request.blocks = 17;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, runs), STATUS_RANGE);
	request.blocks = 13;
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 2, runs), STATUS_RANGE);
	request.blocks = 12;
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 2, runs), STATUS_OK);
	memory_blocks_free(memory, runs[0]);
	memory_blocks_free(memory, runs[1]);
	/* Two pieces of 10 blocks are there, and for the one of 9 that is left, no place. */
	const struct device device = { .name = "device", .dma_mask = UINT64_MAX, .dma_segments_max = 3 };
	const struct dma_request wanted = { .bytes = 28 * BLOCK_BYTES, .wait = MEMORY_WAIT_FOREVER };
	struct dma_buffer *buffer;
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &wanted, &buffer), STATUS_RANGE);
	ck_assert_int_eq(memory_fini(memory), STATUS_OK);
	host_arena_destroy(arena);
	free(metadata);
}
END_TEST

START_TEST(devices_hear_at_once_what_they_can_never_have)
{
	static const struct device any = { .name = "any", .dma_mask = UINT64_MAX };
	static const struct device low = { .name = "low", .dma_mask = (1 << 24) - 1 };
	static const struct device odd = { .name = "odd", .dma_mask = UINT64_MAX, .dma_segment_bytes_max = 100 };
	const struct {
		const struct device *device;
		struct dma_request request;
	} cases[] = {
		{ &any, { .bytes = 4096, .alignment_bytes = 1ull << 40 } },
		{ &any, { .bytes = 1, .alignment_bytes = 1ull << 63 } },
		{ &any, { .bytes = 1ull << 62 } },
		{ &any, { .bytes = 1ull << 62, .segments_max = 1 } },
		{ &any, { .bytes = 1ull << 62, .segments_max = 7, .segment_bytes_min = 1ull << 33 } },
		{ &any, { .bytes = (1ull << 63) - 1, .segments_max = UINT32_MAX } },
		{ &odd, { .bytes = 1ull << 62 } },
		{ &low, { .bytes = 64 } },
		{ &low, { .bytes = 4 * MIB } },
	};

	setup(64, 2);
	host_clock_set(HOST_CLOCK_ALONE);
	for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct dma_request request = cases[i].request;
		struct dma_buffer *buffer;

		for (request.wait = MEMORY_WAIT_NEVER; request.wait <= MEMORY_WAIT_FOREVER; request.wait++)
			ck_assert_int_eq(dma_alloc(memory_dma(memory), cases[i].device, &request, &buffer), STATUS_RANGE);
		request.segments_max = 1;
		platform_preempt_disable();
		if (cases[i].device != &odd)
			ck_assert_int_eq(dma_alloc(memory_dma(memory), cases[i].device, &request, &buffer), STATUS_RANGE);
		platform_preempt_enable();
	}
	struct dma_coherent coherent;
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &low, 64, 0, &coherent), STATUS_RANGE);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("never", what_fits_is_what_a_search_through_all_places_finds, what_can_never_be_given_is_refused_at_once,
	       what_is_guaranteed_is_never_given, a_hole_is_no_memory, devices_hear_at_once_what_they_can_never_have)
