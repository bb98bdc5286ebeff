// SPDX-License-Identifier: BSD-2-Clause
/*
 * Direct I/O concerns its range only: random transfers over a cache that is dirty everywhere and a
 * disk with bad sectors, compared with a flat array; the disk's log shows what each one had
 * written.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

#define PAGE(n)     ((n)*PAGE_BYTES)
#define SECTOR      512u
#define DISK        (2 * MIB)
#define PAGES       (DISK / PAGE_BYTES)
#define RANGE_PAGES 12
#define ROUNDS      6
#define STEPS       80

struct test {
	struct cache_machine machine;
	struct node *node;
	struct random random;
	struct phys_addr block; /* what is transferred */
};

static struct test test;

static uint64_t below(uint64_t bound)
{
	return random_below(&test.random, bound);
}

static void start(bool threaded)
{
	const struct memory_request request = { .blocks = 1, .owner = &test.machine.pagecache.owner };

	cache_machine_init(&test.machine, DISK, threaded);
	ck_assert_int_eq(memory_blocks_alloc(&test.machine.memory, &request, &test.block), STATUS_OK);
	test.node = &test.machine.volume.node;
}

static void end(void)
{
	memory_blocks_free(&test.machine.memory, test.block);
	cache_machine_fini(&test.machine);
}

static bool is_bad(uint64_t offset, uint64_t bytes)
{
	const struct fake_block *disk = &test.machine.disk;

	return disk->fail_writes && offset < disk->fail_end && offset + bytes > disk->fail_start;
}

/* Some pages become dirty: neighbours, pages by themselves, parts of pages. */
static void dirty_some(void)
{
	for (uint64_t i = below(8); i > 0; i--) {
		const uint64_t bytes = 1 + below(PAGE(6));
		const uint64_t offset = below(DISK - bytes);

		cache_machine_write(&test.machine, &test.random, offset, bytes);
	}
}

/* What was written since the log had `first` entries lies within the pages of the range. */
static void check_log(size_t first, uint64_t offset, uint64_t bytes)
{
	const struct fake_block *disk = &test.machine.disk;

	for (size_t i = first; i < disk->log_count; i++) {
		ck_assert_int_eq(disk->log[i].operation, BLOCK_WRITE);
		ck_assert_uint_ge(disk->log[i].offset_bytes, align_down(offset, PAGE_BYTES));
		ck_assert_uint_le(disk->log[i].offset_bytes + disk->log[i].bytes, align_up(offset + bytes, PAGE_BYTES));
	}
}

static bool range_is_dirty(uint64_t offset, uint64_t bytes)
{
	uint32_t state = 0;

	for (uint64_t number = offset / PAGE_BYTES; number * PAGE_BYTES < offset + bytes && !page_is_newer(state); number++)
		(void)index_find(&test.machine.pagecache.pages.index, page_key_make(test.node->id, number), &state);
	return page_is_newer(state);
}

/* Returns whether it succeeded; it may fail only if a page of its range cannot be written. */
static bool transfer(enum block_operation operation)
{
	const uint64_t bytes = (1 + below(RANGE_PAGES * PAGE_BYTES / SECTOR)) * SECTOR;
	const uint64_t offset = align_down(below(DISK - bytes), SECTOR);
	const uint64_t cut = align_down(below(bytes), SECTOR);
	const struct phys_range segments[] = { { test.block, cut }, { { test.block.value + cut }, bytes - cut } };
	const uint64_t dirty = cache_machine_statistics(&test.machine)->dirty_pages;
	const size_t logged = fake_block_log_count(&test.machine.disk);
	unsigned char *memory = platform_virt(test.block);
	unsigned char *model = test.machine.model + offset;
	const uint64_t pages_start = align_down(offset, PAGE_BYTES);
	const bool may_fail = is_bad(pages_start, align_up(offset + bytes, PAGE_BYTES) - pages_start);
	status_t status;

	for (uint64_t i = 0; i < bytes; i++)
		memory[i] = (unsigned char)random_next(&test.random);
	status = node_direct(test.node, operation, offset, cut > 0 ? segments : segments + 1, cut > 0 ? 2 : 1);
	check_log(logged, offset, bytes);
	if (status != STATUS_OK) {
		ck_assert(may_fail);
		ck_assert_int_eq(status, STATUS_IO_ERROR);
		return false;
	}
	ck_assert(!range_is_dirty(offset, bytes));
	ck_assert_uint_le(dirty - cache_machine_statistics(&test.machine)->dirty_pages, divide_round_up(bytes, PAGE_BYTES) + 1);
	if (operation == BLOCK_READ)
		ck_assert_int_eq(memcmp(memory, model, bytes), 0);
	else
		memcpy(model, memory, bytes);
	return true;
}

/* Writes that fail in part leave either; only reads are done where sectors are bad. */
static void step(bool bad)
{
	uint64_t bytes;

	dirty_some();
	(void)transfer(bad || below(2) == 0 ? BLOCK_READ : BLOCK_WRITE);
	bytes = 1 + below(PAGE(8));
	cache_machine_read(&test.machine, below(DISK - bytes), bytes);
}

