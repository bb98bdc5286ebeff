/* The page cache over a fake device and a small memory, against a flat copy of what the volume should hold. */
#include <stdlib.h>
#include <string.h>

#include "fake/fake_block.h"
#include "host_test.h"
#include "pagecache/volume.h"
#include "platform_host.h"
#include "runtime/base/random.h"

#define MEMORY_BYTES (40 * BLOCK_BYTES)
#define DISK_BYTES   (80 * BLOCK_BYTES)

static const struct memory_config memory_config = {
	.min_bytes = 2 * BLOCK_BYTES,
	.low_bytes = 4 * BLOCK_BYTES,
	.general_retain_bytes = BLOCK_BYTES,
	.dma_retain_bytes = BLOCK_BYTES,
};

static const struct pagecache_config pagecache_config = {
	.dirty_background_percent = 10,
	.dirty_max_percent = 20,
	.dirty_age_ns = 30 * NS_PER_S,
	.move_percent = 25,
	.requests = 8,
};

/* One machine: memory, page cache, and a disk attached as one volume. */
struct machine {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	struct pagecache pagecache;
	struct fake_block disk;
	struct volume volume;
	unsigned char *model;
};

static void machine_init(struct machine *machine, uint64_t start, uint64_t disk_bytes, bool threaded)
{
	const struct volume_config config = { .preference = 50, .keep_bytes = 2 * BLOCK_BYTES };
	struct phys_range range;

	machine->arena = host_arena_create(start, MEMORY_BYTES);
	range = host_arena_range(machine->arena);
	machine->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	ck_assert_int_eq(memory_init(&machine->memory, &memory_config, &range, 1, machine->metadata), STATUS_OK);
	ck_assert_int_eq(pagecache_init(&machine->pagecache, &machine->memory, &pagecache_config), STATUS_OK);
	fake_block_init(&machine->disk, disk_bytes, threaded);
	machine->model = calloc(1, disk_bytes);
	for (uint64_t i = 0; i < disk_bytes; i += 8)
		memcpy(machine->disk.data + i, &i, 8);
	memcpy(machine->model, machine->disk.data, disk_bytes);
	ck_assert_int_eq(
		volume_attach(&machine->volume, &machine->pagecache, &machine->disk.device, "disk", 0, disk_bytes, &config),
		STATUS_OK);
}

static void machine_fini(struct machine *machine)
{
	ck_assert(pagecache_is_valid(&machine->pagecache));
	ck_assert(memory_is_valid(&machine->memory));
	ck_assert_int_eq(volume_detach(&machine->volume, false), STATUS_OK);
	ck_assert_int_eq(memcmp(machine->disk.data, machine->model, machine->disk.device.size_bytes), 0);
	ck_assert_int_eq(pagecache_fini(&machine->pagecache), STATUS_OK);
	ck_assert_int_eq(memory_fini(&machine->memory), STATUS_OK);
	fake_block_fini(&machine->disk);
	free(machine->model);
	free(machine->metadata);
	host_arena_destroy(machine->arena);
}

static void read_checked(struct machine *machine, uint64_t offset, size_t bytes)
{
	unsigned char *buffer = malloc(bytes + 1);

	ck_assert_int_eq(node_read(&machine->volume.node, offset, buffer, bytes), STATUS_OK);
	ck_assert_int_eq(memcmp(buffer, machine->model + offset, bytes), 0);
	free(buffer);
}

static void write_modelled(struct machine *machine, struct random *random, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		machine->model[offset + i] = (unsigned char)random_next(random);
	ck_assert_int_eq(node_write(&machine->volume.node, offset, machine->model + offset, bytes), STATUS_OK);
}

static void fill(struct machine *machine)
{
	for (uint64_t offset = 0; offset < machine->disk.device.size_bytes && memory_may_grow(&machine->memory); offset += MIB)
		read_checked(machine, offset, MIB);
}

START_TEST(reads_what_the_disk_holds)
{
	struct machine machine;

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	read_checked(&machine, 0, 1);
	read_checked(&machine, 4095, 2);
	read_checked(&machine, 12345, 3 * MIB);
	read_checked(&machine, DISK_BYTES - 5, 5);
	read_checked(&machine, DISK_BYTES, 0);
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += MIB)
		read_checked(&machine, offset, MIB);
	machine_fini(&machine);
}
END_TEST

