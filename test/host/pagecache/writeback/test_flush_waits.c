// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a flush waits for, and for how long: its own pages and no others, once each, and not beyond
 * a deadline.
 */
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"

#define SMALL_DISK (16 * BLOCK_BYTES)
#define NODE_PAGES 256ull

static struct cache_machine machine;
static struct node a, b;
static const struct extent extents[2] = { { 0, 0, NODE_PAGES }, { 0, 4 * MIB, NODE_PAGES } };
static char page[PAGE_BYTES];

static void two_nodes(bool threaded)
{
	cache_machine_init(&machine, SMALL_DISK, threaded);
	memset(machine.model, 0, MIB);
	memset(machine.model + 4 * MIB, 0, MIB);
	memset(machine.disk.data, 0, MIB);
	memset(machine.disk.data + 4 * MIB, 0, MIB);
	ck_assert_int_eq(node_open(&a, &machine.volume, &extents[0], 1, NODE_PAGES * PAGE_BYTES), STATUS_OK);
	ck_assert_int_eq(node_open(&b, &machine.volume, &extents[1], 1, NODE_PAGES * PAGE_BYTES), STATUS_OK);
}

static void two_nodes_close(void)
{
	ck_assert_int_eq(node_close(&a, false), STATUS_OK);
	ck_assert_int_eq(node_close(&b, false), STATUS_OK);
	cache_machine_fini(&machine);
}

static void write_page(struct node *node, uint64_t number)
{
	ck_assert_int_eq(node_write(node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
}

/* The other node's tree leads nowhere meanwhile: who visits one of its pages does not come back. */
START_TEST(a_flush_of_a_node_visits_only_its_pages)
{
	struct dirty hidden;

	two_nodes(false);
	for (uint64_t i = 0; i < NODE_PAGES; i += 2)
		write_page(&b, i);
	for (unsigned round = 0; round < 3; round++) {
		write_page(&a, 7);
		hidden = b.dirty;
		b.dirty.root = PAGE_NONE - 1;
		ck_assert_int_eq(node_flush(&a), STATUS_OK);
		ck_assert_uint_eq(machine.disk.writes, round + 1);
		b.dirty = hidden;
		ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, NODE_PAGES / 2);
	}
	two_nodes_close();
}
END_TEST

/*
 * What a writer dirties while the flush goes on is not the flush's: the writer stays ahead for ever
 * here.
 */
static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static uint64_t dirtied;

static void write_ahead(struct block_device *device, struct block_request *request)
{
	const bool is_write = request->operation == BLOCK_WRITE;

	submit_to_disk(device, request);
	if (is_write && dirtied < NODE_PAGES)
		write_page(&a, dirtied++);
}

START_TEST(what_becomes_dirty_meanwhile_is_for_the_next_flush)
{
	two_nodes(false);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = write_ahead;
	write_page(&a, 0);
	dirtied = 1;
	ck_assert_int_eq(node_flush(&a), STATUS_OK);
	ck_assert_uint_eq(machine.disk.writes, 1);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 1);
	machine.disk.device.submit = submit_to_disk;
	two_nodes_close();
}
END_TEST

START_TEST(a_failed_page_is_tried_once_by_each_flush_of_its_node)
{
	two_nodes(false);
	machine.disk.fail_writes = true;
	machine.disk.fail_start = 3 * PAGE_BYTES;
	machine.disk.fail_end = 4 * PAGE_BYTES;
	write_page(&a, 3);
	ck_assert_int_eq(node_flush(&a), STATUS_IO_ERROR);
	for (unsigned i = 0; i < 5; i++) {
		const uint64_t writes = machine.disk.writes;

		write_page(&b, i);
		ck_assert_int_eq(node_flush(&b), STATUS_OK);
		ck_assert_uint_eq(machine.disk.writes, writes + 1);
		ck_assert_int_eq(node_flush(&a), STATUS_IO_ERROR);
		ck_assert_uint_eq(machine.disk.writes, writes + 2);
	}
	machine.disk.fail_writes = false;
	two_nodes_close();
}
END_TEST

/*
 * As the cleaners ask for it, of a page that they have seen dirty before its write failed: the next
 * try is not theirs.
 */
