// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading and writing a block device past the page cache, into and from DMA memory, as a driver for
 * a digitizer would: several requests in flight, each as long as the device takes.
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
 * Fills `count` buffers, one after the other, with what the device holds from `offset_bytes` on;
 * their lengths are multiples of its sector. The first error; then other buffers may be filled or
 * not. The same buffer may come again in the list as long as DIRECT_BYTES_MAX lie between. Where
 * platform_may_sleep().
 */
#define DIRECT_BYTES_MAX (32 * MIB) /* in flight at most */
status_t direct_read(struct memory *memory, struct block_device *device, uint64_t offset_bytes,
		     struct dma_buffer *const *buffers, uint64_t count) MUST_CHECK;

/* Writes what the buffers hold, likewise; durable after a flush of the device. */
status_t direct_write(struct memory *memory, struct block_device *device, uint64_t offset_bytes,
		      struct dma_buffer *const *buffers, uint64_t count) MUST_CHECK;
