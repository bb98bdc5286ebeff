// SPDX-License-Identifier: BSD-2-Clause
/*
 * Flushes of two volumes of one disk, which loses what both have written; by one thread, and by
 * many at once.
 */
#include <pthread.h>
#include <string.h>

#include "fake/forgetful_fixture.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"

static struct cache_machine machine;
static char ignored[2]; /* what is logged */

/*
 * The disk loses what two volumes have written, in a flush of one. The other one's flush comes when
 * the disk has failed, before that is seen.
 */
static struct volume other;
static struct flush other_flush;

static void flush_other(void)
{
	flush_begin(&other_flush, &other, NULL);
	for (unsigned i = 0; i < 3; i++)
		ck_assert(!flush_step(&other_flush));
}

START_TEST(a_flush_of_another_volume_of_the_disk_that_fails_is_seen)
{
	const struct volume_config config = { .preference = 50 };
	static char page[PAGE_BYTES] = "other";

	forgetful_machine_init(&machine);
	cache_machine_shrink(&machine, 8 * MIB);
	ck_assert_int_eq(volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", 8 * MIB, MIB, &config),
			 STATUS_OK);
	for (unsigned way = 0; way < 2; way++) {
		page[9] = (char)way;
		ck_assert_int_eq(node_write(&other.node, 0, page, PAGE_BYTES), STATUS_OK);
		ck_assert_int_eq(cache_write_back(&other.node), STATUS_OK);
		machine.disk.fail_flushes = true;
		if (way == 1)
			forgetful_hook(&machine, BLOCK_FLUSH, NULL, flush_other);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		machine.disk.fail_flushes = false;
		if (way == 0) {
			ck_assert_int_eq(volume_flush(&other), STATUS_OK);
		} else {
			ck_assert(flush_step(&other_flush));
			ck_assert_int_eq(other_flush.status, STATUS_OK);
		}
		ck_assert_int_eq(memcmp(machine.disk.durable + 8 * MIB, page, PAGE_BYTES), 0);
	}
	memcpy(machine.model + 8 * MIB, page, PAGE_BYTES);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* Nothing of its own ends meanwhile that would wake it. */
static void wait_for_other(void)
{
	while (atomic_load(&other.counts.flushes) == 0)
		platform_yield();
	for (unsigned i = 0; i < 1000; i++)
		platform_yield();
}

static void flush_one(void *context, unsigned index)
{
	(void)context;
	while (index == 1 && !atomic_load(&machine.disk.device.flushing))
		platform_yield();
	ck_assert_int_eq(volume_flush(index == 1 ? &other : &machine.volume), STATUS_OK);
}

START_TEST(threads_flush_two_volumes_of_a_disk_one_after_the_other)
{
	const struct volume_config config = { .preference = 50 };

	forgetful_machine_init(&machine);
	cache_machine_shrink(&machine, 8 * MIB);
	ck_assert_int_eq(volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", 8 * MIB, MIB, &config),
			 STATUS_OK);
	forgetful_hook(&machine, BLOCK_FLUSH, NULL, wait_for_other);
	host_threads_run(2, flush_one, NULL);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* Threads -------------------------------------------------------------------------------------- */

#define WRITERS       3u
#define WRITER_PAGES  40u
#define WRITER_ROUNDS 60u

#define OTHER_START (4 * MIB)

/* The last one writes to another volume of the disk. */
static uint64_t page_of(unsigned writer, unsigned page)
{
	return writer == WRITERS - 1 ? page : (uint64_t)page * (WRITERS - 1) + writer;
}

static struct volume *volume_of(unsigned writer)
{
	return writer == WRITERS - 1 ? &other : &machine.volume;
}

static uint32_t durable_version(unsigned writer, unsigned page)
{
	uint32_t version;

	pthread_mutex_lock(&machine.disk.mutex);
	memcpy(&version, machine.disk.durable + volume_of(writer)->start_bytes + page_of(writer, page) * PAGE_BYTES,
	       sizeof(version));
	pthread_mutex_unlock(&machine.disk.mutex);
	return version;
}

static void write_version(unsigned writer, unsigned page, uint32_t version)
{
	uint32_t words[PAGE_BYTES / 4];

	for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
		words[i] = version;
	ck_assert_int_eq(node_write(&volume_of(writer)->node, page_of(writer, page) * PAGE_BYTES, words, PAGE_BYTES),
			 STATUS_OK);
}

static _Atomic unsigned writers_left;

static void writer_or_fault(void *context, unsigned index)
{
	uint32_t versions[WRITER_PAGES] = { 0 };
	struct random random;

	(void)context;
	random_seed(&random, index + 1);
	if (index == WRITERS) {
		pagecache_writeback_run(&machine.pagecache);
		return;
	}
	for (unsigned round = 0; round < WRITER_ROUNDS; round++) {
		for (unsigned i = 0; i < 20; i++) {
			const unsigned page = (unsigned)random_below(&random, WRITER_PAGES);

			write_version(index, page, ++versions[page]);
		}
		if (random_below(&random, 3) == 0)
			(void)volume_drop(volume_of(index));
		if (random_below(&random, 4) == 0)
			machine.disk.fail_flushes = !machine.disk.fail_flushes;
		if (random_below(&random, 4) == 0)
			fake_block_reset(&machine.disk);
		if (volume_flush(volume_of(index)) != STATUS_OK)
			continue;
		for (unsigned page = 0; page < WRITER_PAGES; page++)
			ck_assert_uint_ge(durable_version(index, page), versions[page]);
	}
	if (atomic_fetch_sub(&writers_left, 1) == 1)
		pagecache_stop(&machine.pagecache);
}

START_TEST(threads_that_flush_at_once_are_told_the_truth)
{
	const struct volume_config other_config = { .preference = 50 };
	struct pagecache_config config = cache_machine_config;

	config.dirty_age_ns = 40 * NS_PER_MS;
	cache_machine_init_config(&machine, 8 * MIB, true, &config);
	cache_machine_shrink(&machine, OTHER_START);
	ck_assert_int_eq(
		volume_attach(&other, &machine.pagecache, &machine.disk.device, "other", OTHER_START, MIB, &other_config),
		STATUS_OK);
	memset(machine.disk.data, 0, 8 * MIB);
	fake_block_forgetful(&machine.disk);
	machine.disk.shuffled = true;
	host_output_capture(ignored, sizeof(ignored));
	writers_left = WRITERS;
	host_threads_run(WRITERS + 1, writer_or_fault, NULL);
	machine.disk.fail_flushes = false;
	for (unsigned writer = 0; writer < WRITERS; writer++)
		for (unsigned page = 0; page < WRITER_PAGES; page++)
			write_version(writer, page, 1000);
	while (pagecache_flush(&machine.pagecache) != STATUS_OK)
		; /* the last reset may come yet */
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	memcpy(machine.model, machine.disk.durable, 8 * MIB);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * What is written past the page cache, to the same disk, is flushed in turn with a volume. When
 * that flush fails, the disk has lost what the volume has written, too.
 */
START_TEST(a_flush_past_the_page_cache_that_fails_is_seen)
{
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 5);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(pagecache_flush_device(&machine.pagecache, &machine.disk.device), STATUS_IO_ERROR);
	machine.disk.fail_flushes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	ck_assert_int_eq(pagecache_flush_device(&machine.pagecache, &machine.disk.device), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

static _Atomic unsigned flushing;
static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static void (*flush_done)(struct block_request *request);

static void count_done(struct block_request *request)
{
	atomic_fetch_sub(&flushing, 1);
	flush_done(request);
}

/* One at a time: so one `done` is all there is to be kept. */
static void submit_counted(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_FLUSH) {
		ck_assert_uint_eq(atomic_fetch_add(&flushing, 1), 0);
		flush_done = request->done;
		request->done = count_done;
	}
	submit_to_disk(device, request);
}

static void flush_volume_or_past_it(void *context, unsigned index)
{
	(void)context;
	for (unsigned i = 0; i < 500; i++)
		ck_assert_int_eq(index == 0 ? volume_flush(&machine.volume)
					    : pagecache_flush_device(&machine.pagecache, &machine.disk.device),
				 STATUS_OK);
}

START_TEST(threads_flush_a_volume_and_past_it_one_after_the_other)
{
	cache_machine_init(&machine, SMALL_DISK, true);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = submit_counted;
	host_threads_run(3, flush_volume_or_past_it, NULL);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("flush volumes", a_flush_of_another_volume_of_the_disk_that_fails_is_seen,
	       threads_flush_two_volumes_of_a_disk_one_after_the_other, threads_that_flush_at_once_are_told_the_truth,
	       a_flush_past_the_page_cache_that_fails_is_seen, threads_flush_a_volume_and_past_it_one_after_the_other)