START_TEST(a_page_that_has_failed_is_not_written_ahead)
{
	struct page *failed;
	uint64_t writes;
	uint32_t state;

	two_nodes(false);
	machine.disk.fail_writes = true;
	machine.disk.fail_start = 3 * PAGE_BYTES;
	machine.disk.fail_end = 4 * PAGE_BYTES;
	write_page(&a, 3);
	ck_assert_int_eq(node_flush(&a), STATUS_IO_ERROR);
	write_page(&a, 2);
	writes = machine.disk.writes;
	failed = index_find(&machine.pagecache.pages.index, page_key_make(a.id, 3), &state);
	ck_assert(failed && (state & PAGE_FAILED));
	ck_assert(writeback_start_page(&machine.volume, failed));
	ck_assert_uint_eq(machine.disk.writes, writes);
	machine.disk.fail_writes = false;
	two_nodes_close();
}
END_TEST

/*
 * The disk is reset while it writes, twice in one flush, and another node's flush sees to that. It
 * had no cache to lose.
 */
static struct block_request *held_write;

static void hold_writes(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_WRITE)
		held_write = request;
	else
		submit_to_disk(device, request);
}

START_TEST(a_reset_of_a_disk_without_a_cache_loses_nothing)
{
	struct flush flush;

	two_nodes(false);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.write_cache = false;
	machine.disk.device.submit = hold_writes;
	write_page(&a, 3);
	flush_begin(&flush, &machine.volume, &a);
	for (unsigned i = 0; i < 2 && !flush_step(&flush); i++) {
		atomic_fetch_add(&machine.disk.device.cache_losses, 1);
		ck_assert_int_eq(node_flush(&b), STATUS_OK);
		submit_to_disk(&machine.disk.device, held_write);
		write_page(&a, 5);
	}
	machine.disk.device.submit = submit_to_disk;
	ck_assert(flush_step(&flush));
	ck_assert_int_eq(flush.status, STATUS_OK);
	two_nodes_close();
}
END_TEST

/* Each page that is good is retried in its turn, no matter what becomes of the others. */
START_TEST(the_background_tries_all_failed_pages_in_turn)
{
	two_nodes(false);
	host_clock_set(HOST_CLOCK_MANUAL);
	machine.disk.fail_writes = true;
	machine.disk.fail_end = UINT64_MAX;
	for (uint64_t i = 0; i < 4; i++) {
		write_page(&a, 2 * i);
		write_page(&b, 2 * i);
	}
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_end = PAGE_BYTES; /* one stays bad */
	for (unsigned i = 0; i < 4; i++) {
		host_clock_turn(60 * NS_PER_S);
		for (unsigned step = 0; step < 10; step++)
			pagecache_writeback_step(&machine.pagecache);
	}
	ck_assert_uint_eq(cache_machine_statistics(&machine)->failed_pages, 1);
	machine.disk.fail_writes = false;
	two_nodes_close();
}
END_TEST

/*
 * Old pages are written, however long a mapping stays, and however often sets have turned
 * meanwhile.
 */
START_TEST(a_mapping_may_last_for_any_number_of_passes)
{
	struct pagecache_config config = cache_machine_config;
	struct mapping *mapping;

	config.dirty_age_ns = 100 * NS_PER_MS;
	host_clock_set(HOST_CLOCK_MANUAL);
	cache_machine_init_config(&machine, SMALL_DISK, false, &config);
	ck_assert_int_eq(node_write(&machine.volume.node, 0, page, 100), STATUS_OK);
	ck_assert_int_eq(node_map(&machine.volume.node, 0, PAGE_BYTES, MAP_WRITE, &mapping), STATUS_OK);
	for (unsigned round = 0; round < 70000; round++) {
		host_clock_turn(50 * NS_PER_MS);
		ck_assert_int_eq(node_write(&machine.volume.node, MIB, page, 1), STATUS_OK);
		pagecache_writeback_step(&machine.pagecache);
	}
	memset(platform_virt(mapping->segments[0].start), 0x77, PAGE_BYTES);
	memset(machine.model, 0x77, PAGE_BYTES);
	machine.model[MIB] = 0;
	node_unmap(mapping);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 0);
	cache_machine_fini(&machine);
}
END_TEST