START_TEST(a_transfer_concerns_its_range_only)
{
	random_seed(&test.random, 4);
	for (unsigned round = 0; round < ROUNDS; round++) {
		start(false);
		fake_block_log(&test.machine.disk);
		for (unsigned i = 0; i < STEPS; i++)
			step(false);
		end();
	}
}
END_TEST

START_TEST(bad_sectors_elsewhere_do_no_harm)
{
	unsigned failed = 0, succeeded = 0;

	random_seed(&test.random, 6);
	for (unsigned round = 0; round < ROUNDS; round++) {
		start(false);
		fake_block_log(&test.machine.disk);
		test.machine.disk.fail_start = align_down(below(DISK), SECTOR);
		test.machine.disk.fail_end = test.machine.disk.fail_start + (1 + below(PAGE(64) / SECTOR)) * SECTOR;
		test.machine.disk.fail_writes = true;
		for (unsigned i = 0; i < STEPS; i++) {
			step(true);
			if (transfer(BLOCK_READ))
				succeeded++;
			else
				failed++;
		}
		test.machine.disk.fail_writes = false;
		end();
	}
	ck_assert_uint_gt(failed, 0);
	ck_assert_uint_gt(succeeded, 10 * failed);
}
END_TEST

/*
 * The page of its range was written together with a bad one, and failed with it: that is the other
 * one's fault.
 */
START_TEST(a_good_page_that_failed_with_a_bad_one_is_written)
{
	random_seed(&test.random, 1);
	start(false);
	cache_machine_write(&test.machine, &test.random, 0, PAGE(8));
	test.machine.disk.fail_end = SECTOR;
	test.machine.disk.fail_writes = true;
	pagecache_writeback_step(&test.machine.pagecache);
	while (writeback_start_range(test.node, 0, 8, true))
		;
	ck_assert_uint_eq(cache_machine_statistics(&test.machine)->failed_pages, 8);
	ck_assert_int_eq(node_direct(test.node, BLOCK_READ, PAGE(5), &(struct phys_range){ test.block, PAGE_BYTES }, 1),
			 STATUS_OK);
	ck_assert_int_eq(memcmp(platform_virt(test.block), test.machine.model + PAGE(5), PAGE_BYTES), 0);
	ck_assert_uint_eq(cache_machine_statistics(&test.machine)->failed_pages, 7);
	ck_assert_int_eq(node_direct(test.node, BLOCK_READ, 0, &(struct phys_range){ test.block, PAGE_BYTES }, 1),
			 STATUS_IO_ERROR);
	test.machine.disk.fail_writes = false;
	end();
}
END_TEST

/* A mapping elsewhere, for writing, lasts as long as it likes. */
START_TEST(a_mapping_elsewhere_is_not_waited_for)
{
	struct mapping *mapping;

	random_seed(&test.random, 9);
	start(false);
	cache_machine_write(&test.machine, &test.random, PAGE(3), PAGE_BYTES);
	ck_assert_int_eq(node_map(test.node, PAGE(3), PAGE_BYTES, MAP_WRITE, &mapping), STATUS_OK);
	for (uint64_t i = 0; i < 70000; i++) /* as many as 16 bits count */
		ck_assert_int_eq(node_direct(test.node, BLOCK_READ, PAGE(4), &(struct phys_range){ test.block, SECTOR }, 1),
				 STATUS_OK);
	node_unmap(mapping);
	end();
}
END_TEST

/* A flush of the device that lasts ------------------------------------------------------------- */

static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static struct block_request *_Atomic flush;

/* The disk keeps the flush, and does all else. */
static void submit_but_flushes(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_FLUSH && !atomic_load(&flush))
		atomic_store(&flush, request);
	else
		submit_to_disk(device, request);
}

static void flush_or_transfer(void *context, unsigned index)
{
	(void)context;
	if (index == 0) {
		ck_assert_int_eq(volume_flush(&test.machine.volume), STATUS_OK);
		return;
	}
	while (!atomic_load(&flush))
		platform_yield();
	for (unsigned i = 0; i < 100; i++) {
		dirty_some();
		ck_assert(transfer(below(2) == 0 ? BLOCK_READ : BLOCK_WRITE));
	}
	submit_to_disk(&test.machine.disk.device, atomic_load(&flush));
}

START_TEST(threads_transfer_while_the_device_flushes)
{
	random_seed(&test.random, 2);
	start(true);
	cache_machine_write(&test.machine, &test.random, 0, PAGE(20));
	submit_to_disk = test.machine.disk.device.submit;
	test.machine.disk.device.submit = submit_but_flushes;
	host_threads_run(2, flush_or_transfer, NULL);
	end();
}
END_TEST

/* Losses --------------------------------------------------------------------------------------- */

static char ignored[2]; /* what is logged */

