/* The page cache over a disk that fails, hangs, reorders, and loses power; and in a memory that has nothing left. */
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "heap/window.h"
#include "host_test.h"
#include "pagecache/writeback.h"

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

/* Errors ------------------------------------------------------------------------------------------------------------------- */

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
	ck_assert_uint_gt(cache_machine_statistics(&machine).read_errors, 0);
	machine.disk.fail_reads = false;
	cache_machine_fini(&machine);
}
END_TEST

/* One thread reads ranges with a bad page in them, the others the good pages that are in the same requests. */
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
	ck_assert_uint_eq(cache_machine_statistics(&machine).failed_pages, 1);
	ck_assert_uint_eq(cache_machine_statistics(&machine).dirty_pages, 1);
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
	ck_assert_uint_eq(cache_machine_statistics(&machine).dirty_pages, 0);
	fake_block_fini(&dead);
	cache_machine_fini(&machine);
}
END_TEST

/* Memory ------------------------------------------------------------------------------------------------------------------- */

START_TEST(without_a_frame_there_is_an_error_and_no_harm)
{
	struct phys_addr blocks[MEMORY_BYTES / BLOCK_BYTES];
	struct memory_request request = { .blocks = 1, .below_min = true, .wait = MEMORY_WAIT_NEVER };
	struct cache_machine machine;
	struct owner owner;
	char byte = 1;
	size_t count = 0;

	host_log_level(LOG_ERROR);
	owner_init(&owner, "hog", false);
	request.owner = &owner;
	cache_machine_init(&machine, SMALL_DISK, false);
	while (memory_blocks_alloc(&machine.memory, &request, &blocks[count]) == STATUS_OK)
		count++;
	ck_assert_int_eq(node_read(&machine.volume.node, 0, &byte, 1), STATUS_NO_MEMORY);
	ck_assert_int_eq(node_write(&machine.volume.node, 0, &byte, 1), STATUS_NO_MEMORY);
	while (count > 0)
		memory_blocks_free(&machine.memory, blocks[--count]);
	cache_machine_read(&machine, 0, MIB);
	cache_machine_fini(&machine);
}
END_TEST

struct countdown {
	struct fault_injector fault;
	unsigned left; /* allocations until all fail */
};

static bool fails_at_zero(struct fault_injector *self, const char *where, uint64_t bytes)
{
	struct countdown *countdown = container_of(self, struct countdown, fault);

	(void)where;
	(void)bytes;
	if (countdown->left == 0)
		return true;
	countdown->left--;
	return false;
}

START_TEST(a_page_cache_that_cannot_start_leaves_nothing)
{
	struct countdown countdown = { .fault = { fails_at_zero } };
	struct cache_machine machine;
	struct pagecache second;
	status_t status;
	uint64_t free_bytes;
	unsigned failures = 0;

	cache_machine_init(&machine, SMALL_DISK, false);
	ck_assert_int_eq(pagecache_init(&second, &machine.memory, &cache_machine_config), STATUS_OK);
	ck_assert_int_eq(pagecache_fini(&second), STATUS_OK);
	free_bytes = memory_free_bytes(&machine.memory);
	host_log_level(LOG_ERROR);
	do {
		countdown.left = failures;
		memory_set_fault_injector(&machine.memory, &countdown.fault);
		status = pagecache_init(&second, &machine.memory, &cache_machine_config);
		memory_set_fault_injector(&machine.memory, NULL);
		if (status == STATUS_OK)
			ck_assert_int_eq(pagecache_fini(&second), STATUS_OK);
		else
			failures++;
		ck_assert(status == STATUS_OK || status == STATUS_NO_MEMORY);
		ck_assert_uint_eq(memory_free_bytes(&machine.memory), free_bytes);
	} while (status != STATUS_OK);
	ck_assert_uint_ge(failures, 3);
	cache_machine_fini(&machine);
}
END_TEST