/* One thread: who waited for the mapping of the other node would wait for ever. */
START_TEST(direct_reads_of_a_node_do_not_wait_for_a_mapping_of_another)
{
	struct owner owner;
	const struct memory_request request = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct phys_range segment = { .bytes = PAGE_BYTES };
	struct mapping *mapping;

	two_nodes(false);
	owner_init(&owner, "test", false);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &segment.start), STATUS_OK);
	write_page(&b, 0);
	ck_assert_int_eq(node_map(&b, 0, PAGE_BYTES, MAP_WRITE, &mapping), STATUS_OK);
	for (unsigned i = 0; i < 40000; i++) {
		if (i % 16 == 0)
			write_page(&a, i % NODE_PAGES);
		ck_assert_int_eq(node_direct(&a, BLOCK_READ, 0, &segment, 1), STATUS_OK);
	}
	memset(platform_virt(mapping->segments[0].start), 0, PAGE_BYTES);
	node_unmap(mapping);
	memory_blocks_free(&machine.memory, segment.start);
	two_nodes_close();
}
END_TEST

/*
 * A mapping that is forgotten, and a disk that does not answer, hold up neither other volumes nor
 * the end.
 */
START_TEST(threads_that_switch_off_do_not_wait_for_ever)
{
	static char log[4096];
	const struct volume_config config = { .preference = 50 };
	struct fake_block others[2];
	struct volume volumes[2];
	struct mapping *mapping;

	two_nodes(true);
	for (unsigned i = 0; i < 2; i++) {
		fake_block_init(&others[i], SMALL_DISK, true);
		ck_assert_int_eq(volume_attach(&volumes[i], &machine.pagecache, &others[i].device, i ? "z silent" : "a good", 0,
					       SMALL_DISK, &config),
				 STATUS_OK);
		ck_assert_int_eq(node_write(&volumes[i].node, 5 * PAGE_BYTES, page, 10), STATUS_OK);
	}
	fake_block_hold(&others[1], true);
	write_page(&a, 3);
	write_page(&b, 3);
	ck_assert_int_eq(node_map(&a, 3 * PAGE_BYTES, PAGE_BYTES, MAP_WRITE, &mapping), STATUS_OK);
	host_output_capture(log, sizeof(log));
	ck_assert_int_eq(pagecache_flush_until(&machine.pagecache, platform_now_ns() + 2 * NS_PER_S), STATUS_TIMEOUT);
	host_output_capture(NULL, 0);
	ck_assert_uint_eq(others[0].flushes, 1);
	ck_assert_uint_eq(volumes[0].counts.dirty_pages, 0);
	ck_assert_uint_eq(machine.disk.writes, 1); /* b's */
	/* What is lost has a name. */
	ck_assert_ptr_null(strstr(log, "a good"));
	ck_assert_msg(strstr(log, "disk: flush failed") && strstr(log, "disk:   bytes 12288 to 16383"), "%s", log);
	ck_assert_msg(strstr(log, "test_flush_waits.c"), "%s", log);
	ck_assert_msg(strstr(log, "z silent: flush failed") && strstr(log, "z silent:   bytes 20480 to 24575"), "%s", log);
	fake_block_hold(&others[1], false);
	memset(platform_virt(mapping->segments[0].start), 0, PAGE_BYTES);
	node_unmap(mapping);
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_int_eq(volume_detach(&volumes[i], false), STATUS_OK);
		fake_block_fini(&others[i]);
	}
	two_nodes_close();
}
END_TEST

static struct io *objects[64];
static unsigned object_count;

static void take_io_objects(void)
{
	while ((objects[object_count] = io_try_begin(&machine.volume, BLOCK_READ, 0)) != NULL ||
	       (objects[object_count] = io_try_begin(&machine.volume, BLOCK_WRITE, 0)) != NULL)
		object_count++;
}

static void return_io_objects(void)
{
	while (object_count > 0)
		io_end(objects[--object_count]);
}

/* Others have them all. A wait would be for ever, and is a panic. */
START_TEST(a_flush_of_what_is_clean_needs_no_io_object)
{
	host_clock_set(HOST_CLOCK_ALONE);
	two_nodes(false);
	write_page(&a, 3);
	take_io_objects();
	ck_assert_int_eq(node_flush(&b), STATUS_OK);
	return_io_objects();
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 1);
	ck_assert_int_eq(node_flush(&a), STATUS_OK);
	take_io_objects();
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
	return_io_objects();
	two_nodes_close();
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/*
 * The background writer has come by while a mapping had the page, and there is no I/O object when
 * that ends.
 */