static void start_forgetful(void)
{
	start(false);
	fake_block_forgetful(&test.machine.disk);
	host_output_capture(ignored, sizeof(ignored));
	submit_to_disk = test.machine.disk.device.submit;
}

static unsigned resets; /* before so many reads */

static void submit_reads_after_a_reset(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_READ && resets > 0) {
		resets--;
		fake_block_reset(&test.machine.disk);
	}
	submit_to_disk(device, request);
}

START_TEST(what_the_disk_loses_before_a_transfer_is_read_all_the_same)
{
	struct phys_range segment = { .bytes = PAGE(3) };

	start_forgetful();
	segment.start = test.block;
	test.machine.disk.device.submit = submit_reads_after_a_reset;
	cache_machine_write(&test.machine, &test.random, 0, PAGE(3));
	ck_assert_int_eq(cache_write_back(test.node), STATUS_OK);
	for (resets = 2; resets > 0;) {
		ck_assert_int_eq(node_direct(test.node, BLOCK_READ, 0, &segment, 1), STATUS_OK);
		ck_assert_int_eq(memcmp(platform_virt(test.block), test.machine.model, PAGE(3)), 0);
	}
	end();
}
END_TEST

/*
 * A reader has asked for page 0 when a direct write of two pages comes, and gets what is there
 * before, after the first page was transferred. The disk loses its cache then (way 0), or before
 * the first page is transferred (way 1), and a flush sees that.
 */
static struct block_request *_Atomic held_read;
static void (*read_done)(struct block_request *request);
static unsigned way;
static pthread_t reader;

static void hold_read(struct block_request *request)
{
	atomic_store(&held_read, request);
}

static void *read_first_page(void *context)
{
	static char byte;

	(void)context;
	ck_assert_int_eq(node_read(test.node, 0, &byte, 1), STATUS_OK);
	return NULL;
}

static void begin_read(void)
{
	ck_assert_int_eq(pthread_create(&reader, NULL, read_first_page, NULL), 0);
	while (!atomic_load(&held_read))
		platform_yield();
}

static void end_read_and_lose(void)
{
	read_done(atomic_load(&held_read));
	pthread_join(reader, NULL);
	fake_block_reset(&test.machine.disk);
	(void)!volume_flush(&test.machine.volume);
}

static void submit_beside_a_reader(struct block_device *device, struct block_request *request)
{
	const uint64_t loses_at = way == 0 ? PAGE(1) : 0;

	if (request->operation == BLOCK_READ && !read_done) {
		read_done = request->done;
		request->done = hold_read;
	} else if (request->operation == BLOCK_WRITE && request->offset_bytes <= PAGE(1) && !atomic_load(&held_read)) {
		begin_read();
		if (loses_at == 0)
			end_read_and_lose();
	} else if (request->operation == BLOCK_WRITE && request->offset_bytes == PAGE(1) && loses_at == PAGE(1)) {
		way = 2;
		end_read_and_lose();
	}
	submit_to_disk(device, request);
}

START_TEST(what_a_reader_brings_back_is_not_written_over_a_transfer)
{
	struct phys_range segment = { .bytes = PAGE(2) };

	for (unsigned first_way = 0; first_way < 2; first_way++) {
		start_forgetful();
		segment.start = test.block;
		way = first_way;
		read_done = NULL;
		atomic_store(&held_read, NULL);
		/* The page was written before, and is not durable. */
		cache_machine_write(&test.machine, &test.random, 0, PAGE(1));
		ck_assert_int_eq(cache_write_back(test.node), STATUS_OK);
		ck_assert(node_evict_page(test.node, 0));
		test.machine.disk.device.transfer_bytes_max = PAGE_BYTES;
		test.machine.disk.device.submit = submit_beside_a_reader;
		memset(platform_virt(test.block), 'D', PAGE(2));
		ck_assert_int_eq(node_direct(test.node, BLOCK_WRITE, 0, &segment, 1), STATUS_OK);
		memset(test.machine.model, 'D', PAGE(2));
		(void)!volume_flush(&test.machine.volume);
		for (uint64_t page = 0; page < 2; page++)
			ck_assert(ranges_touch(&test.machine.volume.writeback.written.lost, PAGE(page), PAGE(page + 1)) ||
				  memcmp(test.machine.disk.durable + PAGE(page), platform_virt(test.block), PAGE_BYTES) == 0);
		cache_machine_write(&test.machine, &test.random, 0, PAGE(2));
		ck_assert_int_eq(volume_flush(&test.machine.volume), STATUS_OK);
		end();
	}
}
END_TEST

HOST_TEST_MAIN("direct", a_transfer_concerns_its_range_only, bad_sectors_elsewhere_do_no_harm,
	       a_good_page_that_failed_with_a_bad_one_is_written, a_mapping_elsewhere_is_not_waited_for,
	       threads_transfer_while_the_device_flushes, what_the_disk_loses_before_a_transfer_is_read_all_the_same,
	       what_a_reader_brings_back_is_not_written_over_a_transfer)
