// SPDX-License-Identifier: BSD-2-Clause
/* The model of the memory map, and the comparison. */
#include "map_check.h"

#include <stdlib.h>
#include <string.h>

#include "boot/loader.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define NO_TYPE            (-1)
#define SMALL_PAGES        1024u
#define MAP_RANGES_OF_OURS 4
#define MAP_TYPES          15

#define WRITE_BACK      0x8ull
#define NON_VOLATILE    0x8000ull
#define SPECIAL_PURPOSE 0x40000ull
#define HOT_PLUGGABLE   0x100000ull

/* By UEFI's type: cached, and not cached. */
static const int8_t types[MAP_TYPES][2] = {
	{ BOOT_MEMORY_RUNTIME, BOOT_MEMORY_MMIO },          /* reserved */
	{ BOOT_MEMORY_USABLE, BOOT_MEMORY_RUNTIME },        /* loader code */
	{ BOOT_MEMORY_USABLE, BOOT_MEMORY_RUNTIME },        /* loader data */
	{ BOOT_MEMORY_USABLE, BOOT_MEMORY_RUNTIME },        /* boot services code */
	{ BOOT_MEMORY_USABLE, BOOT_MEMORY_RUNTIME },        /* boot services data */
	{ BOOT_MEMORY_RUNTIME, BOOT_MEMORY_MMIO },          /* runtime services code */
	{ BOOT_MEMORY_RUNTIME, BOOT_MEMORY_MMIO },          /* runtime services data */
	{ BOOT_MEMORY_USABLE, BOOT_MEMORY_RUNTIME },        /* conventional */
	{ BOOT_MEMORY_BROKEN, BOOT_MEMORY_BROKEN },         /* unusable */
	{ BOOT_MEMORY_ACPI, BOOT_MEMORY_ACPI },             /* ACPI tables */
	{ BOOT_MEMORY_RUNTIME, BOOT_MEMORY_MMIO },          /* ACPI NVS */
	{ BOOT_MEMORY_MMIO, BOOT_MEMORY_MMIO },             /* registers */
	{ BOOT_MEMORY_MMIO, BOOT_MEMORY_MMIO },             /* ports */
	{ BOOT_MEMORY_MMIO, BOOT_MEMORY_MMIO },             /* PAL code */
	{ BOOT_MEMORY_PERSISTENT, BOOT_MEMORY_PERSISTENT }, /* persistent */
};

static int descriptor_type(const struct map_descriptor *descriptor)
{
	const bool cached = (descriptor->attributes & WRITE_BACK) != 0;
	const int type = descriptor->type < MAP_TYPES ? types[descriptor->type][!cached] : BOOT_MEMORY_MMIO;
	const bool may_be_free = descriptor->type < MAP_TYPES && types[descriptor->type][0] == BOOT_MEMORY_USABLE;

	if (may_be_free && (descriptor->attributes & NON_VOLATILE))
		return BOOT_MEMORY_PERSISTENT;
	if (may_be_free && (descriptor->attributes & SPECIAL_PURPOSE))
		return BOOT_MEMORY_SPECIAL;
	if (may_be_free && (descriptor->attributes & HOT_PLUGGABLE))
		return BOOT_MEMORY_HOT_PLUG;
	return type;
}

/* What the descriptor says of a page: all of it has to be free, but any byte reserves it. */
static int descriptor_says(const struct map_descriptor *descriptor, uint64_t page)
{
	const unsigned __int128 start = descriptor->start;
	const unsigned __int128 end = start + (unsigned __int128)descriptor->pages * PAGE_BYTES;
	const unsigned __int128 first = (unsigned __int128)page * PAGE_BYTES, behind = first + PAGE_BYTES;
	const int type = descriptor_type(descriptor);

	if (type == BOOT_MEMORY_USABLE)
		return end <= UINT64_MAX && start <= first && behind <= end ? type : NO_TYPE;
	return start < end && start < behind && first < end ? type : NO_TYPE;
}

static bool range_has(const struct phys_range *range, uint64_t page)
{
	return page * PAGE_BYTES - range->start.value < range->bytes;
}

static bool range_touches(const struct phys_range *range, uint64_t page)
{
	const uint64_t first = page * PAGE_BYTES;

	return range->bytes > 0 && range->start.value < first + PAGE_BYTES && first < range->start.value + range->bytes;
}

/* Sets whether two descriptors say different things. */
static int model_type(const struct map_case *map, const struct phys_range *tables, uint64_t page, bool *overlaps)
{
	int highest = NO_TYPE;

	*overlaps = false;
	for (uint32_t i = 0; i < map->count; i++) {
		const int type = descriptor_says(&map->descriptors[i], page);

		*overlaps = *overlaps || (type != NO_TYPE && highest != NO_TYPE && type != highest);
		highest = MAX(highest, type);
	}
	if (range_has(&map->image, page) || range_has(&map->pool, page) || range_has(tables, page))
		return BOOT_MEMORY_KERNEL;
	return range_touches(&map->screen, page) ? BOOT_MEMORY_SCREEN : highest;
}

static int result_type(const struct boot_info *boot, uint64_t page)
{
	for (uint32_t i = 0; i < boot->memory_ranges; i++)
		if (range_has(&boot->memory[i].range, page))
			return (int)boot->memory[i].type;
	return NO_TYPE;
}

