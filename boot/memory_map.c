// SPDX-License-Identifier: BSD-2-Clause
/*
 * The firmware's memory map and the way out of boot services. UEFI 2.10, sections 7.2 (types and
 * attributes) and 7.4 (ExitBootServices: the map must not have changed since it was taken; after a
 * first failure only the map may be taken again).
 */
#include "loader.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define EXIT_ATTEMPTS 8

/* Newer than gnu-efi's headers. */
#define MEMORY_PERSISTENT       14
#define MEMORY_SPECIFIC_PURPOSE 0x40000ull

static EFI_STATUS pages_alloc(const struct loader *loader, uint64_t bytes, void **memory)
{
	EFI_PHYSICAL_ADDRESS address;
	EFI_STATUS status =
		loader->services->AllocatePages(AllocateAnyPages, EfiLoaderData, divide_round_up(bytes, PAGE_BYTES), &address);

	if (status == EFI_SUCCESS)
		*memory = (void *)(uintptr_t)address;
	return status;
}

EFI_STATUS loader_map_prepare(const struct loader *loader, struct loader_map *map)
{
	UINTN bytes = 0, key, descriptor_bytes;
	UINT32 version;
	EFI_STATUS status;

	status = loader->services->GetMemoryMap(&bytes, NULL, &key, &descriptor_bytes, &version);
	if (status != EFI_BUFFER_TOO_SMALL)
		return EFI_LOAD_ERROR;
	map->capacity_bytes = align_up(bytes + bytes * 2 / 3 + 16 * descriptor_bytes, PAGE_BYTES);
	status = pages_alloc(loader, map->capacity_bytes, (void **)&map->descriptors);
	if (status != EFI_SUCCESS)
		return status;
	/*
	 * The image and the ranges' own memory are cut out of others, which makes at most two more
	 * of each.
	 */
	map->ranges_max = (uint32_t)(map->capacity_bytes / descriptor_bytes) + 4;
	map->ranges_memory.bytes = align_up(map->ranges_max * sizeof(*map->ranges), PAGE_BYTES);
	status = pages_alloc(loader, map->ranges_memory.bytes, (void **)&map->ranges);
	map->ranges_memory.start.value = (uintptr_t)map->ranges;
	return status;
}

EFI_STATUS loader_map_read(const struct loader *loader, struct loader_map *map, UINTN *key)
{
	UINT32 version;

	map->descriptors_bytes = map->capacity_bytes;
	return loader->services->GetMemoryMap(&map->descriptors_bytes, (EFI_MEMORY_DESCRIPTOR *)map->descriptors, key,
					      &map->descriptor_bytes, &version);
}

EFI_STATUS loader_exit_boot_services(const struct loader *loader, struct loader_map *map)
{
	EFI_STATUS status = EFI_LOAD_ERROR;

	for (unsigned attempt = 0; attempt < EXIT_ATTEMPTS && status != EFI_SUCCESS; attempt++) {
		UINTN key;
		status = loader_map_read(loader, map, &key);
		if (status != EFI_SUCCESS)
			break;
		status = loader->services->ExitBootServices(loader->image_handle, key);
	}
	return status;
}

static enum boot_memory_type type_of(const EFI_MEMORY_DESCRIPTOR *descriptor)
{
	bool cached = (descriptor->Attribute & EFI_MEMORY_WB) != 0;

	switch (descriptor->Type) {
	case EfiLoaderCode:
	case EfiLoaderData:
	case EfiBootServicesCode:
	case EfiBootServicesData:
	case EfiConventionalMemory:
		if (descriptor->Attribute & MEMORY_SPECIFIC_PURPOSE)
			return BOOT_MEMORY_PERSISTENT;
		return cached ? BOOT_MEMORY_USABLE : BOOT_MEMORY_RUNTIME;
	case EfiRuntimeServicesCode:
	case EfiRuntimeServicesData:
	case EfiACPIMemoryNVS:
	case EfiReservedMemoryType:
		/* Firmware also reports device registers and its flash with these types. */
		return cached ? BOOT_MEMORY_RUNTIME : BOOT_MEMORY_MMIO;
	case EfiACPIReclaimMemory:
		return BOOT_MEMORY_ACPI;
	case MEMORY_PERSISTENT:
	case EfiUnusableMemory:
		return BOOT_MEMORY_PERSISTENT;
	default:
		return BOOT_MEMORY_MMIO;
	}
}

static void ranges_insert(struct boot_memory_range *ranges, uint32_t count, struct boot_memory_range range)
{
	while (count > 0 && ranges[count - 1].range.start.value > range.range.start.value) {
		ranges[count] = ranges[count - 1];
		count--;
	}
	ranges[count] = range;
}

/*
 * Gives `cut` a type of its own in the sorted ranges; it lies within one of them or spans several.
 */
static uint32_t ranges_cut(struct boot_memory_range *ranges, uint32_t count, struct phys_range cut, enum boot_memory_type type)
{
	uint64_t start = cut.start.value, end = start + cut.bytes;
	uint32_t original = count;

	for (uint32_t i = 0; i < original; i++) {
		struct boot_memory_range *range = &ranges[i];
		uint64_t range_start = range->range.start.value, range_end = range_start + range->range.bytes;
		if (range_end <= start || range_start >= end)
			continue;
		range->range.bytes = range_start < start ? start - range_start : 0;
		if (range_end > end)
			ranges[count++] = (struct boot_memory_range){ { { end }, range_end - end }, range->type };
	}
	ranges[count++] = (struct boot_memory_range){ cut, type };
	for (uint32_t i = original; i < count; i++)
		ranges_insert(ranges, i, ranges[i]);
	return count;
}

static uint32_t ranges_merge(struct boot_memory_range *ranges, uint32_t count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct boot_memory_range *last = kept > 0 ? &ranges[kept - 1] : NULL;
		if (ranges[i].range.bytes == 0)
			continue;
		if (last && last->type == ranges[i].type &&
		    last->range.start.value + last->range.bytes == ranges[i].range.start.value)
			last->range.bytes += ranges[i].range.bytes;
		else
			ranges[kept++] = ranges[i];
	}
	return kept;
}

void loader_map_convert(const struct loader_map *map, struct boot_info *boot)
{
	uint32_t count = 0;

	for (UINTN offset = 0; offset < map->descriptors_bytes; offset += map->descriptor_bytes) {
		const EFI_MEMORY_DESCRIPTOR *descriptor = (const EFI_MEMORY_DESCRIPTOR *)(map->descriptors + offset);
		struct phys_range range = { { descriptor->PhysicalStart }, descriptor->NumberOfPages * PAGE_BYTES };
		ranges_insert(map->ranges, count++, (struct boot_memory_range){ range, type_of(descriptor) });
	}
	count = ranges_cut(map->ranges, count, boot->image, BOOT_MEMORY_KERNEL);
	count = ranges_cut(map->ranges, count, map->ranges_memory, BOOT_MEMORY_KERNEL);
	boot->memory_ranges = ranges_merge(map->ranges, count);
	boot->memory = map->ranges;
}