START_TEST(what_a_mapping_leaves_is_written_by_age_without_an_io_object)
{
	struct mapping *mapping;

	host_clock_set(HOST_CLOCK_MANUAL);
	two_nodes(false);
	write_page(&a, 3);
	ck_assert_int_eq(node_map(&a, 3 * PAGE_BYTES, PAGE_BYTES, MAP_WRITE, &mapping), STATUS_OK);
	for (unsigned i = 0; i < 3; i++) {
		host_clock_turn(machine.pagecache.config.dirty_age_ns);
		pagecache_writeback_step(&machine.pagecache);
	}
	take_io_objects();
	node_unmap(mapping);
	return_io_objects();
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 1);
	pagecache_writeback_step(&machine.pagecache);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 0);
	two_nodes_close();
}
END_TEST

/* Another flush of all waits for a mapping that is not unmapped. */
static struct mapping *forgotten;

static void flush_or_switch_off(void *context, unsigned index)
{
	(void)context;
	if (index == 0) {
		ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
		return;
	}
	while (atomic_load(&machine.volume.counts.flushes) == 0)
		platform_yield();
	for (unsigned i = 0; i < 2; i++)
		ck_assert_int_eq(pagecache_flush_until(&machine.pagecache, platform_now_ns() + 20 * NS_PER_MS), STATUS_TIMEOUT);
	node_unmap(forgotten);
}

START_TEST(threads_that_switch_off_do_not_wait_for_a_flush_that_hangs)
{
	static char ignored[2];

	two_nodes(true);
	host_output_capture(ignored, sizeof(ignored));
	write_page(&a, 3);
	ck_assert_int_eq(node_map(&a, 3 * PAGE_BYTES, PAGE_BYTES, MAP_WRITE, &forgotten), STATUS_OK);
	host_threads_run(2, flush_or_switch_off, NULL);
	two_nodes_close();
}
END_TEST

/* Another volume comes when the flush of the first is nearly over. */
static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static struct fake_block late_disk;
static struct volume late;

static void attach_and_submit(struct block_device *device, struct block_request *request)
{
	const struct volume_config config = { .preference = 50 };

	if (request->operation == BLOCK_FLUSH && !late.pagecache)
		ck_assert_int_eq(volume_attach(&late, &machine.pagecache, &late_disk.device, "another", 0, MIB, &config),
				 STATUS_OK);
	submit_to_disk(device, request);
}

START_TEST(a_volume_that_comes_meanwhile_is_for_the_next_flush)
{
	two_nodes(false);
	fake_block_init(&late_disk, MIB, false);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = attach_and_submit;
	write_page(&a, 3);
	ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
	ck_assert_ptr_nonnull(late.pagecache);
	ck_assert_int_eq(volume_detach(&late, false), STATUS_OK);
	fake_block_fini(&late_disk);
	two_nodes_close();
}
END_TEST

/*
 * Each gets the end of its own flush or of a later one, however soon the next call begins another
 * one.
 */
#define FLUSHERS 4

static void flush_all_again(void *context, unsigned index)
{
	(void)context;
	(void)index;
	for (unsigned i = 0; i < 2000; i++)
		ck_assert_int_eq(pagecache_flush(&machine.pagecache), STATUS_OK);
}

START_TEST(threads_that_flush_all_are_never_given_up)
{
	two_nodes(true);
	write_page(&a, 3);
	host_threads_run(FLUSHERS, flush_all_again, NULL);
	two_nodes_close();
}
END_TEST

HOST_TEST_MAIN("flush waits", a_flush_of_a_node_visits_only_its_pages, what_becomes_dirty_meanwhile_is_for_the_next_flush,
	       a_failed_page_is_tried_once_by_each_flush_of_its_node, the_background_tries_all_failed_pages_in_turn,
	       a_mapping_may_last_for_any_number_of_passes, direct_reads_of_a_node_do_not_wait_for_a_mapping_of_another,
	       threads_that_switch_off_do_not_wait_for_ever, threads_that_switch_off_do_not_wait_for_a_flush_that_hangs,
	       a_volume_that_comes_meanwhile_is_for_the_next_flush,
	       what_a_mapping_leaves_is_written_by_age_without_an_io_object, a_flush_of_what_is_clean_needs_no_io_object,
	       threads_that_flush_all_are_never_given_up, a_page_that_has_failed_is_not_written_ahead,
	       a_reset_of_a_disk_without_a_cache_loses_nothing)
