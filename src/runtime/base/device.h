// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the memory room has to know of a device: which addresses it can put on its bus, and how its
 * buffers may be cut. A driver fills it at probe, before it allocates; it is constant while the
 * device has buffers.
 */
#pragma once

#include "types.h"

struct device {
	const char *name;               /* "nvme 00:04.0"; owner name in reports */
	uint64_t dma_mask;              /* highest address that it can reach: 2^n - 1, or the end of dma_lowest's window */
	uint64_t dma_lowest;            /* lowest one: 0, or where the window begins that a bridge leaves open */
	uint64_t dma_boundary_bytes;    /* no segment crosses a multiple of this; 0: no limit */
	uint64_t dma_segment_bytes_max; /* 0: no limit */
	uint32_t dma_segments_max;      /* 0: no limit */
};
