// SPDX-License-Identifier: BSD-2-Clause
/*
 * For tests of disks: memory for requests, and many requests at once. Tests use only disks with the
 * pages of the test pattern, and leave them as they were: on a user's machine the others may hold
 * data of value.
 */
#pragma once

#include "heap/dma/dma.h"
#include "image_test.h"
#include "runtime/base/block_device.h"
#include "runtime/base/completion.h"

#define DISK_TEST_SEGMENTS 256

/* A request with its memory. */
struct disk_test_request {
	struct block_request request;
	struct phys_range segments[DISK_TEST_SEGMENTS];
	struct dma_buffer *buffer;
	struct completion done;
};

/* The disk behind `device` (NULL: the first) with the test pattern, and its seed; NULL: no more. */
struct block_device *disk_test_next(struct image_test_run *test, struct block_device *device, uint64_t *seed);

/*
 * A request for `bytes` with memory of its own, in pieces of 4 KB; NULL and a failure: no memory.
 */
struct disk_test_request *disk_test_alloc(struct image_test_run *test, uint64_t bytes);
void disk_test_free(struct image_test_run *test, struct disk_test_request *request);

void disk_test_submit(struct block_device *device, struct disk_test_request *request, enum block_operation operation,
		      uint64_t offset_bytes);
status_t disk_test_wait(struct disk_test_request *request);
status_t disk_test_run(struct block_device *device, struct disk_test_request *request, enum block_operation operation,
		       uint64_t offset_bytes);

/* Pages of the request that are not what the disk holds there. */
unsigned disk_test_bad_pages(const struct disk_test_request *request, uint64_t seed);
