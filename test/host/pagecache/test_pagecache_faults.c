// SPDX-License-Identifier: BSD-2-Clause
/* The page cache over a disk that fails or hangs. */
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

#define REGION_PAGES 64ull
#define SMALL_DISK   (16 * BLOCK_BYTES)

static void fail_pages(struct cache_machine *machine, uint64_t first, uint64_t count)
{
	machine->disk.fail_start = first * PAGE_BYTES;
	machine->disk.fail_end = (first + count) * PAGE_BYTES;
}

/* Until `done` says so, or half a minute has passed. */
static bool wait_until(struct cache_machine *machine, bool (*done)(struct cache_machine *machine))
{
	const uint64_t end = platform_now_ns() + 30 * NS_PER_S;
	static _Atomic uint32_t never;

	while (!done(machine) && platform_now_ns() < end)
		(void)platform_wait(&never, 0, platform_now_ns() + NS_PER_MS);
	return done(machine);
}

/* Errors --------------------------------------------------------------------------------------- */

START_TEST(a_bad_page_spoils_no_other)
{
	static char buffer[REGION_PAGES * PAGE_BYTES];
	struct cache_machine machine;

	cache_machine_init(&machine, SMALL_DISK, false);
	machine.disk.fail_reads = true;
	fail_pages(&machine, 10, 1);
	ck_assert_int_eq(node_read(&machine.volume.node, 0, buffer, sizeof(buffer)), STATUS_IO_ERROR);
	cache_machine_read(&machine, 0, 10 * PAGE_BYTES);
	cache_machine_read(&machine, 11 * PAGE_BYTES, 53 * PAGE_BYTES);
	ck_assert_int_eq(node_read(&machine.volume.node, 10 * PAGE_BYTES + 7, buffer, 1), STATUS_IO_ERROR);
	ck_assert_int_eq(node_write(&machine.volume.node, 10 * PAGE_BYTES + 7, buffer, 1), STATUS_IO_ERROR);
	/* As a whole it can be written without being read. */
	memset(machine.model + 10 * PAGE_BYTES, 0, PAGE_BYTES);
	memset(buffer, 0, PAGE_BYTES);
	ck_assert_int_eq(node_write(&machine.volume.node, 10 * PAGE_BYTES, buffer, PAGE_BYTES), STATUS_OK);
	cache_machine_read(&machine, 0, sizeof(buffer));
	ck_assert_uint_gt(cache_machine_statistics(&machine)->read_errors, 0);
	machine.disk.fail_reads = false;
	cache_machine_fini(&machine);
}
END_TEST

/*
 * One thread reads ranges with a bad page in them, the others the good pages that are in the same
 * requests.
 */
static void read_around(void *context, unsigned index)
{
	struct cache_machine *machine = context;
	static _Thread_local char buffer[REGION_PAGES * PAGE_BYTES];

	for (uint64_t region = 0; region < 60; region++) {
		const uint64_t first = region * REGION_PAGES;

		if (index == 0)
			ck_assert_int_eq(node_read(&machine->volume.node, first * PAGE_BYTES, buffer, sizeof(buffer)),
					 region == 30 ? STATUS_IO_ERROR : STATUS_OK);
		else if (region == 30)
			cache_machine_read(machine, (first + index) * PAGE_BYTES, PAGE_BYTES);
	}
}

START_TEST(threads_get_the_good_pages_of_a_failed_request)
{
	struct cache_machine machine;

	for (unsigned round = 0; round < 3; round++) {
		cache_machine_init(&machine, SMALL_DISK, true);
		machine.disk.fail_reads = true;
		fail_pages(&machine, 30 * REGION_PAGES + 10, 1);
		host_threads_run(4, read_around, &machine);
		machine.disk.fail_reads = false;
		cache_machine_fini(&machine);
	}
}
END_TEST

