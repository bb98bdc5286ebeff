// SPDX-License-Identifier: BSD-2-Clause
/* The heap on the real machine: from many CPUs at once, and with real mappings. */
#include "image_test.h"

#include <stdatomic.h>

#include "heap/block/owner_snapshot.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"
#include "runtime/x86_64/paging.h"

static const struct device any_device = { .name = "test device", .dma_mask = UINT64_MAX };
static const struct device narrow_device = { .name = "narrow device", .dma_mask = (1 << 28) - 1 };

/* Every page of the buffer is marked through the mapping and read back by physical address. */
static bool segments_match(const struct dma_buffer *buffer)
{
	uint64_t *words = buffer->memory;
	uint64_t offset = 0;

	for (uint64_t at = 0; at < buffer->bytes; at += PAGE_BYTES)
		words[at / sizeof(*words)] = at;
	for (uint32_t i = 0; i < buffer->segment_count; i++) {
		for (uint64_t at = 0; at < buffer->segments[i].bytes; at += PAGE_BYTES) {
			const struct phys_addr address = { buffer->segments[i].start.value + at };

			if (*(const uint64_t *)platform_virt(address) != offset + at)
				return false;
		}
		offset += buffer->segments[i].bytes;
	}
	return offset == buffer->bytes;
}

IMAGE_TEST(dma_buffer_is_contiguous_for_the_cpu)
{
	static const uint64_t sizes[] = { 4096, MIB, 4 * MIB, 32 * MIB };
	struct memory *memory = test->environment->memory;

	for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
		const struct dma_request request = { .bytes = sizes[i], .wait = MEMORY_WAIT_FOREVER };
		struct dma_buffer *buffer;

		require(dma_alloc(memory_dma(memory), &any_device, &request, &buffer) == STATUS_OK);
		expect(segments_match(buffer));
		dma_free(memory_dma(memory), buffer);
	}
	expect_equal(dma_device_leaks(memory_dma(memory), &any_device), 0);
}

IMAGE_TEST(dma_buffer_in_one_piece_below_a_mask)
{
	const struct dma_request request = { .bytes = 16 * MIB, .segments_max = 1, .wait = MEMORY_WAIT_FOREVER, .zero = true };
	struct memory *memory = test->environment->memory;
	struct dma_coherent coherent;
	struct dma_buffer *buffer;

	require(dma_alloc(memory_dma(memory), &narrow_device, &request, &buffer) == STATUS_OK);
	expect_equal(buffer->segment_count, 1);
	expect(buffer->segments[0].start.value + buffer->bytes - 1 <= narrow_device.dma_mask);
	expect(segments_match(buffer));
	dma_free(memory_dma(memory), buffer);
	require(dma_coherent_alloc(memory_dma(memory), &narrow_device, 100, 256, &coherent) == STATUS_OK);
	expect(coherent.address.value + 100 <= narrow_device.dma_mask && is_aligned(coherent.address.value, 256));
	dma_coherent_free(memory_dma(memory), &coherent);
	expect_equal(dma_device_leaks(memory_dma(memory), &narrow_device), 0);
}

static uint64_t blocks_of(struct memory *memory, const char *owner)
{
	struct owner_snapshot owners[OWNER_SNAPSHOT_MAX];
	const unsigned count = owner_snapshot_get(&memory->blocks, owners);

	for (unsigned i = 0; i < count; i++) {
		if (strcmp(owners[i].name, owner) == 0)
			return owners[i].blocks;
	}
	return 0;
}

/*
 * By owner: what is free changes beside the test, since the background cleaner gives back what the
 * heaps of earlier tests have kept.
 */
IMAGE_TEST(memory_comes_back_whole)
{
	struct memory *memory = test->environment->memory;
	const struct dma_request request = { .bytes = 8 * MIB, .wait = MEMORY_WAIT_FOREVER };
	struct dma_buffer *buffer;

	for (unsigned i = 0; i < 100; i++) {
		require(dma_alloc(memory_dma(memory), &any_device, &request, &buffer) == STATUS_OK);
		expect_equal(blocks_of(memory, any_device.name), request.bytes / BLOCK_BYTES);
		dma_free(memory_dma(memory), buffer);
		require(blocks_of(memory, any_device.name) == 0);
	}
	expect(block_heap_is_valid(&memory->blocks));
}

#define OBJECTS 200
#define STEPS   20000

struct hammer {
	struct heap *heap;
	_Atomic unsigned violations;
};

