// SPDX-License-Identifier: BSD-2-Clause
/* The heap of the start-up, over a piece of the host's memory that plays the machine's RAM. */
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/base/bits.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/random.h"
#include "runtime/kernel/boot_heap.h"

#define REGION_BLOCKS 16
#define ALLOCATIONS   200
#define POOL_BYTES    (4 * PAGE_BYTES)

static uint8_t *region; /* begins at a block's boundary */
static unsigned parent_allocs;

static void *parent_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	(void)heap;
	parent_allocs++;
	return aligned_alloc(alignment, align_up(bytes, alignment));
}

static void parent_free(struct heap *heap, void *memory)
{
	(void)heap;
	free(memory);
}

static uint64_t at(uint64_t offset)
{
	return (uintptr_t)region + offset;
}

/*
 * Low memory; a range that begins and ends within blocks and holds 3 whole ones; one of 4 whole
 * blocks; two within one block.
 */
static uint64_t machine_start(void)
{
	static struct boot_memory_range ranges[6];
	static struct boot_info boot = { .memory = ranges };
	static uint8_t pool[POOL_BYTES] __attribute__((aligned(4096)));

	region = aligned_alloc(BLOCK_BYTES, REGION_BLOCKS * BLOCK_BYTES);
	ranges[0] = (struct boot_memory_range){ { { 0 }, 0x9f000 }, BOOT_MEMORY_USABLE };
	ranges[1] = (struct boot_memory_range){ { { at(0x5000) }, 4 * BLOCK_BYTES }, BOOT_MEMORY_USABLE };
	ranges[2] = (struct boot_memory_range){ { { at(5 * BLOCK_BYTES) }, BLOCK_BYTES }, BOOT_MEMORY_RUNTIME };
	ranges[3] = (struct boot_memory_range){ { { at(6 * BLOCK_BYTES) }, 4 * BLOCK_BYTES }, BOOT_MEMORY_USABLE };
	ranges[4] = (struct boot_memory_range){ { { at(12 * BLOCK_BYTES) }, 0x80000 }, BOOT_MEMORY_USABLE };
	ranges[5] = (struct boot_memory_range){ { { at(12 * BLOCK_BYTES) + 0x100000 }, 0x80000 }, BOOT_MEMORY_USABLE };
	boot.memory_ranges = 6;
	/* No more than the heap's own tables. */
	boot.pool = (struct phys_range){ { (uintptr_t)pool }, POOL_BYTES };
	boot_heap_init(&boot);
	boot_heap_add_usable(&boot);
	return 8 * BLOCK_BYTES + 0x100000;
}

START_TEST(all_memory_is_there)
{
	const uint64_t bytes = machine_start();
	struct boot_heap_report report;

	boot_heap_report(&report);
	ck_assert_uint_eq(report.total_bytes, bytes + 0x9f000);
	ck_assert_uint_eq(report.free_bytes, bytes);
	ck_assert_uint_eq(boot_heap_take_blocks(NULL, 0), 2);
}
END_TEST

START_TEST(fragments_serve_before_blocks_break)
{
	void *small, *large;

	machine_start();
	small = heap_alloc(boot_heap(), 100, 16);
	ck_assert(is_aligned((uintptr_t)small, PAGE_BYTES));
	ck_assert_uint_eq(boot_heap_take_blocks(NULL, 0), 2);
	large = heap_alloc(boot_heap(), BLOCK_BYTES, BLOCK_BYTES);
	ck_assert(is_aligned((uintptr_t)large, BLOCK_BYTES));
	ck_assert((uint8_t *)large >= region + BLOCK_BYTES);
	ck_assert((uint8_t *)large < region + 4 * BLOCK_BYTES); /* out of the shorter run */
	heap_free(boot_heap(), large);
	heap_free(boot_heap(), small);
	heap_free(boot_heap(), NULL);
}
END_TEST