START_TEST(a_write_error_is_told_by_every_flush_and_costs_nothing)
{
	struct cache_machine machine;
	struct random random;

	cache_machine_init(&machine, SMALL_DISK, false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 0, REGION_PAGES * PAGE_BYTES);
	machine.disk.fail_writes = true;
	fail_pages(&machine, 3, 1);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	/* The first write took its neighbours down; after that it went by itself. */
	ck_assert_uint_eq(cache_machine_statistics(&machine)->failed_pages, 1);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 1);
	ck_assert_int_eq(memcmp(machine.disk.data, machine.model, 3 * PAGE_BYTES), 0);
	/* Nor does it take down what is dirtied beside it later. */
	cache_machine_write(&machine, &random, 2 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_int_eq(memcmp(machine.disk.data, machine.model, 3 * PAGE_BYTES), 0);
	/* Written again it is still told, until it has reached the disk. */
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES + 9, 100);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_uint_eq(memory_drain(&machine.memory, 200 * BLOCK_BYTES, true), 0);
	cache_machine_read(&machine, 0, REGION_PAGES * PAGE_BYTES);
	machine.disk.fail_writes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.data, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_failed_device_flush_is_told)
{
	struct cache_machine machine;
	struct random random;

	cache_machine_init(&machine, SMALL_DISK, false);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 0, 100);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_IO_ERROR);
	machine.disk.fail_flushes = false;
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_dead_disk_does_not_stop_writers_to_another)
{
	const struct volume_config config = { .preference = 50 };
	static char page[PAGE_BYTES];
	struct cache_machine machine;
	struct fake_block dead;
	struct volume volume;
	status_t status = STATUS_OK;
	struct random random;

	cache_machine_init(&machine, SMALL_DISK, false);
	random_seed(&random, 4);
	fake_block_init(&dead, SMALL_DISK, false);
	dead.fail_writes = true;
	dead.fail_end = UINT64_MAX;
	dead.fail_status = STATUS_GONE;
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &dead.device, "dead", 0, SMALL_DISK, &config), STATUS_OK);
	for (uint64_t number = 0; status == STATUS_OK; number++)
		status = node_write(&volume.node, number * PAGE_BYTES, page, PAGE_BYTES);
	ck_assert_int_eq(status, STATUS_GONE);
	for (uint64_t offset = 0; offset < SMALL_DISK; offset += 64 * MIB)
		cache_machine_write(&machine, &random, offset, 40 * PAGE_BYTES);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_GONE);
	ck_assert_int_eq(volume_detach(&volume, true), STATUS_GONE);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 0);
	fake_block_fini(&dead);
	cache_machine_fini(&machine);
}
END_TEST

/* Writeback ------------------------------------------------------------------------------------ */

static bool is_all_clean(struct cache_machine *machine)
{
	return cache_machine_statistics(machine)->dirty_pages == 0;
}

static void background_or_test(void *context, unsigned index)
{
	struct cache_machine *machine = context;
	struct random random;

	if (index == 0) {
		pagecache_writeback_run(&machine->pagecache);
		return;
	}
	random_seed(&random, 8);
	for (unsigned i = 0; i < 5; i++) {
		cache_machine_write(machine, &random, MIB + random_below(&random, SMALL_DISK - 2 * MIB), 100000);
		ck_assert(wait_until(machine, is_all_clean));
	}
	/* One that fails stays, is tried now and then, and gets there in the end. */
	machine->disk.fail_writes = true;
	fail_pages(machine, 0, 1);
	cache_machine_write(machine, &random, 0, 10);
	cache_machine_write(machine, &random, PAGE_BYTES, 10);
	while (cache_machine_statistics(machine)->write_errors < 3)
		platform_yield();
	ck_assert_uint_ge(cache_machine_statistics(machine)->dirty_pages, 1);
	ck_assert_uint_lt(cache_machine_statistics(machine)->write_errors, 1000);
	machine->disk.fail_end = 0;
	ck_assert(wait_until(machine, is_all_clean));
	pagecache_stop(&machine->pagecache);
}

START_TEST(threads_find_old_pages_written)
{
	struct pagecache_config config = cache_machine_config;
	struct cache_machine machine;

	config.dirty_age_ns = 40 * NS_PER_MS;
	cache_machine_init_config(&machine, SMALL_DISK, true, &config);
	host_threads_run(2, background_or_test, &machine);
	machine.disk.fail_writes = false;
	cache_machine_fini(&machine);
}
END_TEST

static bool is_throttled(struct cache_machine *machine)
{
	return cache_machine_statistics(machine)->throttled > 0;
}

/* What could be dirty at the start; it changes a little as other memory is taken. */
static uint64_t first_limit;

/*
 * Two write against a disk that takes nothing; the third sees them stop, and reads what is on its
 * way to the disk.
 */
static void write_or_watch(void *context, unsigned index)
{
	static char page[PAGE_BYTES];
	struct cache_machine *machine = context;
	const uint64_t limit = first_limit;

	if (index < 2) {
		for (uint64_t i = 0; i < limit * 3 / 4; i++)
			ck_assert_int_eq(node_write(&machine->volume.node, (2 * i + index) * PAGE_BYTES, page, PAGE_BYTES),
					 STATUS_OK);
		return;
	}
	ck_assert(wait_until(machine, is_throttled));
	ck_assert_uint_le(cache_machine_statistics(machine)->dirty_pages, limit + 2);
	while (fake_block_hold(&machine->disk, true) == 0)
		platform_yield(); /* the background writer has not got there yet */
	cache_machine_read(machine, 0, MIB);
	fake_block_hold(&machine->disk, false);
}

START_TEST(threads_that_write_wait_at_the_limit)
{
	struct cache_machine machine;

	cache_machine_init(&machine, 32 * BLOCK_BYTES, true);
	first_limit = writeback_limits(&machine.volume).all;
	memset(machine.model, 0, first_limit * 3 / 4 * 2 * PAGE_BYTES);
	fake_block_hold(&machine.disk, true);
	host_threads_run(3, write_or_watch, &machine);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * Reads of a disk that keeps all writes to itself, and of another one, find I/O objects: several at
 * a time.
 */
static struct list kept_writes;
static void (*serve)(struct block_device *device, struct block_request *request);

static void submit_keeping_writes(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_WRITE)
		list_insert_last(&kept_writes, &request->link);
	else
		serve(device, request);
}

