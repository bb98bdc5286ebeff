// SPDX-License-Identifier: BSD-2-Clause
/* The page tables that the machine runs on. */
#include "image_test.h"

#include "runtime/base/boot_info.h"
#include "runtime/base/heap.h"
#include "runtime/kernel/boot_heap.h"
#include "runtime/kernel/memory_map.h"
#include "runtime/x86_64/boot_stacks.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/paging.h"

/* Beyond what address_space.h gives out. */
#define TEST_ADDRESS (112ull << 40)

static const char constant[] = "read-only";
static char variable[] = "writable";

static unsigned flags_at(const void *memory)
{
	unsigned flags = ~0u;

	return paging_translate((uintptr_t)memory, NULL, &flags) ? flags : ~0u;
}

IMAGE_TEST(paging_gives_the_image_its_rights)
{
	expect_equal(flags_at((const void *)(uintptr_t)paging_translate), PAGING_EXECUTE);
	expect_equal(flags_at(constant), 0);
	expect_equal(flags_at(variable), PAGING_WRITE);
	expect_equal(flags_at(__builtin_frame_address(0)), PAGING_WRITE);
	expect(cr0_read() & CR0_WRITE_PROTECT);
	expect(msr_read(MSR_EFER) & EFER_NO_EXECUTE);
}

IMAGE_TEST(paging_leaves_traps_unmapped)
{
	expect(!paging_translate(0, NULL, NULL));
	expect(!paging_translate(PAGE_BYTES - 1, NULL, NULL));
	for (unsigned i = 0; i < BOOT_STACKS; i++) {
		expect(!paging_translate((uintptr_t)boot_stacks[i].guard, NULL, NULL));
		expect(boot_stack_guard_owner((uintptr_t)boot_stacks[i].guard) != NULL);
		expect_equal(flags_at(boot_stacks[i].memory), PAGING_WRITE);
	}
}

IMAGE_TEST(paging_maps_ram_at_its_address)
{
	char *memory = heap_alloc(boot_heap(), PAGE_BYTES, 0);
	struct phys_addr physical = { 0 };
	unsigned flags = 0;

	require(memory);
	expect(paging_translate((uintptr_t)memory + 123, &physical, &flags));
	expect_equal(physical.value, (uintptr_t)memory + 123);
	expect_equal(flags, PAGING_WRITE);
	heap_free(boot_heap(), memory);
}

static bool is_writable_and_cached(uint64_t address)
{
	unsigned flags;

	return paging_translate(address, NULL, &flags) && (flags & PAGING_WRITE) &&
	       !(flags & (PAGING_UNCACHED | PAGING_WRITE_COMBINING));
}

/* All pages of small ranges, and both ends of large ones: a large page would reach over an end. */
IMAGE_TEST(paging_keeps_off_the_firmwares_memory)
{
	const struct boot_memory_range *ranges;
	const uint32_t count = memory_map_ranges(&ranges);
	uint64_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t start = ranges[i].range.start.value, bytes = ranges[i].range.bytes;

		if (ranges[i].type == BOOT_MEMORY_USABLE || ranges[i].type == BOOT_MEMORY_KERNEL)
			continue;
		kept++;
		for (uint64_t offset = 0; offset < MIN(bytes, 2 * BLOCK_BYTES); offset += PAGE_BYTES) {
			expect(!is_writable_and_cached(start + offset));
			expect(!is_writable_and_cached(start + bytes - PAGE_BYTES - offset));
		}
	}
	expect(kept > 0);
}

IMAGE_TEST(paging_maps_and_unmaps)
{
	const struct phys_addr odd = { 7 * GIB + 5 * PAGE_BYTES }, even = { 8 * GIB };
	struct phys_addr physical = { 0 };

	/* Not aligned alike, so single pages; and aligned, with pages as large as the CPU has. */
	expect_equal(paging_map(TEST_ADDRESS, odd, BLOCK_BYTES, PAGING_WRITE), STATUS_OK);
	expect_equal(paging_map(TEST_ADDRESS + GIB, even, GIB + BLOCK_BYTES + PAGE_BYTES, PAGING_UNCACHED), STATUS_OK);
	expect(paging_translate(TEST_ADDRESS + BLOCK_BYTES - 1, &physical, NULL));
	expect_equal(physical.value, odd.value + BLOCK_BYTES - 1);
	expect(!paging_translate(TEST_ADDRESS + BLOCK_BYTES, NULL, NULL));
	expect(paging_translate(TEST_ADDRESS + 2 * GIB + BLOCK_BYTES + 5, &physical, NULL));
	expect_equal(physical.value, even.value + GIB + BLOCK_BYTES + 5);
	expect_equal(flags_at((const void *)(TEST_ADDRESS + GIB)), PAGING_UNCACHED);

	paging_unmap(TEST_ADDRESS, 2 * GIB + BLOCK_BYTES + PAGE_BYTES);
	for (uint64_t offset = 0; offset < 3 * GIB; offset += BLOCK_BYTES)
		expect(!paging_translate(TEST_ADDRESS + offset, NULL, NULL));
}

IMAGE_TEST(paging_refuses_what_is_mapped)
{
	const struct phys_addr physical = { 8 * GIB };

	expect_equal(paging_map(TEST_ADDRESS + 3 * PAGE_BYTES, physical, PAGE_BYTES, 0), STATUS_OK);
	expect_equal(paging_map(TEST_ADDRESS, physical, 8 * PAGE_BYTES, 0), STATUS_BUSY);
	expect(!paging_translate(TEST_ADDRESS, NULL, NULL)); /* nothing of it remains */
	expect(paging_translate(TEST_ADDRESS + 3 * PAGE_BYTES, NULL, NULL));
	paging_unmap(TEST_ADDRESS, 8 * PAGE_BYTES);
}
