// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ranges are sorted by the loader, so an address is found by halving. What is special in the
 * map is told once, because all that runs later sees usable memory only.
 */
#include "memory_map.h"

#include "runtime/base/boot_info.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

static const struct boot_info *boot_info;

static void left_alone_log(uint64_t bytes, const char *what)
{
	if (bytes > 0)
		log_info("memory: left alone: %s of %s", format_bytes((char[FORMAT_BYTES_SIZE]){ 0 }, bytes), what);
}

static void mended_log(const struct boot_info *boot)
{
	if (boot->memory_mended > 0)
		log_warn("memory: %u entries of the firmware's map are empty, not aligned or impossibly long; what they say is "
			 "used with care",
			 boot->memory_mended);
	if (boot->memory_overlap_bytes > 0)
		log_warn("memory: the firmware's map says two things of %s; the more restrictive one is believed",
			 format_bytes((char[FORMAT_BYTES_SIZE]){ 0 }, boot->memory_overlap_bytes));
}

void memory_map_init(const struct boot_info *boot)
{
	boot_info = boot;
	left_alone_log(boot_info_bytes(boot, BOOT_MEMORY_HOT_PLUG), "RAM that may be unplugged");
	left_alone_log(boot_info_bytes(boot, BOOT_MEMORY_SPECIAL), "RAM for a special purpose");
	left_alone_log(boot_info_bytes(boot, BOOT_MEMORY_PERSISTENT), "persistent memory");
	left_alone_log(boot_info_bytes(boot, BOOT_MEMORY_BROKEN), "broken RAM");
	left_alone_log(boot->memory_unreachable_bytes, "RAM beyond the CPU's addresses");
	mended_log(boot);
}

/* The first range that ends above the address. */
static uint32_t range_search(uint64_t address)
{
	uint32_t low = 0, high = boot_info->memory_ranges;

	while (low < high) {
		const uint32_t middle = low + (high - low) / 2;
		const struct phys_range *range = &boot_info->memory[middle].range;

		if (range->start.value + range->bytes > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool is_ram(enum boot_memory_type type)
{
	return type == BOOT_MEMORY_USABLE || type == BOOT_MEMORY_KERNEL || type == BOOT_MEMORY_ACPI;
}

bool memory_map_has_ram(struct phys_addr start, uint64_t bytes)
{
	for (uint32_t i = range_search(start.value); i < boot_info->memory_ranges; i++) {
		const uint64_t range_start = boot_info->memory[i].range.start.value;

		if (range_start > start.value && range_start - start.value >= bytes)
			return false;
		if (bytes > 0 && is_ram(boot_info->memory[i].type))
			return true;
	}
	return false;
}

uint32_t memory_map_ranges(const struct boot_memory_range **ranges)
{
	*ranges = boot_info->memory;
	return boot_info->memory_ranges;
}