static void page_check(const struct map_case *map, const struct loader_map *tables, const struct boot_info *boot, uint64_t page)
{
	bool overlaps;

	if (page < map->limit / PAGE_BYTES)
		assert(result_type(boot, page) == model_type(map, &tables->ranges_memory, page, &overlaps));
}

static void pages_around_check(const struct map_case *map, const struct loader_map *tables, const struct boot_info *boot,
			       uint64_t address)
{
	for (uint64_t page = address / PAGE_BYTES, i = 0; i < 3; i++)
		page_check(map, tables, boot, page + i - 1);
}

static void all_pages_check(const struct map_case *map, const struct loader_map *tables, const struct boot_info *boot)
{
	uint64_t overlapping = 0;

	for (uint64_t page = 0; page < map->limit / PAGE_BYTES; page++) {
		bool overlaps;

		assert(result_type(boot, page) == model_type(map, &tables->ranges_memory, page, &overlaps));
		overlapping += overlaps;
	}
	assert(boot->memory_overlap_bytes == overlapping * PAGE_BYTES);
}

static void order_check(const struct map_case *map, const struct boot_info *boot)
{
	uint64_t position = 0;

	for (uint32_t i = 0; i < boot->memory_ranges; i++) {
		const struct boot_memory_range *range = &boot->memory[i];
		const uint64_t start = range->range.start.value;

		assert(range->range.bytes > 0 && is_aligned(start | range->range.bytes, PAGE_BYTES));
		assert(start >= position);
		assert(i == 0 || start > position || range->type != range[-1].type);
		position = start + range->range.bytes;
		assert(position > start);
		assert(position <= map->limit || range->type == BOOT_MEMORY_KERNEL);
	}
}

/* Free memory that the CPU does not reach. */
static uint64_t unreachable_bytes(const struct map_case *map)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < map->count; i++) {
		const struct map_descriptor *descriptor = &map->descriptors[i];
		const unsigned __int128 start = descriptor->start,
					end = start + (unsigned __int128)descriptor->pages * PAGE_BYTES;

		if (descriptor_type(descriptor) == BOOT_MEMORY_USABLE && end <= UINT64_MAX && end > map->limit)
			bytes += (uint64_t)(end - MAX(start, map->limit));
	}
	return bytes;
}

static void result_check(const struct map_case *map, const struct loader_map *tables, const struct boot_info *boot)
{
	uint32_t mended = 0;

	order_check(map, boot);
	for (uint32_t i = 0; i < map->count; i++) {
		const struct map_descriptor *descriptor = &map->descriptors[i];
		const unsigned __int128 end = descriptor->start + (unsigned __int128)descriptor->pages * PAGE_BYTES;

		pages_around_check(map, tables, boot, descriptor->start);
		pages_around_check(map, tables, boot, (uint64_t)end);
		mended += descriptor->pages == 0 || !is_aligned(descriptor->start, PAGE_BYTES) || end > UINT64_MAX;
	}
	for (uint32_t i = 0; i < boot->memory_ranges; i++) {
		pages_around_check(map, tables, boot, boot->memory[i].range.start.value);
		pages_around_check(map, tables, boot, boot->memory[i].range.start.value + boot->memory[i].range.bytes);
	}
	pages_around_check(map, tables, boot, map->limit);
	assert(boot->memory_mended == mended);
	assert(boot->memory_unreachable_bytes == unreachable_bytes(map));
	if (map->limit <= SMALL_PAGES * PAGE_BYTES)
		all_pages_check(map, tables, boot);
}

static void descriptors_write(const struct map_case *map, uint8_t *place)
{
	for (uint32_t i = 0; i < map->count; i++, place += map->stride_bytes) {
		const EFI_MEMORY_DESCRIPTOR descriptor = {
			.Type = map->descriptors[i].type,
			.PhysicalStart = map->descriptors[i].start,
			.NumberOfPages = map->descriptors[i].pages,
			.Attribute = map->descriptors[i].attributes,
		};

		memset(place, 0xff, map->stride_bytes);
		memcpy(place, &descriptor, sizeof(descriptor));
	}
}

/* Behind the last descriptor lies nearly all of another one. */
void map_check(const struct map_case *map)
{
	const uint64_t events = 2ull * (map->count + MAP_RANGES_OF_OURS);
	const size_t descriptors_bytes = (size_t)(map->count + 1) * map->stride_bytes - 1;
	struct boot_info *boot = calloc(1, sizeof(*boot));
	struct loader_map tables = {
		.descriptors = calloc(1, descriptors_bytes),
		.descriptors_bytes = descriptors_bytes,
		.descriptor_bytes = map->stride_bytes,
		.ranges = malloc(events * sizeof(*tables.ranges)),
		.events = malloc(events * sizeof(*tables.events)),
	};

	boot->image = map->image;
	boot->pool = map->pool;
	if (map->screen.bytes > 0)
		boot->framebuffer = (struct boot_framebuffer){ .base = map->screen.start,
							       .bytes = map->screen.bytes,
							       .format = BOOT_PIXEL_BGRX };
	boot->direct_limit = map->limit;
	descriptors_write(map, tables.descriptors);
	loader_map_convert(&tables, boot);
	loader_map_convert(&tables, boot); /* as the loader does, before and after it left boot services */
	result_check(map, &tables, boot);
	free(tables.descriptors);
	free(tables.ranges);
	free(tables.events);
	free(boot);
}
