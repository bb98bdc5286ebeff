// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio-blk: data, limits, many requests at once, and removal; on a disk of numbered pages if
 * there is one.
 */
#include "image_test.h"

#include <stdatomic.h>

#include "app/testbed/pattern.h"
#include "drivers/driver.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/block_device.h"
#include "runtime/base/completion.h"
#include "runtime/base/string.h"

#define DISK         "virtio0"
#define REQUESTS     300 /* far more than a queue has slots */
#define BUFFER_BYTES (1 * MIB)

static struct dma_buffer *buffer_alloc(struct image_test_run *test, uint64_t bytes)
{
	static const struct device anything = { .name = "virtio-blk test", .dma_mask = UINT64_MAX };
	const struct dma_request request = { .bytes = bytes, .alignment_bytes = PAGE_BYTES, .segments_max = 1, .zero = true };
	struct dma_buffer *buffer = NULL;

	expect_equal(dma_alloc(memory_dma(test->environment->memory), &anything, &request, &buffer), STATUS_OK);
	return buffer;
}

static status_t transfer(struct block_device *disk, enum block_operation operation, uint64_t offset,
			 const struct dma_buffer *buffer, uint64_t start, uint64_t bytes)
{
	const struct phys_range segment = { { buffer->pieces[0].start.value + start }, bytes };

	return block_device_transfer(disk, operation, offset, &segment, 1);
}

IMAGE_TEST(virtio_blk_reads_what_was_written)
{
	struct block_device *disk = block_device_find(test->environment->block_devices, DISK);
	struct dma_buffer *buffer;
	uint8_t *bytes;

	if (!disk || disk->read_only || disk->size_bytes < 4 * BUFFER_BYTES)
		skip("no virtio disk to write to");
	buffer = buffer_alloc(test, 3 * BUFFER_BYTES);
	require(buffer);
	bytes = buffer->memory;
	/* [0, 1 MB): what was there; [1 MB, 2 MB): what is written; [2 MB, 3 MB): read back. */
	for (uint64_t i = 0; i < BUFFER_BYTES; i++)
		bytes[BUFFER_BYTES + i] = (uint8_t)(i * 7 + i / 512);
	expect_equal(transfer(disk, BLOCK_READ, BUFFER_BYTES, buffer, 0, BUFFER_BYTES), STATUS_OK);
	expect_equal(transfer(disk, BLOCK_WRITE, BUFFER_BYTES, buffer, BUFFER_BYTES, BUFFER_BYTES), STATUS_OK);
	expect_equal(block_device_transfer(disk, BLOCK_FLUSH, 0, NULL, 0), STATUS_OK);
	expect_equal(transfer(disk, BLOCK_READ, BUFFER_BYTES, buffer, 2 * BUFFER_BYTES, BUFFER_BYTES), STATUS_OK);
	expect(memcmp(bytes + BUFFER_BYTES, bytes + 2 * BUFFER_BYTES, BUFFER_BYTES) == 0);
	/* One sector in the middle, at an address that is no page. */
	memset(bytes + 2 * BUFFER_BYTES, 0, 2 * PAGE_BYTES);
	expect_equal(transfer(disk, BLOCK_READ, BUFFER_BYTES + 3 * 512, buffer, 2 * BUFFER_BYTES + 512, 512), STATUS_OK);
	expect(memcmp(bytes + BUFFER_BYTES + 3 * 512, bytes + 2 * BUFFER_BYTES + 512, 512) == 0);
	expect_equal(bytes[2 * BUFFER_BYTES + 1024], 0);
	expect_equal(transfer(disk, BLOCK_WRITE, BUFFER_BYTES, buffer, 0, BUFFER_BYTES), STATUS_OK);
	dma_free(memory_dma(test->environment->memory), buffer);
}

IMAGE_TEST(virtio_blk_refuses_what_breaks_its_limits)
{
	struct block_device *disk = block_device_find(test->environment->block_devices, DISK);
	struct dma_buffer *buffer;

	if (!disk)
		skip("no virtio disk");
	buffer = buffer_alloc(test, 2 * BUFFER_BYTES);
	require(buffer);
	expect_equal(transfer(disk, BLOCK_READ, disk->size_bytes, buffer, 0, PAGE_BYTES), STATUS_RANGE);
	expect_equal(transfer(disk, BLOCK_READ, UINT64_MAX - 511, buffer, 0, PAGE_BYTES), STATUS_RANGE);
	expect_equal(transfer(disk, BLOCK_READ, 1, buffer, 0, PAGE_BYTES), STATUS_INVALID);
	expect_equal(transfer(disk, BLOCK_READ, 0, buffer, 1, PAGE_BYTES), STATUS_INVALID);
	expect_equal(transfer(disk, BLOCK_READ, 0, buffer, 0, disk->transfer_bytes_max + 512), STATUS_INVALID);
	expect_equal(transfer(disk, BLOCK_READ, 0, buffer, 0, disk->transfer_bytes_max), STATUS_OK);
	dma_free(memory_dma(test->environment->memory), buffer);
}

struct many {
	_Atomic uint32_t left;
	_Atomic uint32_t failed;
	struct completion all;
	struct block_request requests[REQUESTS];
	struct phys_range segments[REQUESTS];
};

static struct many many;

static void many_done(struct block_request *request)
{
	if (request->status != STATUS_OK)
		atomic_fetch_add(&many.failed, 1);
	if (atomic_fetch_sub(&many.left, 1) == 1)
		completion_signal(&many.all);
}

IMAGE_TEST(virtio_blk_takes_more_requests_than_it_has_slots)
{
	struct block_device *disk = block_device_find(test->environment->block_devices, DISK);
	struct dma_buffer *buffer, *whole;

	if (!disk || disk->size_bytes < REQUESTS * PAGE_BYTES)
		skip("no virtio disk");
	buffer = buffer_alloc(test, REQUESTS * PAGE_BYTES);
	whole = buffer_alloc(test, BUFFER_BYTES);
	require(buffer && whole);
	completion_init(&many.all);
	atomic_store(&many.left, REQUESTS);
	atomic_store(&many.failed, 0);
	for (unsigned i = 0; i < REQUESTS; i++) {
		many.segments[i] = (struct phys_range){ { buffer->pieces[0].start.value + i * PAGE_BYTES }, PAGE_BYTES };
		many.requests[i] = (struct block_request){
			.operation = BLOCK_READ,
			.offset_bytes = i * PAGE_BYTES,
			.segments = &many.segments[i],
			.segment_count = 1,
			.done = many_done,
		};
	}
	for (unsigned i = 0; i < REQUESTS; i++)
		disk->submit(disk, &many.requests[i]);
	expect_equal(completion_wait(&many.all, platform_now_ns() + 20 * NS_PER_S), STATUS_OK);
	expect_equal(atomic_load(&many.failed), 0);
	expect_equal(transfer(disk, BLOCK_READ, 0, whole, 0, BUFFER_BYTES), STATUS_OK);
	expect(memcmp(buffer->memory, whole->memory, BUFFER_BYTES) == 0);
	dma_free(memory_dma(test->environment->memory), buffer);
	dma_free(memory_dma(test->environment->memory), whole);
}