START_TEST(random_operations_match_the_model)
{
	static const uint64_t sizes[] = { 1, 100, 4096, 5000, 65536, 700000 };
	struct machine machine;
	struct random random;

	machine_init(&machine, 4 * GIB, DISK_BYTES - 1536, true);
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
			write_modelled(&machine, &random, offset, bytes);
			break;
		default:
			read_checked(&machine, offset, bytes);
		}
		if (i % 1000 == 0)
			ck_assert(memory_is_valid(&machine.memory));
	}
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.data, machine.model, DISK_BYTES - 1536), 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(ranges_are_checked)
{
	struct machine machine;
	char byte = 0;

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	ck_assert_int_eq(node_read(&machine.volume.node, DISK_BYTES, &byte, 1), STATUS_RANGE);
	ck_assert_int_eq(node_read(&machine.volume.node, UINT64_MAX, &byte, 1), STATUS_RANGE);
	ck_assert_int_eq(node_write(&machine.volume.node, DISK_BYTES - 1, &byte, SIZE_MAX), STATUS_RANGE);
	machine.disk.device.read_only = true;
	ck_assert_int_eq(node_write(&machine.volume.node, 0, &byte, 1), STATUS_READ_ONLY);
	machine.disk.device.read_only = false;
	machine_fini(&machine);
}
END_TEST

START_TEST(a_drain_loses_what_it_gains)
{
	struct pagecache_statistics before, after;
	struct machine machine;
	uint64_t gained;

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	fill(&machine);
	pagecache_statistics(&machine.pagecache, &before);
	ck_assert_uint_gt(before.cached_pages * PAGE_BYTES, MEMORY_BYTES * 3 / 4);
	gained = memory_drain(&machine.memory, 12 * BLOCK_BYTES, false);
	pagecache_statistics(&machine.pagecache, &after);
	ck_assert_uint_eq(gained, 12 * BLOCK_BYTES);
	ck_assert_uint_eq((before.cached_pages - after.cached_pages) * PAGE_BYTES, gained);
	/* In order of entry: the first pages are gone, the last ones are not. */
	ck_assert(!node_evict_page(&machine.volume.node, 0));
	ck_assert(node_evict_page(&machine.volume.node, before.cached_pages - 1));
	machine_fini(&machine);
}
END_TEST

START_TEST(few_dirty_pages_are_moved_without_io)
{
	struct pagecache_statistics before, after;
	struct machine machine;
	struct random random;
	uint64_t gained;

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	random_seed(&random, 3);
	fill(&machine);
	for (uint64_t number = 0; number < 8 * PAGES_PER_BLOCK; number += 20)
		write_modelled(&machine, &random, number * PAGE_BYTES, 100);
	pagecache_statistics(&machine.pagecache, &before);
	gained = memory_drain(&machine.memory, 4 * BLOCK_BYTES, false);
	pagecache_statistics(&machine.pagecache, &after);
	ck_assert_uint_eq(gained, 4 * BLOCK_BYTES);
	ck_assert_uint_gt(after.moved_pages, 0);
	ck_assert_uint_eq(after.dirty_pages, before.dirty_pages);
	ck_assert_uint_eq(after.written_bytes, before.written_bytes);
	/* Some moved into frames that were free. */
	ck_assert_uint_le((before.cached_pages - after.cached_pages) * PAGE_BYTES, gained);
	machine_fini(&machine);
}
END_TEST

START_TEST(keep_is_kept_under_any_pressure)
{
	struct pagecache_statistics after;
	struct machine machine;

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	fill(&machine);
	memory_drain(&machine.memory, UINT64_MAX / 2, true);
	pagecache_statistics(&machine.pagecache, &after);
	ck_assert_uint_ge(after.cached_pages * PAGE_BYTES, 2 * BLOCK_BYTES);
	ck_assert_uint_lt(after.cached_pages * PAGE_BYTES, 3 * BLOCK_BYTES);
	machine_fini(&machine);
}
END_TEST

START_TEST(read_errors_reach_the_caller_and_pass)
{
	struct machine machine;
	static char buffer[64 * PAGE_BYTES];

	machine_init(&machine, 4 * GIB, DISK_BYTES, true);
	machine.disk.fail_reads = true;
	machine.disk.fail_start = 10 * PAGE_BYTES;
	machine.disk.fail_end = 11 * PAGE_BYTES;
	ck_assert_int_eq(node_read(&machine.volume.node, 0, buffer, sizeof(buffer)), STATUS_IO_ERROR);
	ck_assert_int_eq(node_write(&machine.volume.node, 10 * PAGE_BYTES + 5, buffer, 5), STATUS_IO_ERROR);
	machine.disk.fail_reads = false;
	read_checked(&machine, 0, sizeof(buffer));
	machine_fini(&machine);
}
END_TEST

START_TEST(write_errors_are_reported_until_they_pass)
{
	struct pagecache_statistics statistics;
	struct machine machine;
	struct random random;

	machine_init(&machine, 4 * GIB, DISK_BYTES, true);
	random_seed(&random, 5);
	write_modelled(&machine, &random, 0, 40 * PAGE_BYTES);
	machine.disk.fail_writes = true;
	machine.disk.fail_start = 3 * PAGE_BYTES;
	machine.disk.fail_end = 4 * PAGE_BYTES;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	volume_statistics(&machine.volume, &statistics);
	ck_assert_uint_gt(statistics.failed_pages, 0);
	read_checked(&machine, 0, 40 * PAGE_BYTES);
	ck_assert_int_eq(volume_detach(&machine.volume, false), STATUS_IO_ERROR);
	machine.disk.fail_writes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_flushes = false;
	machine_fini(&machine);
}
END_TEST

