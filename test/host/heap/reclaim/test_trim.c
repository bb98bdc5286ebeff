// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory that has been free for two rounds of the background cleaner becomes cache again, and
 * memory ends only when nothing of it is in use.
 */
#include "host/host_test.h"

#include "fake/heap_fixture.h"
#include "heap/dma/dma_state.h"
#include "heap/reclaim/background_cleaner.h"

static const struct device any_device = { .name = "any", .dma_mask = UINT64_MAX };

/* Memory that has been free for two rounds ----------------------------------------------------- */

#define BUFFERS    14000
#define SPARE_HEAP (2 * BLOCK_BYTES) /* of each heap: the slack, and what is left of a block */

static struct machine large;

static void *buffers[BUFFERS];

static void take_and_free(struct heap *heap, size_t bytes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ck_assert_ptr_nonnull(buffers[i] = heap_alloc(heap, bytes, 0));
	for (unsigned i = 0; i < count; i++)
		heap_free(heap, buffers[(i * 7919) % count]);
}

static uint64_t missing_bytes(void)
{
	return memory_total_bytes(&large.memory) - memory_free_bytes(&large.memory) -
	       (large.memory.metadata.owner.blocks << BLOCK_SHIFT);
}

static void trim_twice(void)
{
	(void)background_cleaner_trim(memory_reclaim(&large.memory));
	(void)background_cleaner_trim(memory_reclaim(&large.memory));
}

START_TEST(freed_memory_becomes_cache_again_after_two_rounds)
{
	static const struct memory_config config = { .watermarks.atomic_percent = 100,
						     .general_retain_bytes = BLOCK_BYTES,
						     .dma_retain_bytes = BLOCK_BYTES };
	struct objcache cache;

	machine_init_with(&large, MACHINE_START, 2 * GIB / BLOCK_BYTES, &config);
	take_and_free(&dma_zone_get(memory_dma(&large.memory), &any_device)->heap.caching.heap, 4096, BUFFERS);
	ck_assert_uint_gt(missing_bytes(), 50 * MIB);
	trim_twice();
	ck_assert_uint_le(missing_bytes(), 2 * BLOCK_BYTES + SPARE_HEAP);

	ck_assert_int_eq(
		memory_objcache_init(&large.memory, &cache, (struct objcache_config){ .name = "frames", .object_bytes = 8000 }),
		STATUS_OK);
	take_and_free(&cache.caching.heap, 8000, 7000);
	for (size_t bytes = 16; bytes <= OBJCACHE_OBJECT_MAX; bytes *= 2)
		take_and_free(memory_general_heap(&large.memory), bytes, 100);
	ck_assert_uint_gt(missing_bytes(), 50 * MIB);
	trim_twice();
	ck_assert_uint_le(missing_bytes(), 2 * BLOCK_BYTES + 3 * SPARE_HEAP);
	ck_assert_int_eq(objcache_fini(&cache), STATUS_OK);
	machine_fini(&large);
}
END_TEST

/* No size's magazines alone have as much as is retained, but all together have. */
START_TEST(magazines_of_idle_cpus_become_cache_again)
{
	static const struct memory_config config = { .watermarks.atomic_percent = 100,
						     .general_retain_bytes = 16 * BLOCK_BYTES };

	machine_init_with(&large, MACHINE_START, 2 * GIB / BLOCK_BYTES, &config);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		host_cpu_change(cpu);
		for (size_t bytes = 4096; bytes <= OBJCACHE_MAGAZINE_OBJECT_MAX; bytes += bytes / 8)
			take_and_free(memory_general_heap(&large.memory), bytes, 200);
	}
	ck_assert_uint_gt(missing_bytes(), 60 * MIB);
	trim_twice();
	ck_assert_uint_le(missing_bytes(), 16 * BLOCK_BYTES + SPARE_HEAP);
	machine_fini(&large);
}
END_TEST

