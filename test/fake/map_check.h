// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loader's conversion of the memory map beside a model that looks at single pages: it asks each
 * descriptor whether it says something of the page, and takes the most restrictive answer. The type
 * of a page changes only at ends of descriptors, so those pages and their neighbours are all that
 * has to be compared; of a small machine, every page is.
 */
#pragma once

#include "runtime/base/types.h"

#define MAP_DESCRIPTORS_MAX 64

struct map_descriptor {
	uint32_t type; /* UEFI 2.10, section 7.2.1 */
	uint64_t start;
	uint64_t pages;
	uint64_t attributes;
};

struct map_case {
	struct map_descriptor descriptors[MAP_DESCRIPTORS_MAX];
	uint32_t count;
	uint32_t stride_bytes; /* of a descriptor in the firmware's buffer; at least 40 */
	uint64_t limit;        /* a multiple of pages */
	struct phys_range image;
	struct phys_range pool;
	struct phys_range screen; /* empty: none */
};

/* Converts the map, and panics where the result is not that of the model. */
void map_check(const struct map_case *map);
