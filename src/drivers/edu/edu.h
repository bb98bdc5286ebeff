// SPDX-License-Identifier: BSD-2-Clause
/*
 * QEMU's "edu" device, the worked example of a driver for hardware of one's own (docs/DRIVERS.md):
 * it computes factorials, and copies between main memory and 4 KB of its own, with addresses of at
 * most 28 bits.
 */
#pragma once

#include "heap/dma/dma.h"

struct edu;

#define EDU_MEMORY_BYTES   4096
#define EDU_TRANSFER_BYTES 4095 /* at most, in one transfer; the device refuses the very last byte */

enum edu_direction {
	EDU_FROM_DEVICE,
	EDU_TO_DEVICE,
};

/* The machine's first edu, or NULL. */
struct edu *edu_find(void);

/* Memory that the device reaches, in one piece. Free it with edu_buffer_free. */
status_t edu_buffer_alloc(struct edu *edu, uint64_t bytes, struct dma_buffer **buffer) MUST_CHECK;
void edu_buffer_free(struct edu *edu, struct dma_buffer *buffer);

/*
 * Copies `bytes` between `offset` in the buffer and `device_offset` in the device's memory, and
 * waits for it. Where platform_may_sleep(); transfers of several tasks follow each other.
 * STATUS_RANGE: beyond the buffer or the device's memory, of which the last byte cannot be reached.
 * STATUS_TIMEOUT: the device did not answer, and DMA was taken from it for good; STATUS_GONE from
 * then on.
 */
status_t edu_transfer(struct edu *edu, enum edu_direction direction, const struct dma_buffer *buffer, uint64_t offset,
		      uint32_t device_offset, uint32_t bytes) MUST_CHECK;
