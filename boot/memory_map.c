// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading the firmware's memory map, and the way out of boot services. UEFI 2.10, section 7.4.6
 * (ExitBootServices): the map must not have changed since it was taken; after a first failure only
 * memory services may be called, which take the map again, and more room for it.
 */
#include "loader.h"

#include "runtime/base/bits.h"
#include "runtime/base/inject.h"

#include "map_lies.h"

#define EXIT_ATTEMPTS 8

/* How many more descriptors there may be when boot services are left than there are now. */
#define DESCRIPTORS_MORE 16

/* The screen, the image, the memory of the ranges, and the pool. */
#define RANGES_OF_OURS 4

static EFI_STATUS pages_alloc(const struct loader *loader, uint64_t bytes, void **memory)
{
	EFI_PHYSICAL_ADDRESS address;
	EFI_STATUS status =
		loader->services->AllocatePages(AllocateAnyPages, EfiLoaderData, divide_round_up(bytes, PAGE_BYTES), &address);

	if (status == EFI_SUCCESS)
		*memory = (void *)(uintptr_t)address;
	return status;
}

/* Each descriptor may be the start and the end of a range, and makes two events. */
static EFI_STATUS ranges_alloc(const struct loader *loader, struct loader_map *map)
{
	const uint64_t descriptors = map->capacity_bytes / sizeof(EFI_MEMORY_DESCRIPTOR) + RANGES_OF_OURS;
	const uint64_t bytes = 2 * descriptors * (sizeof(*map->ranges) + sizeof(*map->events));
	void *memory;
	EFI_STATUS status = pages_alloc(loader, bytes, &memory);

	if (status != EFI_SUCCESS)
		return status;
	map->ranges_memory = (struct phys_range){ { (uintptr_t)memory }, align_up(bytes, PAGE_BYTES) };
	map->ranges = memory;
	map->events = (uint64_t *)(map->ranges + 2 * descriptors);
	return EFI_SUCCESS;
}

EFI_STATUS loader_map_prepare(const struct loader *loader, struct loader_map *map)
{
	UINTN bytes = 0, key, descriptor_bytes;
	UINT32 version;
	EFI_STATUS status;

	status = loader->services->GetMemoryMap(&bytes, NULL, &key, &descriptor_bytes, &version);
	if (status != EFI_BUFFER_TOO_SMALL || descriptor_bytes < sizeof(EFI_MEMORY_DESCRIPTOR))
		return EFI_LOAD_ERROR;
	bytes += bytes * 2 / 3 + DESCRIPTORS_MORE * descriptor_bytes + map_lies_bytes(descriptor_bytes);
	map->capacity_bytes = align_up(bytes, PAGE_BYTES);
	status = pages_alloc(loader, map->capacity_bytes, (void **)&map->descriptors);
	return status == EFI_SUCCESS ? ranges_alloc(loader, map) : status;
}

EFI_STATUS loader_pool_alloc(const struct loader *loader, uint64_t bytes, struct boot_info *boot)
{
	void *memory;
	EFI_STATUS status = pages_alloc(loader, bytes, &memory);

	if (status == EFI_SUCCESS)
		boot->pool = (struct phys_range){ { (uintptr_t)memory }, align_up(bytes, PAGE_BYTES) };
	return status;
}

EFI_STATUS loader_map_read(const struct loader *loader, struct loader_map *map, UINTN *key)
{
	EFI_STATUS status;
	UINT32 version;

	map->descriptors_bytes = map->capacity_bytes;
	status = loader->services->GetMemoryMap(&map->descriptors_bytes, (EFI_MEMORY_DESCRIPTOR *)map->descriptors, key,
						&map->descriptor_bytes, &version);
	if (status == EFI_SUCCESS && map->descriptor_bytes < sizeof(EFI_MEMORY_DESCRIPTOR))
		status = EFI_LOAD_ERROR;
	if (status == EFI_SUCCESS)
		map_lies_add(map);
	return status;
}

EFI_STATUS loader_exit_boot_services(const struct loader *loader, struct loader_map *map)
{
	EFI_STATUS status = EFI_LOAD_ERROR;

	for (unsigned attempt = 0; attempt < EXIT_ATTEMPTS && status != EFI_SUCCESS; attempt++) {
		UINTN key;
		status = loader_map_read(loader, map, &key);
		if (status == EFI_BUFFER_TOO_SMALL) {
			status = loader_map_prepare(loader, map);
			if (status == EFI_SUCCESS)
				status = loader_map_read(loader, map, &key);
		}
		if (status != EFI_SUCCESS)
			break;
		status = loader->services->ExitBootServices(loader->image_handle, key);
	}
	return INJECTED("exit-fails") ? EFI_INVALID_PARAMETER : status;
}
