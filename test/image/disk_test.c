// SPDX-License-Identifier: BSD-2-Clause
#include "disk_test.h"

#include "app/testbed/pattern.h"
#include "heap/memory.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

struct disk_test_request *disk_test_alloc(struct image_test_run *test, uint64_t bytes)
{
	/* Of no driver: the memory may outlive the disk's driver. */
	static const struct device anybody = { .name = "disk test", .dma_mask = UINT64_MAX };
	struct memory *memory = test->environment->memory;
	const struct dma_request wanted = { .bytes = bytes, .alignment_bytes = PAGE_BYTES, .segments_max = 1 };
	struct disk_test_request *request = heap_alloc(memory_general_heap(memory), sizeof(*request), 0);

	if (!request || dma_alloc(memory_dma(memory), &anybody, &wanted, &request->buffer) != STATUS_OK) {
		heap_free(memory_general_heap(memory), request);
		image_test_fail(test, __FILE__, __LINE__, "memory for a request");
		return NULL;
	}
	request->request = (struct block_request){ .segments = request->segments };
	for (uint64_t offset = 0; offset < bytes; offset += PAGE_BYTES)
		request->segments[request->request.segment_count++] =
			(struct phys_range){ platform_phys((char *)request->buffer->memory + offset),
					     MIN(bytes - offset, PAGE_BYTES) };
	return request;
}

void disk_test_free(struct image_test_run *test, struct disk_test_request *request)
{
	if (!request)
		return;
	dma_free(memory_dma(test->environment->memory), request->buffer);
	heap_free(memory_general_heap(test->environment->memory), request);
}

static void request_done(struct block_request *request)
{
	completion_signal(&container_of(request, struct disk_test_request, request)->done);
}

void disk_test_submit(struct block_device *device, struct disk_test_request *request, enum block_operation operation,
		      uint64_t offset_bytes)
{
	request->request.operation = operation;
	request->request.offset_bytes = offset_bytes;
	request->request.done = request_done;
	completion_init(&request->done);
	device->submit(device, &request->request);
}

status_t disk_test_wait(struct disk_test_request *request)
{
	(void)!completion_wait(&request->done, PLATFORM_FOREVER);
	return request->request.status;
}

status_t disk_test_run(struct block_device *device, struct disk_test_request *request, enum block_operation operation,
		       uint64_t offset_bytes)
{
	disk_test_submit(device, request, operation, offset_bytes);
	return disk_test_wait(request);
}

unsigned disk_test_bad_pages(const struct disk_test_request *request, uint64_t seed)
{
	const uint64_t first = request->request.offset_bytes / PAGE_BYTES;
	unsigned bad = 0;

	for (uint64_t i = 0; i < request->buffer->bytes / PAGE_BYTES; i++)
		bad += !pattern_verify((const uint64_t *)((char *)request->buffer->memory + i * PAGE_BYTES), seed, first + i);
	return bad;
}

static bool carries_pattern(struct image_test_run *test, struct block_device *device, uint64_t *seed)
{
	struct disk_test_request *request = disk_test_alloc(test, PAGE_BYTES);
	bool carries;

	if (!request)
		return false;
	carries = disk_test_run(device, request, BLOCK_READ, 0) == STATUS_OK;
	*seed = pattern_seed(request->buffer->memory);
	carries = carries && pattern_verify(request->buffer->memory, *seed, 0);
	disk_test_free(test, request);
	return carries;
}

struct block_device *disk_test_next(struct image_test_run *test, struct block_device *device, uint64_t *seed)
{
	struct block_device_table *table = test->environment->block_devices;

	do
		device = block_device_next(table, device);
	while (device && (device->size_bytes < 16 * MIB || !carries_pattern(test, device, seed)));
	return device;
}
