// SPDX-License-Identifier: BSD-2-Clause
/*
 * Descriptors that lie, behind the true ones: so a lie never hides what is true, and the map has
 * both.
 */
#include "map_lies.h"

#include "runtime/base/inject.h"
#include "runtime/base/string.h"

#define RUNTIME_PAGES 200u
#define RUNTIME_START (32 * MIB)
#define RUNTIME_STEP  (2 * BLOCK_BYTES + PAGE_BYTES)

#define NON_VOLATILE    0x8000ull
#define SPECIAL_PURPOSE 0x40000ull
#define HOT_PLUGGABLE   0x100000ull

static const EFI_MEMORY_DESCRIPTOR lies[] = {
	/* Kinds of memory. */
	{ EfiConventionalMemory, 0, 0x6000000000, 0, 0x40000, EFI_MEMORY_WB | NON_VOLATILE },
	{ EfiConventionalMemory, 0, 0x6100000000, 0, 0x40000, EFI_MEMORY_WB | SPECIAL_PURPOSE },
	{ EfiConventionalMemory, 0, 0x6200000000, 0, 0x40000, EFI_MEMORY_WB | HOT_PLUGGABLE },
	/* RAM far away, at 65 TB, at the end of all addresses, and across that end. */
	{ EfiConventionalMemory, 0, 0xf000000000, 0, 0x4000, EFI_MEMORY_WB },
	{ EfiConventionalMemory, 0, 0x410000000000, 0, 0x40000, EFI_MEMORY_WB },
	{ EfiConventionalMemory, 0, 0xfffffffffff00000, 0, 0x100, EFI_MEMORY_WB },
	{ EfiConventionalMemory, 0, 0xfffffffffff00000, 0, 0x40000, EFI_MEMORY_WB },
	/* Lengths that do not fit into 64 bits, and none. */
	{ EfiConventionalMemory, 0, 0x1000000, 0, 1ull << 52, EFI_MEMORY_WB },
	{ EfiConventionalMemory, 0, 0x1000000, 0, (1ull << 52) + 1, EFI_MEMORY_WB },
	{ EfiReservedMemoryType, 0, 0xf800000000, 0, 1ull << 63, EFI_MEMORY_UC },
	{ EfiReservedMemoryType, 0, 0x1800000, 0, 0, EFI_MEMORY_WB },
	/* Starts within a page; memory that is free and reserved at once. */
	{ EfiConventionalMemory, 0, 0x1000123, 0, 16, EFI_MEMORY_WB },
	{ EfiReservedMemoryType, 0, 0x1400fff, 0, 1, EFI_MEMORY_WB },
};

UINTN map_lies_bytes(UINTN descriptor_bytes)
{
	return INJECTED("memory-map") ? (ARRAY_LENGTH(lies) + RUNTIME_PAGES) * descriptor_bytes : 0;
}

static void lie_add(struct loader_map *map, const EFI_MEMORY_DESCRIPTOR *lie)
{
	uint8_t *place = map->descriptors + map->descriptors_bytes;

	memset(place, 0, map->descriptor_bytes);
	memcpy(place, lie, sizeof(*lie));
	map->descriptors_bytes += map->descriptor_bytes;
}

void map_lies_add(struct loader_map *map)
{
	EFI_MEMORY_DESCRIPTOR page = { EfiRuntimeServicesData, 0, RUNTIME_START, 0, 1, EFI_MEMORY_WB | EFI_MEMORY_RUNTIME };

	if (map_lies_bytes(map->descriptor_bytes) > map->capacity_bytes - map->descriptors_bytes ||
	    map_lies_bytes(map->descriptor_bytes) == 0)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(lies); i++)
		lie_add(map, &lies[i]);
	for (unsigned i = 0; i < RUNTIME_PAGES; i++, page.PhysicalStart += RUNTIME_STEP)
		lie_add(map, &page);
}