/* What is used again between two rounds stays, as does what is retained. */
START_TEST(memory_that_comes_and_goes_stays)
{
	static const struct memory_config config = { .watermarks.atomic_percent = 100 };
	struct objcache cache;

	machine_init_with(&large, MACHINE_START, 256, &config);
	ck_assert_int_eq(
		memory_objcache_init(&large.memory, &cache, (struct objcache_config){ .name = "frames", .object_bytes = 8000 }),
		STATUS_OK);
	take_and_free(&cache.caching.heap, 8000, 7000);
	const uint64_t held = missing_bytes();
	ck_assert_uint_gt(held, 20 * MIB);
	for (unsigned round = 0; round < 5; round++) {
		ck_assert_uint_eq(background_cleaner_trim(memory_reclaim(&large.memory)), 0);
		take_and_free(&cache.caching.heap, 8000, 7000);
	}
	ck_assert_uint_ge(missing_bytes(), held - BLOCK_BYTES);
	trim_twice();
	ck_assert_uint_le(missing_bytes(), SPARE_HEAP);
	ck_assert_int_eq(objcache_fini(&cache), STATUS_OK);
	machine_fini(&large);
}
END_TEST

/* The background cleaner's task does so by the clock, which the test turns. */
static void wait_or_clean(void *context, unsigned index)
{
	if (index == 0) {
		background_cleaner_run(memory_reclaim(context));
		return;
	}
	while (missing_bytes() > 2 * BLOCK_BYTES + SPARE_HEAP)
		platform_yield();
	worker_stop(&((struct memory *)context)->reclaim.background);
}

START_TEST(threads_see_freed_memory_become_cache_again)
{
	static const struct memory_config config = { .watermarks.atomic_percent = 100 };

	machine_init_with(&large, MACHINE_START, 256, &config);
	take_and_free(&dma_zone_get(memory_dma(&large.memory), &any_device)->heap.caching.heap, 4096, 8000);
	ck_assert_uint_gt(missing_bytes(), 20 * MIB);
	host_clock_set(HOST_CLOCK_SKIPPING);
	host_threads_run(2, wait_or_clean, &large.memory);
	host_clock_set(HOST_CLOCK_REAL);
	machine_fini(&large);
}
END_TEST
/* The end -------------------------------------------------------------------------------------- */

/*
 * With anything in its way, nothing has been torn down, everything works on, and the end comes once
 * the way is free.
 */
START_TEST(an_end_that_is_busy_changes_nothing)
{
	const struct memory_config config = {
		.watermarks.atomic_percent = 100,
		.guarantee = { .bytes = 8 * BLOCK_BYTES, .piece_bytes = 2 * BLOCK_BYTES },
	};
	const struct dma_request request = { .bytes = MIB };
	struct dma_coherent coherent = { 0 };

	for (unsigned way = 0; way < 4; way++) {
		struct dma_buffer *buffer = NULL;
		void *object = NULL;

		machine_init_with(&large, MACHINE_START, 64, &config);
		ck_assert_ptr_nonnull(dma_zone_get(memory_dma(&large.memory), &any_device));
		if (way == 0)
			object = heap_alloc(memory_general_heap(&large.memory), 100, 0);
		else if (way == 1)
			object = heap_alloc(memory_general_heap(&large.memory), 2 * BLOCK_BYTES, 0);
		else if (way == 2)
			ck_assert_int_eq(dma_alloc(memory_dma(&large.memory), &any_device, &request, &buffer), STATUS_OK);
		else
			ck_assert_int_eq(dma_coherent_alloc(memory_dma(&large.memory), &any_device, 64, 0, &coherent),
					 STATUS_OK);
		for (unsigned again = 0; again < 3; again++) {
			const uint64_t before = memory_free_bytes(&large.memory);
			struct dma_buffer *other;

			ck_assert_int_eq(memory_fini(&large.memory), STATUS_BUSY);
			ck_assert_uint_eq(memory_free_bytes(&large.memory), before);
			ck_assert(memory_is_valid(&large.memory));
			ck_assert_int_eq(dma_alloc(memory_dma(&large.memory), &any_device, &request, &other), STATUS_OK);
			dma_free(memory_dma(&large.memory), other);
		}
		heap_free(memory_general_heap(&large.memory), object);
		if (buffer)
			dma_free(memory_dma(&large.memory), buffer);
		if (way == 3)
			dma_coherent_free(memory_dma(&large.memory), &coherent);
		machine_fini(&large);
	}
}
END_TEST
HOST_TEST_MAIN("trim", freed_memory_becomes_cache_again_after_two_rounds, magazines_of_idle_cpus_become_cache_again,
	       memory_that_comes_and_goes_stays, threads_see_freed_memory_become_cache_again,
	       an_end_that_is_busy_changes_nothing)
