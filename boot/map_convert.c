// SPDX-License-Identifier: BSD-2-Clause
/*
 * From the firmware's descriptors to sorted ranges that do not overlap, whatever the firmware says.
 * A descriptor becomes two events, its start and its end: one number each, the address with the
 * type in the bits below a page. The events are sorted and walked once, with a count of open
 * descriptors of each type: memory between two events is of the highest type that is open.
 */
#include "loader.h"

#include "runtime/base/bits.h"
#include "runtime/base/sort.h"
#include "runtime/base/string.h"

/* Newer than gnu-efi's headers. */
#define MEMORY_TYPE_PERSISTENT 14
#define MEMORY_NON_VOLATILE    0x8000ull
#define MEMORY_SPECIAL_PURPOSE 0x40000ull
#define MEMORY_HOT_PLUGGABLE   0x100000ull

#define EVENT_OPENS 1u /* else it closes */
#define EVENT_TYPE  1u /* its lowest bit */

_Static_assert(BOOT_MEMORY_TYPES << EVENT_TYPE <= PAGE_BYTES, "a type does not fit below a page");

struct conversion {
	const struct loader_map *map;
	struct boot_info *boot;
	uint64_t events;
};

static enum boot_memory_type free_memory_type(uint64_t attributes)
{
	if (attributes & MEMORY_NON_VOLATILE)
		return BOOT_MEMORY_PERSISTENT;
	if (attributes & MEMORY_SPECIAL_PURPOSE)
		return BOOT_MEMORY_SPECIAL;
	if (attributes & MEMORY_HOT_PLUGGABLE)
		return BOOT_MEMORY_HOT_PLUG;
	return attributes & EFI_MEMORY_WB ? BOOT_MEMORY_USABLE : BOOT_MEMORY_RUNTIME;
}

static enum boot_memory_type type_of(const EFI_MEMORY_DESCRIPTOR *descriptor)
{
	switch (descriptor->Type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiConventionalMemory:
		return free_memory_type(descriptor->Attribute);
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
	case EfiACPIMemoryNVS:
	case EfiReservedMemoryType:
		/* Firmware also reports device registers and its flash with these types. */
		return descriptor->Attribute & EFI_MEMORY_WB ? BOOT_MEMORY_RUNTIME : BOOT_MEMORY_MMIO;
	case EfiACPIReclaimMemory:
		return BOOT_MEMORY_ACPI;
	case MEMORY_TYPE_PERSISTENT:
		return BOOT_MEMORY_PERSISTENT;
	case EfiUnusableMemory:
		return BOOT_MEMORY_BROKEN;
	default:
		return BOOT_MEMORY_MMIO;
	}
}

/* [start, end) in whole pages below the limit. */
static void range_add(struct conversion *conversion, uint64_t start, uint64_t end, enum boot_memory_type type)
{
	const uint64_t type_bits = (uint64_t)type << EVENT_TYPE;

	if (start >= end)
		return;
	conversion->map->events[conversion->events++] = start | type_bits | EVENT_OPENS;
	conversion->map->events[conversion->events++] = end | type_bits;
}

/*
 * Doubt counts against free memory. Of a page that is free only in part nothing is, but all of it
 * is reserved if a part is; and a length that does not fit into 64 bits frees nothing, but reserves
 * all that follows.
 */
static void descriptor_add(struct conversion *conversion, const EFI_MEMORY_DESCRIPTOR *descriptor)
{
	const enum boot_memory_type type = type_of(descriptor);
	const bool is_free = type == BOOT_MEMORY_USABLE;
	const uint64_t limit = conversion->boot->direct_limit, start = descriptor->PhysicalStart;
	const bool is_long = descriptor->NumberOfPages > (UINT64_MAX - start) / PAGE_BYTES;
	const uint64_t end = is_long ? UINT64_MAX : start + descriptor->NumberOfPages * PAGE_BYTES;

	if (is_long || descriptor->NumberOfPages == 0 || !is_aligned(start, PAGE_BYTES))
		conversion->boot->memory_mended++;
	if (descriptor->NumberOfPages == 0 || (is_long && is_free))
		return;
	if (is_free && end > limit)
		conversion->boot->memory_unreachable_bytes += end - MAX(start, limit);
	if (start >= limit)
		return;
	if (is_free)
		range_add(conversion, align_up(start, PAGE_BYTES), align_down(MIN(end, limit), PAGE_BYTES), type);
	else
		range_add(conversion, align_down(start, PAGE_BYTES), end >= limit ? limit : align_up(end, PAGE_BYTES), type);
}

