// SPDX-License-Identifier: BSD-2-Clause
/* NVMe and virtio disks: what their interface promises. */
#include "app/testbed/pattern.h"
#include "disk_test.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define TASKS       4
#define DEPTH       96
#define ROUNDS      3
#define TEST_PAGES  16
#define REGION_FROM (8 * MIB)

IMAGE_TEST(disk_reads_large_requests)
{
	struct block_device *device = NULL;
	uint64_t seed;
	unsigned disks = 0;

	while ((device = disk_test_next(test, device, &seed))) {
		const uint64_t bytes = MIN(device->transfer_bytes_max, device->segments_max * PAGE_BYTES);
		struct disk_test_request *request = disk_test_alloc(test, bytes);

		disks++;
		require(request);
		expect_equal(disk_test_run(device, request, BLOCK_READ, MIB), STATUS_OK);
		expect_equal(disk_test_bad_pages(request, seed), 0);
		expect_equal(disk_test_run(device, request, BLOCK_READ, device->size_bytes - bytes), STATUS_OK);
		expect_equal(disk_test_bad_pages(request, seed), 0);
		disk_test_free(test, request);
	}
	if (disks == 0)
		skip("there is no disk with the test pattern");
}

static void pages_fill(struct disk_test_request *request, uint64_t seed, uint64_t first, uint64_t version)
{
	for (unsigned i = 0; i < TEST_PAGES; i++)
		pattern_fill((uint64_t *)((char *)request->buffer->memory + i * PAGE_BYTES), seed, first + i, version);
}

/* A disk that could not be started is missing, and no other test misses it. */
IMAGE_TEST(disks_are_as_many_as_expected)
{
	struct block_device *device = NULL;
	unsigned count = 0;
	uint64_t seed;

	while ((device = disk_test_next(test, device, &seed)))
		count++;
	expect_equal(count, options_get_number(test->environment->command_line, "disks", count));
}

IMAGE_TEST(disk_keeps_what_was_written)
{
	struct block_device *device = NULL;
	uint64_t seed;

	while ((device = disk_test_next(test, device, &seed))) {
		const uint64_t first = REGION_FROM / PAGE_BYTES;
		struct disk_test_request *before = disk_test_alloc(test, TEST_PAGES * PAGE_BYTES);
		struct disk_test_request *request = disk_test_alloc(test, TEST_PAGES * PAGE_BYTES);

		require(before && request);
		expect_equal(disk_test_run(device, before, BLOCK_READ, REGION_FROM), STATUS_OK);
		for (uint64_t version = 1000; version < 1003; version++) {
			pages_fill(request, seed, first, version);
			expect_equal(disk_test_run(device, request, BLOCK_WRITE, REGION_FROM), STATUS_OK);
			expect_equal(block_device_transfer(device, BLOCK_FLUSH, 0, NULL, 0), STATUS_OK);
			memset(request->buffer->memory, 0, request->buffer->bytes);
			expect_equal(disk_test_run(device, request, BLOCK_READ, REGION_FROM), STATUS_OK);
			for (unsigned i = 0; i < TEST_PAGES; i++)
				expect(pattern_verify_version(
					(const uint64_t *)((char *)request->buffer->memory + i * PAGE_BYTES), seed, first + i,
					version));
		}
		expect_equal(disk_test_run(device, before, BLOCK_WRITE, REGION_FROM), STATUS_OK);
		disk_test_free(test, before);
		disk_test_free(test, request);
	}
}

