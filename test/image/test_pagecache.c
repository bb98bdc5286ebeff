// SPDX-License-Identifier: BSD-2-Clause
/* The page cache over the machine's own disk, which carries the test pattern. */
#include "image_test.h"

#include "app/testbed/direct.h"
#include "app/testbed/disks.h"
#include "app/testbed/pattern.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "pagecache/volume.h"
#include "runtime/base/block_device.h"
#include "runtime/base/random.h"
#include "runtime/base/string.h"

#define WRITTEN_PAGES 64
#define READ_MAX      (64 * KIB)

static bool find(const struct image_test_run *test, struct disks *disks)
{
	const struct scenario scenario = { .environment = test->environment, .options = "" };

	return disks_find(&scenario, disks) == STATUS_OK;
}

/* Whether `bytes` at `offset` of the volume are what the pattern says. */
static bool is_pattern(const uint8_t *data, uint64_t offset, uint64_t bytes)
{
	uint64_t page[PATTERN_PAGE_WORDS];
	uint64_t filled = UINT64_MAX;

	while (bytes > 0) {
		const uint64_t number = offset / PAGE_BYTES;
		const uint64_t within = offset % PAGE_BYTES;
		const uint64_t part = MIN(bytes, PAGE_BYTES - within);

		if (filled != number)
			pattern_fill(page, PATTERN_SEED_DATA, number, 0);
		filled = number;
		if (memcmp(data, (const uint8_t *)page + within, part) != 0)
			return false;
		data += part;
		offset += part;
		bytes -= part;
	}
	return true;
}

IMAGE_TEST(pagecache_reads_any_range)
{
	struct heap *heap = memory_general_heap(test->environment->memory);
	struct disks disks;
	struct random random;

	if (!find(test, &disks))
		skip("no disks with the test pattern");
	uint8_t *buffer = heap_alloc(heap, READ_MAX, 0);
	require(buffer);
	random_seed(&random, 1);
	for (unsigned i = 0; i < 300; i++) {
		const uint64_t bytes = 1 + random_below(&random, READ_MAX);
		/* Other tests write near the end. */
		const uint64_t offset = random_below(&random, disks.data->bytes / 2 - bytes + 1);

		expect_equal(node_read(&disks.data->node, offset, buffer, bytes), STATUS_OK);
		expect(is_pattern(buffer, offset, bytes));
	}
	expect_equal(node_read(&disks.data->node, disks.data->bytes - 1, buffer, 2), STATUS_RANGE);
	heap_free(heap, buffer);
}

IMAGE_TEST(pagecache_hits_need_no_disk)
{
	struct pagecache_statistics before, after;
	struct disks disks;
	uint8_t byte;

	if (!find(test, &disks))
		skip("no disks with the test pattern");
	expect_equal(node_read(&disks.data->node, 0, &byte, 1), STATUS_OK);
	volume_statistics(disks.data, &before);
	for (unsigned i = 0; i < 100; i++)
		expect_equal(node_read(&disks.data->node, i, &byte, 1), STATUS_OK);
	volume_statistics(disks.data, &after);
	expect_equal(after.misses, before.misses);
	expect_equal(after.read_bytes, before.read_bytes);
}

/* Writes the first pages of the volume with this version and makes them durable. */
static void write_version(struct image_test_run *test, struct volume *volume, uint64_t version)
{
	uint64_t page[PATTERN_PAGE_WORDS];

	for (uint64_t number = 0; number < WRITTEN_PAGES; number++) {
		pattern_fill(page, PATTERN_SEED_DATA, number, version);
		expect_equal(node_write(&volume->node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
	}
	expect_equal(volume_flush(volume), STATUS_OK);
}

IMAGE_TEST(pagecache_flush_reaches_the_disk)
{
	const struct dma_request request = { .bytes = WRITTEN_PAGES * PAGE_BYTES, .alignment_bytes = PAGE_BYTES };
	struct memory *memory = test->environment->memory;
	struct dma_buffer *buffer;
	struct disks disks;

	if (!find(test, &disks))
		skip("no disks with the test pattern");
	struct block_device *device = disks.data->device;
	if (device->read_only)
		skip("the disk is read only");
	require(dma_alloc(memory_dma(memory), direct_device(device), &request, &buffer) == STATUS_OK);
	for (uint64_t version = 1; version <= 3; version++) {
		write_version(test, disks.data, version);
		memset(buffer->memory, 0, buffer->bytes);
		expect_equal(direct_read(memory, device, disks.data->start_bytes, &buffer, 1), STATUS_OK);
		for (uint64_t number = 0; number < WRITTEN_PAGES; number++)
			expect(pattern_verify_version((const uint64_t *)buffer->memory + number * PATTERN_PAGE_WORDS,
						      PATTERN_SEED_DATA, number, version));
	}
	dma_free(memory_dma(memory), buffer);
	write_version(test, disks.data, 0);
}

/* What is dirty is written before its memory goes. */
IMAGE_TEST(pagecache_drain_loses_nothing)
{
	struct memory *memory = test->environment->memory;
	uint64_t page[PATTERN_PAGE_WORDS];
	struct disks disks;

	if (!find(test, &disks))
		skip("no disks with the test pattern");
	if (disks.data->device->read_only)
		skip("the disk is read only");
	for (uint64_t number = 0; number < WRITTEN_PAGES; number++) {
		pattern_fill(page, PATTERN_SEED_DATA, number, 7);
		expect_equal(node_write(&disks.data->node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
	}
	(void)memory_drain(memory, memory_total_bytes(memory), true);
	for (uint64_t number = 0; number < WRITTEN_PAGES; number++) {
		expect_equal(node_read(&disks.data->node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
		expect(pattern_verify_version(page, PATTERN_SEED_DATA, number, 7));
	}
	write_version(test, disks.data, 0);
}
