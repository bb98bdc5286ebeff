/*
 * Reading a block device past the page cache, into DMA memory, as a driver for a digitizer would: several requests in flight,
 * each as long as the device takes.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct block_device;
struct device;
struct dma_buffer;
struct memory;

/* Whose limits a buffer for this device keeps. */
const struct device *direct_device(const struct block_device *device);

/*
 * Fills `count` buffers, one after the other, with what the device holds from `offset_bytes` on; their lengths are multiples of
 * its sector. The first error; then other buffers may be filled or not. Where platform_may_sleep().
 */
status_t direct_read(struct memory *memory, struct block_device *device, uint64_t offset_bytes,
		     struct dma_buffer *const *buffers, uint64_t count) MUST_CHECK;
