// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page cache over a fake device and a small memory, against a flat copy of what the volume
 * should hold.
 */
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"

START_TEST(reads_what_the_disk_holds)
{
	struct cache_machine machine;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 1);
	cache_machine_read(&machine, 4095, 2);
	cache_machine_read(&machine, 12345, 3 * MIB);
	cache_machine_read(&machine, DISK_BYTES - 5, 5);
	cache_machine_read(&machine, DISK_BYTES, 0);
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += MIB)
		cache_machine_read(&machine, offset, MIB);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(random_operations_match_the_model)
{
	static const uint64_t sizes[] = { 1, 100, 4096, 5000, 65536, 700000 };
	struct cache_machine machine;
	struct random random;

	cache_machine_init(&machine, DISK_BYTES - 1536, true);
	random_seed(&random, 7);
	for (unsigned i = 0; i < 3000; i++) {
		const uint64_t bytes = 1 + random_below(&random, sizes[random_below(&random, ARRAY_LENGTH(sizes))]);
		const uint64_t offset = random_below(&random, DISK_BYTES - 1536 - bytes);

		switch (random_below(&random, 16)) {
		case 0:
			memory_drain(&machine.memory, BLOCK_BYTES * (1 + random_below(&random, 8)), random_below(&random, 2));
			break;
		case 1:
			if (i % 8 == 0)
				ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
			break;
		case 2 ... 7:
			cache_machine_write(&machine, &random, offset, bytes);
			break;
		default:
			cache_machine_read(&machine, offset, bytes);
		}
		if (i % 1000 == 0)
			ck_assert(memory_is_valid(&machine.memory));
	}
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.data, machine.model, DISK_BYTES - 1536), 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(ranges_are_checked)
{
	struct cache_machine machine;
	char byte = 0;

	cache_machine_init(&machine, DISK_BYTES, false);
	ck_assert_int_eq(node_read(&machine.volume.node, DISK_BYTES, &byte, 1), STATUS_RANGE);
	ck_assert_int_eq(node_read(&machine.volume.node, UINT64_MAX, &byte, 1), STATUS_RANGE);
	ck_assert_int_eq(node_write(&machine.volume.node, DISK_BYTES - 1, &byte, SIZE_MAX), STATUS_RANGE);
	machine.disk.device.read_only = true;
	ck_assert_int_eq(node_write(&machine.volume.node, 0, &byte, 1), STATUS_READ_ONLY);
	machine.disk.device.read_only = false;
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_drain_loses_what_it_gains)
{
	struct pagecache_statistics before, after;
	struct cache_machine machine;
	uint64_t gained;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	pagecache_statistics(&machine.pagecache, &before);
	ck_assert_uint_gt(before.cached_pages * PAGE_BYTES, MEMORY_BYTES * 3 / 4);
	gained = memory_drain(&machine.memory, 12 * BLOCK_BYTES, false);
	pagecache_statistics(&machine.pagecache, &after);
	ck_assert_uint_eq(gained, 12 * BLOCK_BYTES);
	ck_assert_uint_eq((before.cached_pages - after.cached_pages) * PAGE_BYTES, gained);
	/* In order of entry: the first pages are gone, the last ones are not. */
	ck_assert(!node_evict_page(&machine.volume.node, 0));
	ck_assert(node_evict_page(&machine.volume.node, before.cached_pages - 1));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(few_dirty_pages_are_moved_without_io)
{
	struct pagecache_statistics before, after;
	struct cache_machine machine;
	struct random random;
	uint64_t gained;

	cache_machine_init(&machine, DISK_BYTES, false);
	random_seed(&random, 3);
	cache_machine_fill(&machine);
	/* In every block: blocks without dirty pages would go first. */
	for (uint64_t number = 0; number < cache_machine_statistics(&machine)->cached_pages; number += 20)
		cache_machine_write(&machine, &random, number * PAGE_BYTES, 100);
	pagecache_statistics(&machine.pagecache, &before);
	gained = memory_drain(&machine.memory, 4 * BLOCK_BYTES, false);
	pagecache_statistics(&machine.pagecache, &after);
	ck_assert_uint_eq(gained, 4 * BLOCK_BYTES);
	ck_assert_uint_gt(after.moved_pages, 0);
	ck_assert_uint_eq(after.dirty_pages, before.dirty_pages);
	ck_assert_uint_eq(after.written_bytes, before.written_bytes);
	/* Some moved into frames that were free. */
	ck_assert_uint_le((before.cached_pages - after.cached_pages) * PAGE_BYTES, gained);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(keep_is_kept_under_any_pressure)
{
	struct pagecache_statistics after;
	struct cache_machine machine;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	memory_drain(&machine.memory, UINT64_MAX / 2, true);
	pagecache_statistics(&machine.pagecache, &after);
	ck_assert_uint_ge(after.cached_pages * PAGE_BYTES, 2 * BLOCK_BYTES);
	ck_assert_uint_lt(after.cached_pages * PAGE_BYTES, 3 * BLOCK_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(read_errors_reach_the_caller_and_pass)
{
	struct cache_machine machine;
	static char buffer[64 * PAGE_BYTES];

	cache_machine_init(&machine, DISK_BYTES, true);
	machine.disk.fail_reads = true;
	machine.disk.fail_start = 10 * PAGE_BYTES;
	machine.disk.fail_end = 11 * PAGE_BYTES;
	ck_assert_int_eq(node_read(&machine.volume.node, 0, buffer, sizeof(buffer)), STATUS_IO_ERROR);
	ck_assert_int_eq(node_write(&machine.volume.node, 10 * PAGE_BYTES + 5, buffer, 5), STATUS_IO_ERROR);
	machine.disk.fail_reads = false;
	cache_machine_read(&machine, 0, sizeof(buffer));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(write_errors_are_reported_until_they_pass)
{
	struct pagecache_statistics statistics;
	struct cache_machine machine;
	struct random random;

	cache_machine_init(&machine, DISK_BYTES, true);
	random_seed(&random, 5);
	cache_machine_write(&machine, &random, 0, 40 * PAGE_BYTES);
	machine.disk.fail_writes = true;
	machine.disk.fail_start = 3 * PAGE_BYTES;
	machine.disk.fail_end = 4 * PAGE_BYTES;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	volume_statistics(&machine.volume, &statistics);
	ck_assert_uint_gt(statistics.failed_pages, 0);
	cache_machine_read(&machine, 0, 40 * PAGE_BYTES);
	ck_assert_int_eq(volume_detach(&machine.volume, false), STATUS_IO_ERROR);
	machine.disk.fail_writes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_flushes = false;
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_dead_disk_stops_writers_with_an_error)
{
	struct cache_machine machine;
	static char page[PAGE_BYTES];
	status_t status = STATUS_OK;

	cache_machine_init(&machine, DISK_BYTES, false);
	machine.disk.fail_writes = true;
	machine.disk.fail_end = UINT64_MAX;
	machine.disk.fail_status = STATUS_GONE;
	for (uint64_t number = 0; number < DISK_BYTES / PAGE_BYTES && status == STATUS_OK; number++)
		status = node_write(&machine.volume.node, number * PAGE_BYTES, page, PAGE_BYTES);
	ck_assert_int_eq(status, STATUS_GONE);
	ck_assert_int_eq(volume_detach(&machine.volume, true), STATUS_GONE);
	cache_machine_free(&machine);
}
END_TEST

START_TEST(two_page_caches_live_side_by_side)
{
	struct cache_machine first, second;
	struct random random;

	cache_machine_init(&first, DISK_BYTES, false);
	cache_machine_init(&second, DISK_BYTES, false);
	random_seed(&random, 9);
	cache_machine_fill(&first);
	cache_machine_write(&second, &random, 77, 5000);
	cache_machine_write(&first, &random, 77, 6000);
	memory_drain(&second.memory, 4 * BLOCK_BYTES, true);
	cache_machine_read(&first, 0, MIB);
	cache_machine_read(&second, 0, MIB);
	cache_machine_fini(&second);
	cache_machine_fini(&first);
}
END_TEST

START_TEST(the_less_preferred_volume_gives_first)
{
	const struct volume_config config = { .preference = 10, .keep_bytes = BLOCK_BYTES };
	struct pagecache_statistics preferred, other;
	struct cache_machine machine;
	struct fake_block disk;
	struct volume volume;
	static char buffer[MIB];

	cache_machine_init(&machine, DISK_BYTES, false);
	fake_block_init(&disk, DISK_BYTES, false);
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &disk.device, "disk", 0, DISK_BYTES, &config),
			 STATUS_INVALID);
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &disk.device, "other", 0, DISK_BYTES, &config), STATUS_OK);
	for (uint64_t offset = 0; offset < 12 * BLOCK_BYTES; offset += MIB) {
		cache_machine_read(&machine, offset, MIB);
		ck_assert_int_eq(node_read(&volume.node, offset, buffer, MIB), STATUS_OK);
	}
	ck_assert_uint_eq(memory_drain(&machine.memory, 6 * BLOCK_BYTES, true), 6 * BLOCK_BYTES);
	volume_statistics(&machine.volume, &preferred);
	volume_statistics(&volume, &other);
	ck_assert_uint_eq(preferred.evicted_pages, 0);
	ck_assert_uint_eq(other.evicted_pages, 6 * PAGES_PER_BLOCK);
	/*
	 * Its new reads take blocks from the volume that prefers to give, although all memory is
	 * used.
	 */
	cache_machine_fill(&machine);
	for (uint64_t offset = 0; offset < 40 * BLOCK_BYTES; offset += MIB)
		cache_machine_read(&machine, offset + 40 * BLOCK_BYTES, MIB);
	volume_statistics(&volume, &other);
	ck_assert_uint_lt(other.cached_pages, 3 * PAGES_PER_BLOCK);
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_OK);
	fake_block_fini(&disk);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * Several threads: the volume is cut into stripes, one for each writer, so that every reader knows
 * what is legal.
 */
#define STRESS_PAGES 4096

static void stress_thread(void *context, unsigned index)
{
	struct cache_machine *machine = context;
	struct random random;
	uint64_t page[PAGE_BYTES / 8];

	random_seed(&random, index + 1);
	for (unsigned i = 0; i < 3000; i++) {
		const uint64_t number = random_below(&random, STRESS_PAGES);

		if (index == 0 && i % 50 == 0)
			memory_drain(&machine->memory, BLOCK_BYTES, i % 100 == 0);
		if (index == 1 && i % 500 == 0)
			ck_assert_int_eq(volume_flush(&machine->volume), STATUS_OK);
		if (random_below(&random, 3) == 0) {
			const uint64_t value = random_next(&random);

			for (size_t word = 0; word < ARRAY_LENGTH(page); word++)
				page[word] = value;
			ck_assert_int_eq(node_write(&machine->volume.node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
		} else {
			ck_assert_int_eq(node_read(&machine->volume.node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
			ck_assert_int_eq(memcmp(page, page + 1, sizeof(page) - sizeof(page[0])), 0);
		}
	}
}

START_TEST(threads_see_whole_pages)
{
	struct cache_machine machine;

	cache_machine_init(&machine, DISK_BYTES, true);
	memset(machine.disk.data, 0, STRESS_PAGES * PAGE_BYTES);
	host_threads_run(6, stress_thread, &machine);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	for (uint64_t offset = 0; offset < STRESS_PAGES * PAGE_BYTES; offset += MIB)
		ck_assert_int_eq(node_read(&machine.volume.node, offset, machine.model + offset, MIB), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("pagecache", reads_what_the_disk_holds, random_operations_match_the_model, ranges_are_checked,
	       a_drain_loses_what_it_gains, few_dirty_pages_are_moved_without_io, keep_is_kept_under_any_pressure,
	       read_errors_reach_the_caller_and_pass, write_errors_are_reported_until_they_pass,
	       a_dead_disk_stops_writers_with_an_error, two_page_caches_live_side_by_side,
	       the_less_preferred_volume_gives_first, threads_see_whole_pages)