/* One block in the way, and the others of the window stay as they are: nothing is lost for a run that is not to be had. */
START_TEST(a_window_goes_whole_or_not_at_all)
{
	uint32_t obstacles = 0;
	struct reclaim_target target = {
		.bytes = 4 * BLOCK_BYTES,
		.obstacles = &obstacles,
		.deadline_ns = PLATFORM_FOREVER,
	};
	struct pagecache_statistics before, after;
	struct cache_machine machine;
	struct random random;

	cache_machine_init(&machine, DISK_BYTES, true);
	random_seed(&random, 6);
	cache_machine_fill(&machine);
	for (uint64_t number = 2 * PAGES_PER_BLOCK; number < 3 * PAGES_PER_BLOCK; number += 2)
		cache_machine_write(&machine, &random, number * PAGE_BYTES + 1, 10);
	target.lowest.value = cache_machine_block(&machine, 0);
	target.highest.value = target.lowest.value + 4 * BLOCK_BYTES - 1;
	before = cache_machine_statistics(&machine);
	ck_assert_uint_eq(machine.volume.clean_cleaner.clean(&machine.volume.clean_cleaner, &target), 0);
	after = cache_machine_statistics(&machine);
	ck_assert_uint_eq(obstacles, 1);
	ck_assert_uint_eq(after.evicted_pages, before.evicted_pages);
	ck_assert_uint_eq(after.moved_pages, before.moved_pages);
	window_avoid_nothing(&machine.memory.blocks);

	target.may_write = true;
	while (cache_machine_statistics(&machine).dirty_pages > 0) {
		ck_assert_uint_eq(machine.volume.dirty_cleaner.clean(&machine.volume.dirty_cleaner, &target), 0);
		writeback_settle(&machine.volume);
	}
	ck_assert_uint_eq(obstacles, 1);
	/* What is in the way may be somebody else's. */
	ck_assert_uint_eq(machine.volume.clean_cleaner.clean(&machine.volume.clean_cleaner, &target), 0);
	ck_assert_uint_eq(cache_machine_statistics(&machine).evicted_pages, before.evicted_pages);
	obstacles = 0;
	ck_assert_uint_eq(machine.volume.clean_cleaner.clean(&machine.volume.clean_cleaner, &target), 4 * BLOCK_BYTES);
	ck_assert_uint_eq(obstacles, 0);
	cache_machine_read(&machine, 0, 4 * BLOCK_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

/* A volume without a block gets one from those that have all the memory, whatever they prefer. */
START_TEST(a_new_volume_gets_its_share)
{
	const struct volume_config config = { .preference = 10 };
	static char buffer[MIB];
	struct cache_machine machine;
	struct fake_block disk;
	struct volume volume;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	fake_block_init(&disk, DISK_BYTES, false);
	ck_assert_int_eq(volume_attach(&volume, &machine.pagecache, &disk.device, "new", 0, DISK_BYTES, &config), STATUS_OK);
	ck_assert_int_eq(node_read(&volume.node, 0, buffer, sizeof(buffer)), STATUS_OK);
	ck_assert_int_eq(volume_detach(&volume, false), STATUS_OK);
	fake_block_fini(&disk);
	cache_machine_fini(&machine);
}
END_TEST

static bool under_way;

static uint64_t ask(struct cleaner *cleaner, uint64_t bytes, uint64_t lowest, uint64_t highest)
{
	const struct reclaim_target target = {
		.bytes = bytes,
		.lowest = { lowest },
		.highest = { highest },
		.may_write = true,
		.under_way = &under_way,
		.deadline_ns = PLATFORM_FOREVER,
	};

	return cleaner->clean(cleaner, &target);
}

START_TEST(a_cleaner_keeps_to_the_range_that_is_wanted)
{
	const struct phys_range range = { .bytes = 8 * BLOCK_BYTES };
	struct cache_machine machine;
	uint64_t start;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	start = host_arena_range(machine.arena).start.value + 16 * BLOCK_BYTES;
	ck_assert_uint_eq(block_heap_free_within(&machine.memory.blocks, (struct phys_addr){ start },
						 (struct phys_addr){ start + range.bytes - 1 }),
			  0);
	ck_assert_uint_eq(ask(&machine.volume.clean_cleaner, UINT64_MAX, start, start + range.bytes - 1), range.bytes);
	ck_assert_uint_eq(block_heap_free_within(&machine.memory.blocks, (struct phys_addr){ start },
						 (struct phys_addr){ start + range.bytes - 1 }),
			  8);
	cache_machine_fini(&machine);
}
END_TEST

/* Too many dirty pages to move: the second cleaner starts to write such blocks, and the first one gives them afterwards. */
START_TEST(dirty_blocks_are_written_before_they_go)
{
	struct pagecache_statistics before, after;
	struct cache_machine machine;
	struct random random;
	uint64_t start, end;

	cache_machine_init(&machine, DISK_BYTES, true);
	random_seed(&random, 6);
	cache_machine_fill(&machine);
	for (uint64_t number = 0; number < 4 * PAGES_PER_BLOCK; number += 2)
		cache_machine_write(&machine, &random, number * PAGE_BYTES + 1, 10);
	/* These blocks only: others are clean, and would go first. */
	start = cache_machine_block(&machine, 0);
	end = cache_machine_block(&machine, 4 * PAGES_PER_BLOCK - 1) + BLOCK_BYTES - 1;
	ck_assert_uint_eq(end - start, 4 * BLOCK_BYTES - 1);
	before = cache_machine_statistics(&machine);
	ck_assert_uint_eq(ask(&machine.volume.clean_cleaner, 3 * BLOCK_BYTES, start, end), 0);
	under_way = false;
	ck_assert_uint_eq(ask(&machine.volume.dirty_cleaner, 3 * BLOCK_BYTES, start, end), 0);
	ck_assert(under_way);
	while (under_way) {
		under_way = false;
		(void)ask(&machine.volume.dirty_cleaner, 3 * BLOCK_BYTES, start, end);
		writeback_settle(&machine.volume);
	}
	ck_assert_uint_eq(ask(&machine.volume.clean_cleaner, 3 * BLOCK_BYTES, start, end), 3 * BLOCK_BYTES);
	after = cache_machine_statistics(&machine);
	ck_assert_uint_gt(after.written_bytes, before.written_bytes);
	ck_assert_uint_eq(after.evicted_pages - before.evicted_pages, 3 * PAGES_PER_BLOCK);
	ck_assert_uint_le(after.dirty_pages, before.dirty_pages - 3 * PAGES_PER_BLOCK / 2);
	cache_machine_read(&machine, 0, 4 * BLOCK_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

/* Writeback ---------------------------------------------------------------------------------------------------------------- */

static struct pagecache_config eager_config(void)
{
	struct pagecache_config config = cache_machine_config;

	config.dirty_age_ns = 40 * NS_PER_MS;
	return config;
}

static bool is_all_clean(struct cache_machine *machine)
{
	return cache_machine_statistics(machine).dirty_pages == 0;
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
	while (cache_machine_statistics(machine).write_errors < 3)
		platform_yield();
	ck_assert_uint_ge(cache_machine_statistics(machine).dirty_pages, 1);
	ck_assert_uint_lt(cache_machine_statistics(machine).write_errors, 1000);
	machine->disk.fail_end = 0;
	ck_assert(wait_until(machine, is_all_clean));
	pagecache_stop(&machine->pagecache);
}

START_TEST(threads_find_old_pages_written)
{
	const struct pagecache_config config = eager_config();
	struct cache_machine machine;

	cache_machine_init_config(&machine, SMALL_DISK, true, &config);
	host_threads_run(2, background_or_test, &machine);
	machine.disk.fail_writes = false;
	cache_machine_fini(&machine);
}
END_TEST

static bool is_throttled(struct cache_machine *machine)
{
	return cache_machine_statistics(machine).throttled > 0;
}

/* Two write against a disk that takes nothing; the third sees them stop, and reads what is on its way to the disk. */
static void write_or_watch(void *context, unsigned index)
{
	static char page[PAGE_BYTES];
	struct cache_machine *machine = context;
	const uint64_t limit = machine->pagecache.dirty_max_pages;

	if (index < 2) {
		for (uint64_t i = 0; i < limit * 3 / 4; i++)
			ck_assert_int_eq(node_write(&machine->volume.node, (2 * i + index) * PAGE_BYTES, page, PAGE_BYTES),
					 STATUS_OK);
		return;
	}
	ck_assert(wait_until(machine, is_throttled));
	ck_assert_uint_le(cache_machine_statistics(machine).dirty_pages, limit + 2);
	while (fake_block_hold(&machine->disk, true) == 0)
		platform_yield(); /* the background writer has not got there yet */
	cache_machine_read(machine, 0, MIB);
	fake_block_hold(&machine->disk, false);
}

START_TEST(threads_that_write_wait_at_the_limit)
{
	struct cache_machine machine;

	cache_machine_init(&machine, 32 * BLOCK_BYTES, true);
	memset(machine.model, 0, machine.pagecache.dirty_max_pages / 4 * 6 * PAGE_BYTES);
	fake_block_hold(&machine.disk, true);
	host_threads_run(3, write_or_watch, &machine);
	cache_machine_fini(&machine);
}
END_TEST

/* Power cuts --------------------------------------------------------------------------------------------------------------- */

#define CRASH_WRITERS 3
#define CRASH_PAGES   96 /* of each writer */
#define CRASH_FLUSHES 12 /* of each writer */
#define CRASH_CUTS    1000
#define CRASH_DISK    (8 * MIB)

/* After this many events of the disk, these versions of the writer's pages have been promised. */
struct promise {
	size_t events;
	uint32_t versions[CRASH_PAGES];
};

struct crash {
	struct cache_machine machine;
	struct promise promises[CRASH_WRITERS][CRASH_FLUSHES];
	uint32_t versions[CRASH_WRITERS][CRASH_PAGES];
};

/* Writers' pages alternate, so that writes are merged across them. */
static uint64_t crash_page(unsigned writer, unsigned page)
{
	return (uint64_t)page * CRASH_WRITERS + writer;
}

static void crash_write(struct crash *crash, unsigned writer, unsigned page)
{
	uint32_t words[PAGE_BYTES / 4];
	const uint32_t version = ++crash->versions[writer][page];

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		words[i] = version;
	ck_assert_int_eq(node_write(&crash->machine.volume.node, crash_page(writer, page) * PAGE_BYTES, words, PAGE_BYTES),
			 STATUS_OK);
}

static void crash_writer(void *context, unsigned writer)
{
	struct crash *crash = context;
	struct random random;

	if (writer == CRASH_WRITERS) {
		pagecache_writeback_run(&crash->machine.pagecache);
		return;
	}
	random_seed(&random, writer + 1);
	for (unsigned flush = 0; flush < CRASH_FLUSHES; flush++) {
		struct promise *promise = &crash->promises[writer][flush];

		for (unsigned i = 0; i < 60; i++)
			crash_write(crash, writer, (unsigned)random_below(&random, CRASH_PAGES));
		if (flush % 3 == 2)
			memory_drain(&crash->machine.memory, BLOCK_BYTES, true);
		ck_assert_int_eq(volume_flush(&crash->machine.volume), STATUS_OK);
		promise->events = fake_block_log_count(&crash->machine.disk);
		memcpy(promise->versions, crash->versions[writer], sizeof(promise->versions));
	}
	if (writer == 0)
		pagecache_stop(&crash->machine.pagecache);
}

/* libcheck's own checks are too slow for so many. */
static bool keeps_promise(const struct promise *promise, unsigned writer, const unsigned char *image)
{
	for (unsigned page = 0; page < CRASH_PAGES; page++) {
		const uint32_t *words = (const void *)(image + crash_page(writer, page) * PAGE_BYTES);

		if (words[0] < promise->versions[page])
			return false;
		for (size_t i = 1; i < PAGE_BYTES / 4; i += 100)
			if (words[i] != words[0])
				return false;
	}
	return true;
}

static void check_crash(const struct crash *crash, const unsigned char *image, size_t cut)
{
	for (unsigned writer = 0; writer < CRASH_WRITERS; writer++) {
		for (unsigned flush = 0; flush < CRASH_FLUSHES; flush++) {
			const struct promise *promise = &crash->promises[writer][flush];

			ck_assert(promise->events > cut || keeps_promise(promise, writer, image));
		}
	}
}

START_TEST(threads_keep_what_was_flushed_through_power_cuts)
{
	const struct pagecache_config config = eager_config();
	static struct crash crash;
	unsigned char *image = malloc(CRASH_DISK);
	struct random random;
	size_t events;

	cache_machine_init_config(&crash.machine, CRASH_DISK, true, &config);
	memset(crash.machine.disk.data, 0, CRASH_DISK);
	crash.machine.disk.shuffled = true;
	fake_block_log(&crash.machine.disk);
	host_threads_run(CRASH_WRITERS + 1, crash_writer, &crash);
	ck_assert_int_eq(volume_flush(&crash.machine.volume), STATUS_OK);
	events = fake_block_log_count(&crash.machine.disk);
	random_seed(&random, 11);
	for (unsigned i = 0; i < CRASH_CUTS; i++) {
		const size_t cut = random_below(&random, events + 1);

		fake_block_crash(&crash.machine.disk, cut, &random, image);
		check_crash(&crash, image, cut);
	}
	memcpy(crash.machine.model, crash.machine.disk.data, CRASH_DISK);
	free(image);
	cache_machine_fini(&crash.machine);
}
END_TEST

HOST_TEST_MAIN("pagecache_faults", a_bad_page_spoils_no_other, threads_get_the_good_pages_of_a_failed_request,
	       a_write_error_is_told_by_every_flush_and_costs_nothing, a_failed_device_flush_is_told,
	       a_dead_disk_does_not_stop_writers_to_another, without_a_frame_there_is_an_error_and_no_harm,
	       a_page_cache_that_cannot_start_leaves_nothing, a_new_volume_gets_its_share,
	       a_cleaner_keeps_to_the_range_that_is_wanted, dirty_blocks_are_written_before_they_go,
	       a_window_goes_whole_or_not_at_all, threads_find_old_pages_written, threads_that_write_wait_at_the_limit,
	       threads_keep_what_was_flushed_through_power_cuts)