static void kernel_add(struct conversion *conversion, struct phys_range range)
{
	range_add(conversion, range.start.value, range.start.value + range.bytes, BOOT_MEMORY_KERNEL);
}

/*
 * Some firmware draws into memory that it calls free. It may lie in memory of any type, so that is
 * no contradiction.
 */
static void screen_add(struct conversion *conversion, const struct boot_framebuffer *screen)
{
	const uint64_t limit = conversion->boot->direct_limit, start = screen->base.value;

	if (screen->format == BOOT_PIXEL_NONE || start >= limit)
		return;
	range_add(conversion, align_down(start, PAGE_BYTES), align_up(start + MIN(screen->bytes, limit - start), PAGE_BYTES),
		  BOOT_MEMORY_SCREEN);
}

/* Ranges that touch and are of one type become one. */
static void range_emit(struct conversion *conversion, uint64_t start, uint64_t end, enum boot_memory_type type)
{
	const uint32_t count = conversion->boot->memory_ranges;
	struct boot_memory_range *const next = conversion->map->ranges + count;

	if (count > 0 && next[-1].type == type && next[-1].range.start.value + next[-1].range.bytes == start) {
		next[-1].range.bytes += end - start;
		return;
	}
	*next = (struct boot_memory_range){ { { start }, end - start }, type };
	conversion->boot->memory_ranges = count + 1;
}

/* What the open descriptors say of the memory up to the next event. */
static void open_emit(struct conversion *conversion, const uint32_t *open, uint64_t start, uint64_t end)
{
	uint32_t types = 0;
	int highest = -1;

	for (int type = 0; type < BOOT_MEMORY_TYPES; type++) {
		if (open[type] == 0)
			continue;
		highest = type;
		types += type < BOOT_MEMORY_SCREEN;
	}
	if (highest >= 0 && start < end)
		range_emit(conversion, start, end, (enum boot_memory_type)highest);
	if (types > 1)
		conversion->boot->memory_overlap_bytes += end - start;
}

static void events_walk(struct conversion *conversion)
{
	const uint64_t *events = conversion->map->events;
	uint32_t open[BOOT_MEMORY_TYPES] = { 0 };
	uint64_t position = 0;

	for (uint64_t i = 0; i < conversion->events; i++) {
		const uint64_t address = align_down(events[i], PAGE_BYTES);

		open_emit(conversion, open, position, address);
		position = address;
		open[events[i] % PAGE_BYTES >> EVENT_TYPE] += events[i] & EVENT_OPENS ? 1 : UINT32_MAX;
	}
}

void loader_map_convert(const struct loader_map *map, struct boot_info *boot)
{
	struct conversion conversion = { .map = map, .boot = boot };
	EFI_MEMORY_DESCRIPTOR descriptor;

	boot->memory = map->ranges;
	boot->memory_ranges = boot->memory_mended = 0;
	boot->memory_unreachable_bytes = boot->memory_overlap_bytes = 0;
	for (uint64_t left = map->descriptors_bytes; left >= map->descriptor_bytes; left -= map->descriptor_bytes) {
		memcpy(&descriptor, map->descriptors + map->descriptors_bytes - left, sizeof(descriptor));
		descriptor_add(&conversion, &descriptor);
	}
	screen_add(&conversion, &boot->framebuffer);
	kernel_add(&conversion, boot->image);
	kernel_add(&conversion, map->ranges_memory);
	kernel_add(&conversion, boot->pool);
	sort_numbers(map->events, conversion.events);
	events_walk(&conversion);
}