START_TEST(a_disk_that_keeps_its_writes_serves_reads)
{
	const struct volume_config config = { .preference = 50 };
	struct cache_machine machine;
	struct io *reads[2];
	struct volume other;
	struct random random;
	struct list *link;

	cache_machine_init(&machine, SMALL_DISK, false);
	random_seed(&random, 3);
	cache_machine_shrink(&machine, SMALL_DISK - MIB);
	ck_assert_int_eq(
		volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", SMALL_DISK - MIB, MIB, &config),
		STATUS_OK);
	list_init(&kept_writes);
	serve = machine.disk.device.submit;
	machine.disk.device.submit = submit_keeping_writes;
	for (uint64_t number = 0; number < 4 * REGION_PAGES; number += 2)
		cache_machine_write(&machine, &random, number * PAGE_BYTES, PAGE_BYTES);
	while (writeback_start_old(&machine.volume, DIRTY_WAITING, 0) == WRITEBACK_STARTED)
		;
	ck_assert_uint_ge(machine.volume.writeback.writes, machine.pagecache.config.requests / 2);
	/* Another reader has one, and reads ahead are for what is left of half. */
	for (unsigned i = 0; i < ARRAY_LENGTH(reads); i++)
		ck_assert_ptr_nonnull(reads[i] = io_try_begin(i == 0 ? &machine.volume : &other, BLOCK_READ, 0));
	cache_machine_read(&machine, 5 * BLOCK_BYTES, MIB);
	for (unsigned i = 0; i < ARRAY_LENGTH(reads); i++)
		io_end(reads[i]);
	machine.disk.device.submit = serve;
	while ((link = list_take_first(&kept_writes)))
		serve(&machine.disk.device, container_of(link, struct block_request, link));
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * However reads and writes begin and end, the writes of all volumes leave a quarter of the shared
 * objects, and two of each.
 */
START_TEST(writes_never_take_the_last_objects)
{
	enum { MOST = 64 };
	const struct volume_config config = { .preference = 50 };
	struct io *writes[MOST] = { NULL }, *reads[MOST] = { NULL };
	unsigned write_count = 0, read_count = 0;
	struct cache_machine machine;
	struct volume volumes[3];
	struct random random;

	cache_machine_init(&machine, SMALL_DISK, false);
	random_seed(&random, 4);
	cache_machine_shrink(&machine, MIB);
	for (unsigned i = 0; i < ARRAY_LENGTH(volumes); i++) {
		const char name[] = { (char)('a' + i), 0 };

		ck_assert_int_eq(
			volume_attach(&volumes[i], &machine.pagecache, &machine.disk.device, name, (1 + i) * MIB, MIB, &config),
			STATUS_OK);
	}
	for (unsigned step = 0; step < 100000; step++) {
		struct volume *volume = &volumes[random_below(&random, ARRAY_LENGTH(volumes))];
		const bool write = random_below(&random, 2);
		struct io **ios = write ? writes : reads;
		unsigned *count = write ? &write_count : &read_count;

		if (random_below(&random, 8) < 3 && *count > 0) {
			const unsigned i = (unsigned)random_below(&random, *count);

			io_end(ios[i]);
			ios[i] = ios[--*count];
		} else if ((ios[*count] = io_try_begin(volume, write ? BLOCK_WRITE : BLOCK_READ, 0)) != NULL) {
			++*count;
		} else {
			/* None is refused for nothing. */
			ck_assert_uint_ge(write_count + read_count, machine.pagecache.config.requests / 4 * 3);
		}
		ck_assert_uint_le(write_count, machine.pagecache.config.requests / 4 * 3 + ARRAY_LENGTH(volumes));
		ck_assert_uint_le(write_count + read_count,
				  machine.pagecache.config.requests + 2 * IO_OWN * ARRAY_LENGTH(volumes));
	}
	while (write_count > 0)
		io_end(writes[--write_count]);
	while (read_count > 0)
		io_end(reads[--read_count]);
	ck_assert_uint_eq(atomic_load(&machine.pagecache.pages.requests_used), 0);
	for (unsigned i = 0; i < ARRAY_LENGTH(volumes); i++)
		ck_assert_int_eq(volume_detach(&volumes[i], false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("pagecache_faults", a_bad_page_spoils_no_other, threads_get_the_good_pages_of_a_failed_request,
	       a_write_error_is_told_by_every_flush_and_costs_nothing, a_failed_device_flush_is_told,
	       a_dead_disk_does_not_stop_writers_to_another, threads_find_old_pages_written,
	       threads_that_write_wait_at_the_limit, a_disk_that_keeps_its_writes_serves_reads,
	       writes_never_take_the_last_objects)
