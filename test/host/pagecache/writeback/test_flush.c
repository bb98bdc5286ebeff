// SPDX-License-Identifier: BSD-2-Clause
/*
 * Flushes over a disk with a volatile cache, which it loses when a flush fails and when it is
 * reset: what a flush that returned STATUS_OK said is on the medium, however pages were evicted,
 * written again, and lost meanwhile; and what a flush says stops being said when it has been
 * repaired.
 */
#include <string.h>

#include "fake/forgetful_fixture.h"
#include "host/host_test.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"

static struct cache_machine machine;

/* Losses --------------------------------------------------------------------------------------- */

START_TEST(a_flush_after_one_that_failed_writes_again_what_the_disk_forgot)
{
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 0, PAGE_BYTES);
	cache_machine_write(&machine, &random, 40960, PAGE_BYTES);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 2);
	machine.disk.fail_flushes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_reset_is_made_good_by_the_next_flush)
{
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	for (unsigned i = 0; i < 100; i++) {
		cache_machine_write(&machine, &random, random_below(&random, SMALL_DISK - 20000), 20000);
		if (random_below(&random, 2))
			ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
		if (random_below(&random, 2))
			fake_block_reset(&machine.disk);
		if (random_below(&random, 2))
			continue;
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(what_was_evicted_and_lost_is_told_until_it_is_written_again_or_cleared)
{
	struct node elsewhere;
	const struct extent extent = { 0, 4 * MIB, 1 };
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	ck_assert_int_eq(node_open(&elsewhere, &machine.volume, &extent, 1, PAGE_BYTES), STATUS_OK);
	for (unsigned way = 0; way < 3; way++) {
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
		ck_assert(node_evict_page(&machine.volume.node, 3));
		fake_block_reset(&machine.disk);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		ck_assert_int_eq(node_flush(&elsewhere), STATUS_OK);
		ck_assert_uint_eq(machine.volume.writeback.written.lost.count, 1);
		ck_assert_uint_eq(machine.volume.writeback.written.lost.list[0].start, 3 * PAGE_BYTES);
		ck_assert_uint_eq(machine.volume.writeback.written.lost.list[0].end, 4 * PAGE_BYTES);
		/* A part of it does not repair the rest. */
		ck_assert_int_eq(node_write(&machine.volume.node, 3 * PAGE_BYTES + 9, "part", 4), STATUS_OK);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
		if (way == 0)
			volume_error_clear(&machine.volume);
		else
			cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	}
	ck_assert_int_eq(node_close(&elsewhere, false), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * It was written, and dirty again, or yet, when it is discarded. What was never written is the
 * caller's to forget.
 */
START_TEST(a_discard_of_what_the_disk_has_lost_is_told)
{
	struct node *node = &machine.volume.node;
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	for (unsigned way = 0; way < 3; way++) {
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(cache_write_back(node), STATUS_OK);
		if (way == 1)
			cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		machine.disk.fail_flushes = way < 2;
		machine.disk.fail_writes = way == 1;
		machine.disk.fail_end = UINT64_MAX;
		ck_assert_int_eq(volume_flush(&machine.volume), way < 2 ? STATUS_IO_ERROR : STATUS_OK);
		machine.disk.fail_flushes = machine.disk.fail_writes = false;
		ck_assert_int_eq(node_write(node, 5 * PAGE_BYTES, "new", 3), STATUS_OK);
		ck_assert_int_eq(node_discard(node, 3 * PAGE_BYTES, 3 * PAGE_BYTES), STATUS_OK);
		ck_assert_int_eq(volume_flush(&machine.volume), way < 2 ? STATUS_IO_ERROR : STATUS_OK);
		ck_assert_uint_eq(machine.volume.writeback.written.lost.count, way < 2);
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

/* What is written between the loss and the flush that sees it is not lost. */
START_TEST(what_was_written_again_before_the_loss_is_seen_is_repaired)
{
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	ck_assert(node_evict_page(&machine.volume.node, 3));
	fake_block_reset(&machine.disk);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	ck_assert(node_evict_page(&machine.volume.node, 3));
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

static void (*submit_to_disk)(struct block_device *device, struct block_request *request);

/*
 * The disk is reset when it has a write: before that ends, or after it, and then another flush sees
 * to the loss at once.
 */
static void (*write_done)(struct block_request *request);
static bool ends_first;

static void reset_and_end(struct block_request *request)
{
	if (!ends_first)
		fake_block_reset(&machine.disk);
	write_done(request);
	if (ends_first) {
		fake_block_reset(&machine.disk);
		written_settle(&machine.volume);
	}
}

static void submit_one(struct block_device *device, struct block_request *request)
{
	if (request->operation == BLOCK_WRITE && write_done == NULL) {
		write_done = request->done;
		request->done = reset_and_end;
	}
	submit_to_disk(device, request);
}

START_TEST(a_flush_sees_a_reset_while_it_writes)
{
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	submit_to_disk = machine.disk.device.submit;
	machine.disk.device.submit = submit_one;
	for (unsigned way = 0; way < 2; way++) {
		write_done = NULL;
		ends_first = way;
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

/*
 * What write_done does, and between its look at the losses and its last page another one is
 * counted.
 */
START_TEST(a_loss_that_is_counted_while_a_write_ends_is_seen)
{
	struct volume *volume = &machine.volume;
	struct random random;
	struct page *page;
	uint32_t state;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&volume->node), STATUS_OK);
	page = index_find(&machine.pagecache.pages.index, page_key_make(volume->node.id, 3), &state);
	spinlock_lock(&volume->writeback.lock);
	ck_assert(!written_is_lost_locked(volume, written_losses(volume)));
	fake_block_reset(&machine.disk);
	(void)written_ended_locked(volume, page);
	spinlock_unlock(&volume->writeback.lock);
	ck_assert_int_eq(volume_flush(volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* Page 3, while the disk's flush is under way. */
static void write_again(void)
{
	struct random random;

	random_seed(&random, 3);
	machine.disk.fail_writes = false;
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
}

static void retry(void)
{
	machine.disk.fail_writes = false;
	host_clock_turn(60 * NS_PER_S);
	pagecache_writeback_step(&machine.pagecache);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->failed_pages, 0);
}

/*
 * A page that could not be written, or was lost, before the disk's flush, and is written during
 * that.
 */
START_TEST(what_is_repaired_while_the_disk_flushes_waits_for_the_next_flush)
{
	struct random random;

	host_clock_set(HOST_CLOCK_MANUAL);
	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	for (unsigned way = 0; way < 3; way++) {
		cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
		if (way == 2) {
			ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
			ck_assert(node_evict_page(&machine.volume.node, 3));
			fake_block_reset(&machine.disk);
		} else {
			machine.disk.fail_writes = true;
			machine.disk.fail_end = UINT64_MAX;
		}
		forgetful_hook(&machine, BLOCK_FLUSH, NULL, way == 0 ? retry : write_again);
		ck_assert_int_eq(way == 1 ? node_flush(&machine.volume.node) : volume_flush(&machine.volume), STATUS_IO_ERROR);
		ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
		ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

static void lose(void)
{
	fake_block_reset(&machine.disk);
}

/*
 * A flush that failed long ago is not told again: with a reset while the next one writes, that
 * begins once more.
 */
START_TEST(a_flush_tells_of_itself_only)
{
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 0, PAGE_BYTES);
	machine.disk.fail_flushes = true;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_flushes = false;
	cache_machine_write(&machine, &random, MIB, PAGE_BYTES);
	forgetful_hook(&machine, BLOCK_WRITE, lose, NULL);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* It cannot read its second page. The first one has been written, and is not durable. */
START_TEST(a_mapping_that_fails_forgets_nothing)
{
	struct mapping *mapping;
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	machine.disk.fail_reads = true;
	machine.disk.fail_start = 4 * PAGE_BYTES;
	machine.disk.fail_end = 5 * PAGE_BYTES;
	ck_assert_int_eq(node_map(&machine.volume.node, 3 * PAGE_BYTES, PAGE_BYTES + 512, MAP_WRITE, &mapping),
			 STATUS_IO_ERROR);
	machine.disk.fail_reads = false;
	fake_block_reset(&machine.disk);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(memcmp(machine.disk.durable, machine.model, SMALL_DISK), 0);
	cache_machine_fini(&machine);
}
END_TEST

/* A direct write that fails repairs nothing. */
START_TEST(a_direct_write_repairs_what_it_has_written)
{
	struct owner owner;
	const struct memory_request request = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct phys_range segment = { .bytes = PAGE_BYTES };
	struct random random;

	forgetful_machine_init(&machine);
	random_seed(&random, 2);
	owner_init(&owner, "test", false);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &segment.start), STATUS_OK);
	cache_machine_write(&machine, &random, 3 * PAGE_BYTES, PAGE_BYTES);
	ck_assert_int_eq(cache_write_back(&machine.volume.node), STATUS_OK);
	fake_block_reset(&machine.disk);
	ck_assert_int_eq(node_direct(&machine.volume.node, BLOCK_READ, 3 * PAGE_BYTES, &segment, 1), STATUS_OK);
	ck_assert_int_eq(memcmp(platform_virt(segment.start), machine.model + 3 * PAGE_BYTES, PAGE_BYTES), 0);
	ck_assert(node_evict_page(&machine.volume.node, 3));
	fake_block_reset(&machine.disk);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	machine.disk.fail_writes = true;
	machine.disk.fail_end = UINT64_MAX;
	ck_assert_int_eq(node_direct(&machine.volume.node, BLOCK_WRITE, 3 * PAGE_BYTES, &segment, 1), STATUS_IO_ERROR);
	machine.disk.fail_writes = false;
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_IO_ERROR);
	ck_assert_int_eq(node_direct(&machine.volume.node, BLOCK_WRITE, 3 * PAGE_BYTES, &segment, 1), STATUS_OK);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	memory_blocks_free(&machine.memory, segment.start);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("flush", a_flush_after_one_that_failed_writes_again_what_the_disk_forgot, a_reset_is_made_good_by_the_next_flush,
	       what_was_evicted_and_lost_is_told_until_it_is_written_again_or_cleared,
	       a_discard_of_what_the_disk_has_lost_is_told, what_was_written_again_before_the_loss_is_seen_is_repaired,
	       a_flush_sees_a_reset_while_it_writes, a_loss_that_is_counted_while_a_write_ends_is_seen,
	       what_is_repaired_while_the_disk_flushes_waits_for_the_next_flush, a_flush_tells_of_itself_only,
	       a_mapping_that_fails_forgets_nothing, a_direct_write_repairs_what_it_has_written)