/* Objects of all sizes, filled with a pattern that tells whose they are. */
static void hammer_run(void *context)
{
	struct hammer *hammer = context;
	unsigned char *objects[OBJECTS] = { 0 };
	size_t bytes[OBJECTS];
	struct random random;
	const unsigned char mark = (unsigned char)platform_random();

	random_seed(&random, platform_random());
	for (unsigned step = 0; step < STEPS; step++) {
		const unsigned i = (unsigned)random_below(&random, OBJECTS);

		if (objects[i]) {
			if (objects[i][0] != (mark ^ (i & 0xff)) || objects[i][bytes[i] - 1] != (mark ^ (i & 0xff)))
				atomic_fetch_add(&hammer->violations, 1);
			heap_free(hammer->heap, objects[i]);
			objects[i] = NULL;
			continue;
		}
		bytes[i] = 1 + random_below(&random, 1ull << random_below(&random, 15));
		objects[i] = heap_alloc(hammer->heap, bytes[i], 0);
		if (objects[i])
			memset(objects[i], (int)(mark ^ (i & 0xff)), bytes[i]);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		heap_free(hammer->heap, objects[i]);
}

/* Two tasks for each CPU, and beside them what `disturb` does. */
static void hammer_all_cpus(struct image_test_run *test, void (*disturb)(struct memory *memory, struct hammer *hammer))
{
	const struct task_options options = { .name = "hammer", .priority = TASK_NORMAL, .cpu = -1 };
	struct memory *memory = test->environment->memory;
	struct hammer hammer = { .heap = memory_general_heap(memory) };
	struct task *tasks[PLATFORM_CPUS_MAX];
	const unsigned count = MIN(platform_cpu_count() * 2, PLATFORM_CPUS_MAX);

	for (unsigned i = 0; i < count; i++)
		require(task_spawn(&options, hammer_run, &hammer, &tasks[i]) == STATUS_OK);
	disturb(memory, &hammer);
	for (unsigned i = 0; i < count; i++)
		task_join(tasks[i]);
	expect_equal(hammer.violations, 0);
	list_for_each (link, &memory->blocks.caches)
		expect(objcache_is_valid(container_of(link, struct objcache, link)));
}

static void drain_often(struct memory *memory, struct hammer *hammer)
{
	(void)hammer;
	for (unsigned i = 0; i < 20; i++)
		(void)memory_drain(memory, 4 * MIB, false);
}

IMAGE_TEST(heap_serves_all_cpus_at_once)
{
	hammer_all_cpus(test, drain_often);
}

#define STORM_OBJECTS 16
#define STORM_ROUNDS  200

/*
 * On all CPUs, in the midst of other work. What handlers get is little and may be nothing, but no
 * other holder has it.
 */
static void storm_run(void *context)
{
	struct hammer *hammer = context;
	uint64_t *objects[STORM_OBJECTS];

	for (unsigned i = 0; i < STORM_OBJECTS; i++) {
		objects[i] = heap_alloc(hammer->heap, 16ull << i % 8, 0);
		if (objects[i])
			*objects[i] = (uintptr_t)&objects[i];
	}
	for (unsigned i = 0; i < STORM_OBJECTS; i++) {
		if (objects[i] && *objects[i] != (uintptr_t)&objects[i])
			atomic_fetch_add(&hammer->violations, 1);
		heap_free(hammer->heap, objects[i]);
	}
}

static void storm_often(struct memory *memory, struct hammer *hammer)
{
	for (unsigned i = 0; i < STORM_ROUNDS; i++) {
		platform_run_on_all_cpus(storm_run, hammer);
		if (i % 20 == 0)
			(void)memory_drain(memory, 4 * MIB, false);
	}
}

IMAGE_TEST(heap_serves_handlers_in_the_midst_of_tasks)
{
	hammer_all_cpus(test, storm_often);
}

static bool is_mapped(const void *memory)
{
	struct phys_addr address = { 0 };
	unsigned flags = 0;

	return paging_translate((uintptr_t)memory, &address, &flags) && address.value == (uintptr_t)memory &&
	       flags == PAGING_WRITE;
}

IMAGE_TEST(guarded_objects_stand_alone_in_the_direct_map)
{
	struct guard_pool *pool = &test->environment->memory->general.guard;
	const uint64_t before = guard_pool_count(pool).live;

	for (size_t bytes = 1; bytes <= GUARD_BYTES_MAX; bytes *= 2) {
		char *object = guard_pool_alloc(pool, bytes, 1, __builtin_return_address(0));
		char *end = (char *)align_up((uintptr_t)object + bytes, PAGE_BYTES);

		require(object);
		expect_equal(platform_phys(object).value, (uintptr_t)object);
		for (char *page = (char *)align_down((uintptr_t)object, PAGE_BYTES); page < end; page += PAGE_BYTES)
			expect(is_mapped(page));
		expect(!is_mapped(end));
		expect(!is_mapped((char *)align_down((uintptr_t)object, PAGE_BYTES) - 1));
		memset(object, 1, bytes);
		heap_free(memory_general_heap(test->environment->memory), object);
		expect(!is_mapped(object));
		expect(!is_mapped(end - 1));
	}
	expect_equal(guard_pool_count(pool).live, before);
	expect(guard_pool_is_valid(pool));
}

/* Long enough for some objects to be guarded. */
IMAGE_TEST(guarded_objects_travel_between_cpus)
{
	struct memory *memory = test->environment->memory;
	struct hammer hammer = { .heap = memory_general_heap(memory) };
	const struct task_options options = { .name = "hammer", .priority = TASK_NORMAL, .cpu = -1 };
	const uint64_t before = guard_pool_count(&memory->general.guard).allocs;
	struct task *tasks[4];

	for (unsigned round = 0; round < 100 && guard_pool_count(&memory->general.guard).allocs < before + 10; round++) {
		for (unsigned i = 0; i < ARRAY_LENGTH(tasks); i++)
			require(task_spawn(&options, hammer_run, &hammer, &tasks[i]) == STATUS_OK);
		for (unsigned i = 0; i < ARRAY_LENGTH(tasks); i++)
			task_join(tasks[i]);
	}
	expect(guard_pool_count(&memory->general.guard).allocs >= before + 10);
	expect_equal(hammer.violations, 0);
	expect(guard_pool_is_valid(&memory->general.guard));
}