/* Segments that begin and end anywhere within pages: several commands for NVMe. */
IMAGE_TEST(disk_takes_segments_of_sectors)
{
	static const struct {
		uint32_t offset, bytes; /* in sectors */
	} shape[] = { { 1, 1 }, { 3, 5 }, { 8, 8 }, { 16, 1 }, { 17, 2 }, { 31, 1 }, { 32, 16 }, { 60, 3 } };
	struct block_device *device = NULL;
	uint64_t seed;

	while ((device = disk_test_next(test, device, &seed))) {
		struct disk_test_request *whole = disk_test_alloc(test, TEST_PAGES * PAGE_BYTES);
		struct disk_test_request *parts = disk_test_alloc(test, TEST_PAGES * PAGE_BYTES);
		const uint32_t sector = device->sector_bytes;
		const char *expected;

		require(whole && parts);
		if (64 * sector > TEST_PAGES * PAGE_BYTES)
			skip("sectors are too large for the shape");
		memset(parts->buffer->memory, 0x55, parts->buffer->bytes);
		parts->request.segment_count = ARRAY_LENGTH(shape);
		for (unsigned i = 0; i < ARRAY_LENGTH(shape); i++)
			parts->segments[i] =
				(struct phys_range){ platform_phys((char *)parts->buffer->memory + shape[i].offset * sector),
						     shape[i].bytes * sector };
		expect_equal(disk_test_run(device, whole, BLOCK_READ, REGION_FROM), STATUS_OK);
		expect_equal(disk_test_run(device, parts, BLOCK_READ, REGION_FROM), STATUS_OK);
		expected = whole->buffer->memory;
		for (unsigned i = 0; i < ARRAY_LENGTH(shape); i++) {
			const char *got = (char *)parts->buffer->memory + shape[i].offset * sector;

			expect(memcmp(got, expected, shape[i].bytes * sector) == 0);
			expect(shape[i].offset == 17 || (uint8_t)got[-1] == 0x55 || shape[i].offset == 8 ||
			       shape[i].offset == 16 || shape[i].offset == 32);
			expected += shape[i].bytes * sector;
		}
		disk_test_free(test, whole);
		disk_test_free(test, parts);
	}
}

IMAGE_TEST(disk_refuses_what_cannot_be)
{
	struct block_device *device = NULL;
	uint64_t seed;

	while ((device = disk_test_next(test, device, &seed))) {
		struct disk_test_request *request = disk_test_alloc(test, TEST_PAGES * PAGE_BYTES);

		require(request);
		expect_equal(disk_test_run(device, request, BLOCK_READ, device->size_bytes), STATUS_RANGE);
		expect_equal(disk_test_run(device, request, BLOCK_WRITE, device->size_bytes - PAGE_BYTES), STATUS_RANGE);
		expect_equal(disk_test_run(device, request, BLOCK_READ, UINT64_MAX - device->sector_bytes + 1), STATUS_RANGE);
		expect_equal(disk_test_run(device, request, BLOCK_READ, 1), STATUS_INVALID);
		request->segments[1].bytes = 0;
		expect_equal(disk_test_run(device, request, BLOCK_READ, 0), STATUS_INVALID);
		request->segments[1].bytes = device->sector_bytes + 1;
		expect_equal(disk_test_run(device, request, BLOCK_READ, 0), STATUS_INVALID);
		request->request.segment_count = 0;
		expect_equal(disk_test_run(device, request, BLOCK_READ, 0), STATUS_INVALID);
		disk_test_free(test, request);
	}
}

struct reader {
	struct image_test_run *test;
	struct block_device *device;
	uint64_t seed;
	uint64_t random_seed;
	_Atomic unsigned bad;
};

/* Keeps more requests under way than a queue has slots. */
static void reader_run(void *context)
{
	static struct disk_test_request *requests[TASKS][DEPTH];
	struct reader *reader = context;
	struct disk_test_request **mine = requests[reader->random_seed];
	struct random random;
	unsigned count = 0;

	random_seed(&random, reader->random_seed);
	while (count < DEPTH && (mine[count] = disk_test_alloc(reader->test, 2 * PAGE_BYTES)))
		count++;
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < count; i++)
			disk_test_submit(reader->device, mine[i], BLOCK_READ,
					 random_below(&random, reader->device->size_bytes / PAGE_BYTES - 1) * PAGE_BYTES);
		for (unsigned i = 0; i < count; i++)
			reader->bad += disk_test_wait(mine[i]) != STATUS_OK || disk_test_bad_pages(mine[i], reader->seed) > 0;
	}
	while (count > 0)
		disk_test_free(reader->test, mine[--count]);
}

IMAGE_TEST(disk_serves_several_tasks_with_deep_queues)
{
	const struct task_options options = { .name = "reader", .priority = TASK_NORMAL, .cpu = -1 };
	struct block_device *device = NULL;
	uint64_t seed;

	while ((device = disk_test_next(test, device, &seed))) {
		struct reader readers[TASKS];
		struct task *tasks[TASKS];

		for (unsigned i = 0; i < TASKS; i++) {
			readers[i] = (struct reader){ test, device, seed, i, 0 };
			require(task_spawn(&options, reader_run, &readers[i], &tasks[i]) == STATUS_OK);
		}
		for (unsigned i = 0; i < TASKS; i++) {
			task_join(tasks[i]);
			expect_equal(readers[i].bad, 0);
		}
	}
}
