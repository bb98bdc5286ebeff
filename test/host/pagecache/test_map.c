// SPDX-License-Identifier: BSD-2-Clause
/* Zero copy and direct I/O. */
#include <stdio.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"

#define PAGE(n) ((n)*PAGE_BYTES)

static struct cache_machine machine;

static void check_segments(const struct mapping *mapping, const unsigned char *expected, uint64_t bytes)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < mapping->segment_count; i++) {
		ck_assert_int_eq(memcmp(platform_virt(mapping->segments[i].start), expected + done, mapping->segments[i].bytes),
				 0);
		done += mapping->segments[i].bytes;
	}
	ck_assert_uint_eq(done, bytes);
}

static void fill_segments(const struct mapping *mapping, unsigned char byte)
{
	for (uint32_t i = 0; i < mapping->segment_count; i++)
		memset(platform_virt(mapping->segments[i].start), byte, mapping->segments[i].bytes);
}

START_TEST(a_device_sees_and_fills_any_range)
{
	struct node *node = &machine.volume.node;
	struct mapping *mapping;

	cache_machine_init(&machine, 4 * MIB, false);
	ck_assert_int_eq(node_map(node, 100, PAGE(20), MAP_READ, &mapping), STATUS_OK);
	check_segments(mapping, machine.model + 100, PAGE(20));
	/* Read in one go, into frames side by side. */
	ck_assert_uint_eq(mapping->page_count, 21);
	node_unmap(mapping);
	ck_assert_int_eq(node_map(node, PAGE(2) + 5, PAGE(3), MAP_WRITE, &mapping), STATUS_OK);
	fill_segments(mapping, 0x77);
	node_unmap(mapping);
	memset(machine.model + PAGE(2) + 5, 0x77, PAGE(3));
	cache_machine_read(&machine, 0, PAGE(8));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(what_cannot_be_mapped_is_told)
{
	struct node *node = &machine.volume.node;
	struct mapping *mapping;

	cache_machine_init(&machine, 8 * MIB, false);
	ck_assert_int_eq(node_map(node, 0, 0, MAP_READ, &mapping), STATUS_INVALID);
	ck_assert_int_eq(node_map(node, 8 * MIB - 1, 2, MAP_READ, &mapping), STATUS_RANGE);
	ck_assert_int_eq(node_map(node, UINT64_MAX, 2, MAP_READ, &mapping), STATUS_RANGE);
	ck_assert_int_eq(node_map(node, 0, MAP_BYTES_MAX + 1, MAP_READ, &mapping), STATUS_RANGE);
	machine.disk.device.read_only = true;
	ck_assert_int_eq(node_map(node, 0, 1, MAP_WRITE, &mapping), STATUS_READ_ONLY);
	ck_assert_int_eq(node_map(node, 0, 1, MAP_READ, &mapping), STATUS_OK);
	node_unmap(mapping);
	cache_machine_fini(&machine);
}
END_TEST

/* A dirty page in a mapping that fails keeps its data; one that was never read goes. */
START_TEST(a_mapping_that_fails_leaves_everything_as_it_was)
{
	struct node *node = &machine.volume.node;
	struct mapping *mapping;
	struct random random;

	cache_machine_init(&machine, MIB, false);
	random_seed(&random, 1);
	cache_machine_write(&machine, &random, PAGE(1) + 10, 20);
	machine.disk.fail_status = STATUS_IO_ERROR;
	machine.disk.fail_start = PAGE(5);
	machine.disk.fail_end = PAGE(6);
	machine.disk.fail_reads = true;
	ck_assert_int_eq(node_map(node, 0, PAGE(5) + 1, MAP_WRITE, &mapping), STATUS_IO_ERROR);
	ck_assert_int_eq(node_map(node, 0, PAGE(6), MAP_READ, &mapping), STATUS_IO_ERROR);
	machine.disk.fail_reads = false;
	cache_machine_read(&machine, 0, PAGE(8));
	cache_machine_fini(&machine);
}
END_TEST

/*
 * The node ends within a page: what a device fills must not carry what the frame held before to the
 * disk, nor change it.
 */
START_TEST(behind_the_end_of_a_node_nothing_changes)
{
	const struct extent extent = { 0, PAGE(8), 1 };
	struct mapping *mapping;
	struct node node;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	ck_assert_int_eq(node_open(&node, &machine.volume, &extent, 1, 1000), STATUS_OK);
	ck_assert_int_eq(node_map(&node, 0, 1000, MAP_WRITE, &mapping), STATUS_OK);
	fill_segments(mapping, 0x11);
	node_unmap(mapping);
	ck_assert_int_eq(node_close(&node, false), STATUS_OK);
	memset(machine.model + PAGE(8), 0x11, 1000);
	(void)volume_drop(&machine.volume);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(direct_transfers_are_coherent_with_the_cache)
{
	struct node *node = &machine.volume.node;
	const struct memory_request request = { .blocks = 1, .owner = &machine.pagecache.owner };
	struct phys_addr block;
	struct random random;

	cache_machine_init(&machine, 4 * MIB, false);
	random_seed(&random, 2);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &block), STATUS_OK);
	const struct phys_range segments[] = { { block, 3 * 512 }, { { block.value + PAGE_BYTES }, PAGE(3) } };
	cache_machine_write(&machine, &random, 1000, PAGE(2));
	ck_assert_int_eq(node_direct(node, BLOCK_READ, 512, segments, 2), STATUS_OK);
	ck_assert_int_eq(memcmp(platform_virt(block), machine.model + 512, 3 * 512), 0);
	ck_assert_int_eq(memcmp(platform_virt(segments[1].start), machine.model + 2048, PAGE(3)), 0);
	cache_machine_read(&machine, 0, PAGE(16));
	memset(platform_virt(block), 0x42, BLOCK_BYTES);
	ck_assert_int_eq(node_direct(node, BLOCK_WRITE, PAGE(2) + 512, segments, 2), STATUS_OK);
	memset(machine.model + PAGE(2) + 512, 0x42, 3 * 512 + PAGE(3));
	cache_machine_read(&machine, 0, PAGE(16));
	memory_blocks_free(&machine.memory, block);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(unaligned_direct_transfers_are_refused)
{
	const struct phys_range crooked = { { 0x1001 }, 512 }, odd = { { 0x1000 }, 100 }, fine = { { 0x1000 }, 512 };
	struct node *node = &machine.volume.node;

	cache_machine_init(&machine, MIB, false);
	ck_assert_int_eq(node_direct(node, BLOCK_READ, 0, &crooked, 1), STATUS_INVALID);
	ck_assert_int_eq(node_direct(node, BLOCK_READ, 0, &odd, 1), STATUS_INVALID);
	ck_assert_int_eq(node_direct(node, BLOCK_READ, 100, &fine, 1), STATUS_INVALID);
	ck_assert_int_eq(node_direct(node, BLOCK_FLUSH, 0, &fine, 1), STATUS_INVALID);
	ck_assert_int_eq(node_direct(node, BLOCK_READ, MIB, &fine, 1), STATUS_RANGE);
	ck_assert_int_eq(node_direct(node, BLOCK_READ, UINT64_MAX - 511, &fine, 1), STATUS_RANGE);
	machine.disk.device.read_only = true;
	ck_assert_int_eq(node_direct(node, BLOCK_WRITE, 0, &fine, 1), STATUS_READ_ONLY);
	cache_machine_fini(&machine);
}
END_TEST

/* Thread 0 writes sectors past the cache, thread 1 the bytes beside them, through it. */
static void write_beside(void *context, unsigned index)
{
	struct node *node = &machine.volume.node;
	const struct phys_range *sector = context;

	for (uint64_t i = 0; i < 300; i++) {
		uint64_t back = 0;

		if (index == 0) {
			ck_assert_int_eq(node_direct(node, BLOCK_WRITE, PAGE(1) - 512, sector, 1), STATUS_OK);
			continue;
		}
		ck_assert_int_eq(node_write(node, 64, &i, sizeof(i)), STATUS_OK);
		ck_assert_int_eq(node_read(node, 64, &back, sizeof(back)), STATUS_OK);
		ck_assert_uint_eq(back, i);
	}
}

START_TEST(threads_keep_what_they_write_beside_a_direct_write)
{
	const struct memory_request request = { .blocks = 1, .owner = &machine.pagecache.owner };
	const uint64_t last = 299;
	struct phys_addr block;

	cache_machine_init(&machine, 4 * MIB, true);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &block), STATUS_OK);
	struct phys_range sectors = { block, 1024 };

	memset(platform_virt(block), 0x42, 1024);
	host_threads_run(2, write_beside, &sectors);
	memset(machine.model + PAGE(1) - 512, 0x42, 1024);
	memcpy(machine.model + 64, &last, sizeof(last));
	memory_blocks_free(&machine.memory, block);
	cache_machine_fini(&machine);
}
END_TEST

