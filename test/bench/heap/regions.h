// SPDX-License-Identifier: BSD-2-Clause
/* Regions of 2 MB, by the addresses of what lies in them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define REGION_SHIFT 21

struct extent {
	const void *start; /* NULL: nothing */
	size_t bytes;
};

/* Regions that hold a byte of any of the extents; an extent is not larger than a region. */
uint64_t regions_held(const struct extent *extents, uint32_t count);