START_TEST(a_dead_disk_stops_writers_with_an_error)
{
	struct machine machine;
	static char page[PAGE_BYTES];
	status_t status = STATUS_OK;

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	machine.disk.fail_writes = true;
	machine.disk.fail_end = UINT64_MAX;
	machine.disk.fail_status = STATUS_GONE;
	for (uint64_t number = 0; number < DISK_BYTES / PAGE_BYTES && status == STATUS_OK; number++)
		status = node_write(&machine.volume.node, number * PAGE_BYTES, page, PAGE_BYTES);
	ck_assert_int_eq(status, STATUS_GONE);
	ck_assert_int_eq(volume_detach(&machine.volume, true), STATUS_GONE);
	ck_assert_int_eq(pagecache_fini(&machine.pagecache), STATUS_OK);
	ck_assert_int_eq(memory_fini(&machine.memory), STATUS_OK);
	fake_block_fini(&machine.disk);
	free(machine.model);
	free(machine.metadata);
	host_arena_destroy(machine.arena);
}
END_TEST

START_TEST(two_page_caches_live_side_by_side)
{
	struct machine first, second;
	struct random random;

	machine_init(&first, 4 * GIB, DISK_BYTES, false);
	machine_init(&second, 16 * GIB, DISK_BYTES, false);
	random_seed(&random, 9);
	fill(&first);
	write_modelled(&second, &random, 77, 5000);
	write_modelled(&first, &random, 77, 6000);
	memory_drain(&second.memory, 4 * BLOCK_BYTES, true);
	read_checked(&first, 0, MIB);
	read_checked(&second, 0, MIB);
	machine_fini(&second);
	machine_fini(&first);
}
END_TEST

START_TEST(the_less_preferred_volume_gives_first)
{
	const struct volume_config config = { .preference = 10, .keep_bytes = BLOCK_BYTES };
	struct pagecache_statistics preferred, other;
	struct machine machine;
	struct fake_block disk;
	struct volume volume;
	static char buffer[MIB];

	machine_init(&machine, 4 * GIB, DISK_BYTES, false);
	fake_block_init(&disk, DISK_BYTES, false);
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &disk.device, "disk", 0, DISK_BYTES, &config),
			 STATUS_INVALID);
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &disk.device, "other", 0, DISK_BYTES, &config), STATUS_OK);
	for (uint64_t offset = 0; offset < 12 * BLOCK_BYTES; offset += MIB) {
		read_checked(&machine, offset, MIB);
		ck_assert_int_eq(node_read(&volume.node, offset, buffer, MIB), STATUS_OK);
	}
	ck_assert_uint_eq(memory_drain(&machine.memory, 6 * BLOCK_BYTES, true), 6 * BLOCK_BYTES);
	volume_statistics(&machine.volume, &preferred);
	volume_statistics(&volume, &other);
	ck_assert_uint_eq(preferred.evicted_pages, 0);
	ck_assert_uint_eq(other.evicted_pages, 6 * PAGES_PER_BLOCK);
	/* Its new reads take blocks from the volume that prefers to give, although all memory is used. */
	fill(&machine);
	for (uint64_t offset = 0; offset < 40 * BLOCK_BYTES; offset += MIB)
		read_checked(&machine, offset + 40 * BLOCK_BYTES, MIB);
	volume_statistics(&volume, &other);
	ck_assert_uint_lt(other.cached_pages, 3 * PAGES_PER_BLOCK);
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_OK);
	fake_block_fini(&disk);
	machine_fini(&machine);
}
END_TEST

/* Several threads: the volume is cut into stripes, one for each writer, so that every reader knows what is legal. */
#define STRESS_PAGES 4096

static void stress_thread(void *context, unsigned index)
{
	struct machine *machine = context;
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
			for (size_t word = 1; word < ARRAY_LENGTH(page); word++)
				ck_assert_uint_eq(page[word], page[0]);
		}
	}
}

START_TEST(threads_see_whole_pages)
{
	struct machine machine;

	machine_init(&machine, 4 * GIB, DISK_BYTES, true);
	memset(machine.disk.data, 0, STRESS_PAGES * PAGE_BYTES);
	host_threads_run(6, stress_thread, &machine);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	for (uint64_t offset = 0; offset < STRESS_PAGES * PAGE_BYTES; offset += MIB)
		ck_assert_int_eq(node_read(&machine.volume.node, offset, machine.model + offset, MIB), STATUS_OK);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("pagecache", reads_what_the_disk_holds, random_operations_match_the_model, ranges_are_checked,
	       a_drain_loses_what_it_gains, few_dirty_pages_are_moved_without_io, keep_is_kept_under_any_pressure,
	       read_errors_reach_the_caller_and_pass, write_errors_are_reported_until_they_pass,
	       a_dead_disk_stops_writers_with_an_error, two_page_caches_live_side_by_side,
	       the_less_preferred_volume_gives_first, threads_see_whole_pages)
