// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap on the real machine: objects from many tasks, and DMA memory out of a full page cache.
 */
#include "image_test.h"

#include "app/testbed/disks.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "pressure.h"
#include "runtime/base/random.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define WORKERS     4
#define OBJECTS     64
#define ROUNDS      4000
#define CACHE_BYTES (96 * MIB)

struct heap_worker {
	struct heap *heap;
	struct task *task;
	unsigned seed;
	unsigned failures;
};

static bool holds_only(const uint8_t *object, size_t bytes, uint8_t value)
{
	return object[0] == value && object[bytes / 2] == value && object[bytes - 1] == value;
}

static void use_heap(void *context)
{
	struct heap_worker *worker = context;
	uint8_t *objects[OBJECTS] = { 0 };
	size_t sizes[OBJECTS];
	struct random random;

	random_seed(&random, worker->seed);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned i = (unsigned)random_below(&random, OBJECTS);
		const uint8_t value = (uint8_t)(worker->seed * OBJECTS + i);

		if (objects[i] && !holds_only(objects[i], sizes[i], value))
			worker->failures++;
		heap_free(worker->heap, objects[i]);
		sizes[i] = (size_t)1 << random_below(&random, round % 64 == 0 ? 22 : 14);
		objects[i] = heap_alloc(worker->heap, sizes[i], 0);
		if (objects[i])
			memset(objects[i], value, sizes[i]);
		else
			worker->failures++;
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		heap_free(worker->heap, objects[i]);
}

IMAGE_TEST(heap_objects_keep_their_contents)
{
	const struct task_options options = { .name = "heap user", .priority = TASK_NORMAL, .cpu = -1 };
	struct heap_worker workers[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i] = (struct heap_worker){ .heap = memory_general_heap(test->environment->memory), .seed = i + 1 };
		expect_equal(task_spawn(&options, use_heap, &workers[i], &workers[i].task), STATUS_OK);
	}
	for (unsigned i = 0; i < WORKERS; i++) {
		if (workers[i].task)
			task_join(workers[i].task);
		expect_equal(workers[i].failures, 0);
	}
}

IMAGE_TEST(heap_accounts_for_every_block)
{
	struct memory *memory = test->environment->memory;
	const uint64_t before = memory_free_bytes(memory);
	const struct memory_request request = { .blocks = 4,
						.owner = &(struct owner){ .name = "test" },
						.constraints.alignment_bytes = 8 * MIB };
	struct phys_addr run;

	list_init(&request.owner->link);
	require(memory_blocks_alloc(memory, &request, &run) == STATUS_OK);
	expect_equal(run.value % (8 * MIB), 0);
	expect_equal(request.owner->blocks, 4);
	memory_blocks_free(memory, run);
	expect_equal(request.owner->blocks, 0);
	expect(memory_free_bytes(memory) + 16 * MIB >= before);
}

/* The machine's disk with the test pattern; NULL where it has none. */
static struct volume *find_data(struct image_test_run *test)
{
	const struct scenario scenario = { .environment = test->environment, .options = "" };
	struct disks disks;

	return disks_find(&scenario, &disks) == STATUS_OK ? disks.data : NULL;
}

static void check_segments(struct image_test_run *test, const struct dma_buffer *buffer, uint64_t mask)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < buffer->segment_count; i++) {
		expect(buffer->segments[i].start.value + buffer->segments[i].bytes - 1 <= mask);
		bytes += buffer->segments[i].bytes;
	}
	expect_equal(bytes, buffer->bytes);
}

/* Takes `count` buffers of 4 MB for a device with this mask out of a full cache. */
static void take_from_full_cache(struct image_test_run *test, uint64_t mask, unsigned count, uint64_t segment_bytes)
{
	static struct pressure pressure;
	const struct device device = { .name = "test device", .dma_mask = mask };
	const struct dma_request request = {
		.bytes = 4 * MIB,
		.segment_bytes_min = segment_bytes,
		.wait = MEMORY_WAIT_DEADLINE,
		.deadline_ns = platform_now_ns() + 60 * NS_PER_S,
	};
	struct memory *memory = test->environment->memory;
	struct pagecache_statistics before, after;
	struct volume *volume = find_data(test);
	struct dma_buffer *buffers[16];
	unsigned taken = 0;

	if (!volume)
		skip("no disks with the test pattern");
	if (!pressure_apply(&pressure, test->environment, volume, CACHE_BYTES)) {
		pressure_release(&pressure);
		skip("the disk is too small to fill the memory");
	}
	volume_statistics(volume, &before);
	for (; taken < count; taken++) {
		if (dma_alloc(memory_dma(memory), &device, &request, &buffers[taken]) != STATUS_OK)
			break;
		check_segments(test, buffers[taken], mask);
		memset(buffers[taken]->memory, (int)taken, buffers[taken]->bytes);
	}
	volume_statistics(volume, &after);
	expect_equal(taken, count);
	expect((after.evicted_pages - before.evicted_pages) * PAGE_BYTES <= count * 4 * MIB + 4 * BLOCK_BYTES);
	while (taken > 0)
		dma_free(memory_dma(memory), buffers[--taken]);
	expect_equal(dma_device_leaks(memory_dma(memory), &device), 0);
	pressure_release(&pressure);
}

IMAGE_TEST(dma_memory_comes_out_of_a_full_cache)
{
	take_from_full_cache(test, UINT64_MAX, 16, BLOCK_BYTES);
}

IMAGE_TEST(dma_memory_in_one_piece_comes_out_of_a_full_cache)
{
	take_from_full_cache(test, UINT64_MAX, 4, 4 * MIB);
}

/* QEMU's edu device reaches 256 MB. */
IMAGE_TEST(dma_memory_of_28_bits_comes_out_of_a_full_cache)
{
	take_from_full_cache(test, (1ull << 28) - 1, 8, BLOCK_BYTES);
}
