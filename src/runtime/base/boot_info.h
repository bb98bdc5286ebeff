// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the loader hands to the kernel. The loader fills it before it leaves boot services and never
 * touches it again; it lies, with all that it points to, in memory of type BOOT_MEMORY_KERNEL. From
 * the first instruction of the kernel on, the firmware's boot services are gone, interrupts are
 * off, and the CPU runs on the firmware's identity-mapped page tables and a stack in the image.
 * These tables lie in memory that counts as usable, and may forbid writing to some of it: until the
 * kernel runs on tables of its own (paging_init), it writes to memory of type KERNEL only.
 *
 * UEFI specification 2.10, sections 7.2 (memory map), 12.9 (GOP); ACPI 6.5, section 5.2.5 (RSDP).
 */
#pragma once

#include "types.h"

/*
 * From the least restrictive one to the most: where the firmware's descriptors overlap, the later
 * type here is that of the memory. What is KERNEL is certainly ours.
 */
enum boot_memory_type {
	BOOT_MEMORY_USABLE,     /* free RAM: conventional memory, and what boot services and the loader left */
	BOOT_MEMORY_ACPI,       /* RAM with ACPI tables */
	BOOT_MEMORY_RUNTIME,    /* RAM that firmware keeps (runtime services, ACPI NVS, reserved), or that is not cached */
	BOOT_MEMORY_HOT_PLUG,   /* RAM that may be pulled out */
	BOOT_MEMORY_SPECIAL,    /* RAM for a specific purpose: high-bandwidth memory, an accelerator's */
	BOOT_MEMORY_PERSISTENT, /* keeps its content without power, which may be data of another system */
	BOOT_MEMORY_BROKEN,     /* with errors */
	BOOT_MEMORY_MMIO,       /* device registers, and types that are not known */
	BOOT_MEMORY_SCREEN,     /* the framebuffer, wherever it lies */
	BOOT_MEMORY_KERNEL,     /* the image and everything that the loader allocated for it */
	BOOT_MEMORY_TYPES,
};

/*
 * Entries are sorted by address, do not overlap, are not empty, and lie below direct_limit;
 * adjacent entries of one type are merged; 4 KB granularity.
 */
struct boot_memory_range {
	struct phys_range range;
	enum boot_memory_type type;
};

enum boot_pixel_format {
	BOOT_PIXEL_NONE, /* no framebuffer */
	BOOT_PIXEL_BGRX, /* 32 bits, blue in the lowest byte */
	BOOT_PIXEL_RGBX, /* 32 bits, red in the lowest byte */
};

struct boot_framebuffer {
	struct phys_addr base;
	uint64_t bytes;
	uint32_t width_pixels;
	uint32_t height_pixels;
	uint32_t stride_pixels;
	enum boot_pixel_format format;
};

/* One section of the loaded image, page-aligned. */
struct boot_section {
	struct phys_range range;
	bool writable;
	bool executable;
};

#define BOOT_COMMAND_LINE_BYTES 1024
#define BOOT_SECTIONS           4

struct boot_info {
	const struct boot_memory_range *memory;
	uint32_t memory_ranges;
	uint32_t memory_mended;            /* descriptors that were empty, not aligned, or of an impossible length */
	uint64_t memory_overlap_bytes;     /* of which descriptors said different things */
	uint64_t memory_unreachable_bytes; /* free memory at direct_limit and above, which is left out */
	uint64_t direct_limit;             /* RAM below this can be mapped at its address; at most 2^47 */
	struct phys_range pool;            /* KERNEL memory for tables, until the firmware's page tables are out of use */
	struct boot_framebuffer framebuffer;
	struct phys_addr rsdp;                       /* 0: the firmware has none */
	struct phys_range image;                     /* the whole loaded image, headers included */
	struct boot_section sections[BOOT_SECTIONS]; /* text, read-only data, data with bss */
	uint32_t section_count;
	char command_line[BOOT_COMMAND_LINE_BYTES]; /* NUL-terminated ASCII; may be empty */
	const char *command_line_source;            /* "load options", "weir.cfg" or "none" */
	uint64_t exit_boot_services_tsc;            /* time-stamp counter right after leaving boot services */
	uint64_t wall_ns;                           /* UTC, ns since 1970, by the firmware; 0: it does not tell */
	uint64_t wall_tsc;                          /* the time-stamp counter then */
	uint64_t reset_system;                      /* where the runtime service ResetSystem is; 0: nowhere */
	uint64_t exit_status;        /* EFI_STATUS of the last ExitBootServices; not 0: the kernel must not go on */
	const char *firmware_vendor; /* ASCII, for the log */
	uint32_t firmware_revision;
};

/*
 * Where the loader jumps to: changes to the stack in the image and calls kernel_main. In
 * x86_64/entry.S.
 */
_Noreturn void kernel_entry(const struct boot_info *boot);

/* In src/main.c. */
_Noreturn void kernel_main(const struct boot_info *boot);

static inline uint64_t boot_info_bytes(const struct boot_info *boot, enum boot_memory_type type)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < boot->memory_ranges; i++)
		if (boot->memory[i].type == type)
			bytes += boot->memory[i].range.bytes;
	return bytes;
}

/* All RAM of the machine, the firmware's included, but what is left alone. */
static inline uint64_t boot_info_ram_bytes(const struct boot_info *boot)
{
	return boot_info_bytes(boot, BOOT_MEMORY_USABLE) + boot_info_bytes(boot, BOOT_MEMORY_KERNEL) +
	       boot_info_bytes(boot, BOOT_MEMORY_RUNTIME) + boot_info_bytes(boot, BOOT_MEMORY_ACPI);
}
