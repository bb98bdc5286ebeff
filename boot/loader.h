// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loader: the part of the image that runs under UEFI boot services. It collects what the kernel
 * needs to know in the image's boot_info, leaves boot services, and jumps to kernel_entry. What it
 * writes lies in the image, in the buffers of the memory map and in the pool, which it allocates.
 */
#pragma once

#include <efi.h>

#include "runtime/base/boot_info.h"

/* What is true for the whole of a loader's life. */
struct loader {
	EFI_HANDLE image_handle;
	EFI_SYSTEM_TABLE *system;
	EFI_BOOT_SERVICES *services;
	EFI_LOADED_IMAGE *image;
};

/* Text for people on the firmware's console: ASCII; "\n" ends a line. */
void loader_print(const struct loader *loader, const char *text);
void loader_print_number(const struct loader *loader, uint64_t number);

/*
 * Copies UTF-16 as ASCII, cut to fit, until NUL or `units` code units; others than ASCII become
 * '?'. Returns the length.
 */
size_t loader_copy_utf16(char *target, size_t size, const CHAR16 *source, size_t units);

/* Fills in command_line and command_line_source. */
void loader_find_command_line(const struct loader *loader, struct boot_info *boot);

/*
 * Fills in framebuffer, which lies below direct_limit. Where no screen can be used, a line on the
 * firmware's console says so. It may set a mode, which clears the screen.
 */
void loader_find_framebuffer(const struct loader *loader, struct boot_info *boot);

/*
 * Fills in wall_ns and wall_tsc, if the firmware tells a time that can be. Before boot services are
 * left.
 */
void loader_read_clock(const struct loader *loader, struct boot_info *boot);

/*
 * The memory map. prepare allocates room for it (two thirds more than it needs now).
 * exit_boot_services takes the map and leaves boot services, again if the map changed on the way;
 * when it returns EFI_SUCCESS, no service can be called any more, and when it fails, none but
 * memory services. Afterwards convert fills in memory and all memory_* of boot_info, from image,
 * pool, framebuffer and direct_limit there; it takes any descriptors, and gives each byte the most
 * restrictive type that one of them says. UEFI 2.10, section 7.2.3.
 */
struct loader_map {
	uint8_t *descriptors;
	UINTN descriptors_bytes; /* filled in the buffer */
	UINTN descriptor_bytes;  /* at least that of the structure that we know */
	UINTN capacity_bytes;
	/* Two for each descriptor, for screen, image, pool, and the memory that these lie in: */
	struct boot_memory_range *ranges;
	uint64_t *events;
	struct phys_range ranges_memory; /* the allocation that holds both, whole pages */
};

EFI_STATUS loader_map_prepare(const struct loader *loader, struct loader_map *map);
EFI_STATUS loader_map_read(const struct loader *loader, struct loader_map *map, UINTN *key);
EFI_STATUS loader_exit_boot_services(const struct loader *loader, struct loader_map *map);
void loader_map_convert(const struct loader_map *map, struct boot_info *boot);

/* Allocates the pool of boot_info, which stays the kernel's. */
EFI_STATUS loader_pool_alloc(const struct loader *loader, uint64_t bytes, struct boot_info *boot);
