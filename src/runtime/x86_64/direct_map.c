// SPDX-License-Identifier: BSD-2-Clause
/*
 * What is mapped at start-up, from the sorted ranges of the memory map; paging.h says why. What is
 * not named here is not mapped, and its user maps it.
 */
#include "direct_map.h"

#include "paging.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/boot_info.h"

#include "boot_stacks.h"

static void start_up_map(uint64_t start, uint64_t end, unsigned flags)
{
	status_t status = start < end ? paging_map(start, (struct phys_addr){ start }, end - start, flags) : STATUS_OK;

	if (status != STATUS_OK)
		platform_panic("paging: cannot map 0x%llx to 0x%llx: %s", (unsigned long long)start, (unsigned long long)end,
			       status_text(status));
}

static bool is_direct(enum boot_memory_type type)
{
	return type == BOOT_MEMORY_USABLE || type == BOOT_MEMORY_KERNEL;
}

static unsigned direct_flags(enum boot_memory_type type, unsigned usable_flags)
{
	return type == BOOT_MEMORY_USABLE ? usable_flags : PAGING_WRITE;
}

/*
 * Neighbours of the same rights are mapped in one piece, for the sake of large pages; not the
 * image, nor page 0. What the firmware keeps is not mapped, so that no large page reaches into it.
 */
static void ram_map(const struct boot_info *boot, unsigned usable_flags)
{
	uint64_t image_start = boot->image.start.value, image_end = image_start + boot->image.bytes;
	const struct boot_memory_range *range = boot->memory, *ranges_end = range + boot->memory_ranges;

	while (range < ranges_end) {
		const unsigned flags = direct_flags(range->type, usable_flags);
		uint64_t start = range->range.start.value, end = start;

		for (; range < ranges_end && is_direct(range->type) && direct_flags(range->type, usable_flags) == flags &&
		       range->range.start.value == end;
		     range++)
			end += range->range.bytes;
		if (start == end) {
			range++;
			continue;
		}
		start = MAX(start, PAGE_BYTES);
		start_up_map(start, MIN(end, MAX(image_start, start)), flags);
		start_up_map(MAX(start, MIN(image_end, end)), end, flags);
	}
}

static void image_map(const struct boot_info *boot)
{
	for (uint32_t i = 0; i < boot->section_count; i++) {
		const struct boot_section *section = &boot->sections[i];
		unsigned flags = (section->writable ? PAGING_WRITE : 0) | (section->executable ? PAGING_EXECUTE : 0);
		uint64_t start = section->range.start.value;
		start_up_map(start, start + section->range.bytes, flags | PAGING_SMALL);
	}
	for (unsigned i = 0; i < BOOT_STACKS; i++)
		paging_unmap((uintptr_t)boot_stacks[i].guard, sizeof(boot_stacks[i].guard));
}

void direct_map_build(const struct boot_info *boot, unsigned usable_flags)
{
	ram_map(boot, usable_flags);
	image_map(boot);
}

void direct_map_framebuffer(const struct boot_framebuffer *framebuffer)
{
	uint64_t start = align_down(framebuffer->base.value, PAGE_BYTES);
	uint64_t end = align_up(framebuffer->base.value + framebuffer->bytes, PAGE_BYTES);

	if (framebuffer->format != BOOT_PIXEL_NONE)
		start_up_map(start, end, PAGING_WRITE | PAGING_WRITE_COMBINING);
}