static char text[64 * 1024];

static void expect_text(const char *what)
{
	if (!strstr(text, what))
		ck_abort_msg("\"%s\" is missing in:\n%s", what, text);
}

START_TEST(a_failed_request_names_who_has_mapped)
{
	struct mapping *mapping;
	struct owner owner;
	struct memory_request request = { .owner = &owner, .below_min = true };
	struct phys_addr run;
	char site[80];

	owner_init(&owner, "camera", false);
	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	ck_assert_int_eq(node_map(&machine.volume.node, PAGE(10), PAGE(3), MAP_READ, &mapping), STATUS_OK);
	snprintf(site, sizeof(site), "disk has 3 pages mapped at %s:%d", __FILE__, __LINE__ - 1);
	request.blocks = machine.memory.blocks.total_blocks;
	host_log_level(LOG_WARN);
	host_output_capture(text, sizeof(text));
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &run), STATUS_NO_MEMORY);
	host_output_capture(NULL, 0);
	expect_text("camera did not get 1 of 1 runs");
	expect_text("3 pinned there");
	expect_text(site);
	node_unmap(mapping);
	ck_assert(list_is_empty(&machine.volume.mappings));
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("map", a_failed_request_names_who_has_mapped, threads_keep_what_they_write_beside_a_direct_write,
	       a_device_sees_and_fills_any_range, what_cannot_be_mapped_is_told,
	       a_mapping_that_fails_leaves_everything_as_it_was, behind_the_end_of_a_node_nothing_changes,
	       direct_transfers_are_coherent_with_the_cache, unaligned_direct_transfers_are_refused)