START_TEST(no_page_is_given_twice)
{
	struct {
		uint8_t *memory;
		size_t bytes;
	} allocations[ALLOCATIONS] = { 0 };
	struct boot_heap_report before, after;
	struct random random;

	machine_start();
	random_seed(&random, 1);
	boot_heap_report(&before);
	for (unsigned round = 0; round < 20 * ALLOCATIONS; round++) {
		const unsigned i = (unsigned)random_below(&random, ALLOCATIONS);

		for (size_t j = 0; allocations[i].memory && j < allocations[i].bytes; j += PAGE_BYTES / 2)
			ck_assert_uint_eq(allocations[i].memory[j], (uint8_t)i);
		if (allocations[i].memory) {
			heap_free(boot_heap(), allocations[i].memory);
			allocations[i].memory = NULL;
			continue;
		}
		allocations[i].bytes = 1 + random_below(&random, 40 * PAGE_BYTES);
		allocations[i].memory = heap_alloc(boot_heap(), allocations[i].bytes, 1ull << random_below(&random, 16));
		if (allocations[i].memory)
			memset(allocations[i].memory, (int)i, allocations[i].bytes);
	}
	for (unsigned i = 0; i < ALLOCATIONS; i++)
		heap_free(boot_heap(), allocations[i].memory);
	boot_heap_report(&after);
	ck_assert_uint_eq(after.allocated_bytes, 0);
	ck_assert_uint_eq(after.free_bytes, before.free_bytes);
}
END_TEST

START_TEST(blocks_are_handed_over_longest_first)
{
	struct phys_range ranges[4] = { 0 };

	machine_start();
	ck_assert_uint_eq(boot_heap_take_blocks(ranges, 1), 1);
	ck_assert_uint_eq(ranges[0].start.value, at(6 * BLOCK_BYTES));
	ck_assert_uint_eq(ranges[0].bytes, 4 * BLOCK_BYTES);
	ck_assert_uint_eq(boot_heap_take_blocks(ranges, 4), 1);
	ck_assert_uint_eq(ranges[0].start.value, at(BLOCK_BYTES));
	ck_assert_uint_eq(ranges[0].bytes, 3 * BLOCK_BYTES);
	ck_assert_uint_eq(boot_heap_take_blocks(ranges, 4), 0);
}
END_TEST

START_TEST(broken_blocks_become_whole_again)
{
	struct phys_range ranges[4] = { 0 };
	struct boot_heap_report report;
	void *large;
	size_t runs;

	machine_start();
	large = heap_alloc(boot_heap(), BLOCK_BYTES, 0);
	heap_free(boot_heap(), large);
	large = heap_alloc(boot_heap(), 2 * BLOCK_BYTES + 1, 0); /* more than a block: whole ones */
	ck_assert_ptr_nonnull(large);
	heap_free(boot_heap(), large);
	runs = boot_heap_take_blocks(ranges, 4);
	boot_heap_report(&report);
	ck_assert_uint_eq(report.handed_bytes, 7 * BLOCK_BYTES);
	for (size_t i = 1; i < runs; i++)
		ck_assert_uint_gt(ranges[i].start.value, ranges[i - 1].start.value);
}
END_TEST

START_TEST(parent_serves_what_fragments_cannot)
{
	static struct heap parent = { .name = "parent", .alloc = parent_alloc, .free = parent_free };
	struct phys_range ranges[4];
	void *memory;

	machine_start();
	boot_heap_take_blocks(ranges, 4);
	ck_assert_ptr_null(heap_alloc(boot_heap(), BLOCK_BYTES, 0));
	boot_heap_set_parent(&parent);
	memory = heap_alloc(boot_heap(), PAGE_BYTES, 0);
	ck_assert_uint_eq(parent_allocs, 0);
	heap_free(boot_heap(), memory);
	memory = heap_alloc(boot_heap(), BLOCK_BYTES, 0);
	ck_assert_uint_eq(parent_allocs, 1);
	heap_free(boot_heap(), memory);
}
END_TEST

START_TEST(low_pages_are_given_on_request_only)
{
	unsigned count = 1;
	void *first, *page;

	machine_start();
	first = boot_heap_take_low_page();
	ck_assert_ptr_eq(first, (void *)PAGE_BYTES); /* not page 0 */
	while ((page = boot_heap_take_low_page())) {
		ck_assert_uint_lt((uintptr_t)page, 0x9f000);
		count++;
	}
	ck_assert_uint_eq(count, 0x9f - 1);
	heap_free(boot_heap(), first);
	ck_assert_ptr_eq(boot_heap_take_low_page(), first);
}
END_TEST

/* Before usable memory is added, nothing touches it: the firmware's page tables may be there. */
START_TEST(pool_alone_serves_the_first_tables)
{
	static struct boot_memory_range range = { .type = BOOT_MEMORY_USABLE };
	static struct boot_info boot = { .memory = &range, .memory_ranges = 1 };
	char *memory = mmap(NULL, REGION_BLOCKS * BLOCK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct boot_heap_report report;
	uint64_t tables;

	range.range = (struct phys_range){ { (uintptr_t)memory }, REGION_BLOCKS * BLOCK_BYTES };
	boot.pool.bytes = boot_heap_pool_bytes(&boot);
	boot.pool.start.value = (uintptr_t)aligned_alloc(PAGE_BYTES, boot.pool.bytes);
	boot_heap_init(&boot);
	boot_heap_report(&report);
	tables = report.free_bytes / PAGE_BYTES;
	ck_assert_uint_ge(tables, 64);
	for (uint64_t i = 0; i < tables; i++) {
		const uint64_t table = (uintptr_t)heap_alloc_zeroed(boot_heap(), PAGE_BYTES, PAGE_BYTES);

		ck_assert_uint_lt(table - boot.pool.start.value, boot.pool.bytes);
	}
	ck_assert_ptr_null(heap_alloc(boot_heap(), PAGE_BYTES, 0));
	boot_heap_add_usable(&boot);
	boot_heap_report(&report);
	ck_assert_uint_eq(report.free_bytes, REGION_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_eq(boot_heap_take_blocks(NULL, 0), 1);
}
END_TEST

/* A terabyte of RAM, hundreds of ranges, and windows of devices that need no tables. */
START_TEST(pool_follows_the_memory)
{
	static struct boot_memory_range ranges[400];
	static struct boot_info boot = { .memory = ranges };
	uint64_t few, many;

	ranges[0] = (struct boot_memory_range){ { { 0 }, 3 * GIB }, BOOT_MEMORY_USABLE };
	ranges[1] = (struct boot_memory_range){ { { 3 * GIB }, 64 * 1024 * GIB }, BOOT_MEMORY_MMIO };
	boot.memory_ranges = 2;
	few = boot_heap_pool_bytes(&boot);
	ck_assert_uint_le(few, 4 * MIB);
	ranges[1].type = BOOT_MEMORY_USABLE;
	ck_assert_uint_ge(boot_heap_pool_bytes(&boot), 64 * 1024 * PAGE_BYTES);
	for (uint32_t i = 0; i < 400; i++)
		ranges[i] = (struct boot_memory_range){ { { i * GIB }, 3 * PAGE_BYTES }, BOOT_MEMORY_USABLE };
	boot.memory_ranges = 400;
	many = boot_heap_pool_bytes(&boot);
	ck_assert_uint_ge(many, few + 400 * 3 * PAGE_BYTES);
	boot.memory_ranges = 0;
	few = boot_heap_pool_bytes(&boot);
	/* Two pages across an end of 512 GB: on each side a table of three levels. */
	for (uint64_t i = 0; i < 255; i++)
		ranges[i] = (struct boot_memory_range){ { { (i + 1) * 512 * GIB - PAGE_BYTES }, 2 * PAGE_BYTES },
							i % 2 ? BOOT_MEMORY_USABLE : BOOT_MEMORY_KERNEL };
	boot.memory_ranges = 255;
	ck_assert_uint_ge(boot_heap_pool_bytes(&boot), few + 255 * 6 * PAGE_BYTES);
	/* The image has pages of 4 KB. */
	few = boot_heap_pool_bytes(&boot);
	boot.image.bytes = 10 * BLOCK_BYTES;
	ck_assert_uint_ge(boot_heap_pool_bytes(&boot), few + 10 * PAGE_BYTES);
}
END_TEST

HOST_TEST_MAIN("boot heap", pool_alone_serves_the_first_tables, pool_follows_the_memory, all_memory_is_there,
	       fragments_serve_before_blocks_break, no_page_is_given_twice, blocks_are_handed_over_longest_first,
	       broken_blocks_become_whole_again, parent_serves_what_fragments_cannot, low_pages_are_given_on_request_only)
