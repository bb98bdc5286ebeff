// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where writers wait: beside a disk that is silent, without I/O objects, and for mappings that may
 * become dirty.
 */
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/map.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

static struct cache_machine machine;

/*
 * Two write to a silent disk until they wait; then one writes many times the limit to another disk,
 * before the first one wakes.
 */
struct race {
	struct cache_machine machine;
	struct fake_block silent;
	struct volume volume;
	_Atomic uint64_t failures;
};

static void write_or_clean(void *context, unsigned index)
{
	static char page[PAGE_BYTES];
	struct race *race = context;
	struct volume *volume = index < 3 ? &race->volume : &race->machine.volume;
	const uint64_t pages = race->silent.device.size_bytes / PAGE_BYTES;

	if (index == 0) {
		pagecache_writeback_run(&race->machine.pagecache);
		return;
	}
	while (index == 3 && atomic_load(&race->volume.counts.throttled) < 2)
		platform_yield();
	for (uint64_t i = index % 2; i < pages; i += index < 3 ? 2 : 1)
		if (node_write(&volume->node, i * PAGE_BYTES, page, PAGE_BYTES) != STATUS_OK)
			atomic_fetch_add(&race->failures, 1);
	if (index == 3) {
		(void)fake_block_hold(&race->silent, false);
		pagecache_stop(&race->machine.pagecache);
	}
}

START_TEST(threads_write_beside_a_silent_disk)
{
	const struct volume_config config = { .preference = 50 };
	static struct race race;

	cache_machine_init(&race.machine, 32 * BLOCK_BYTES, true);
	fake_block_init(&race.silent, 32 * BLOCK_BYTES, true);
	ck_assert_int_eq(volume_attach(&race.volume, &race.machine.pagecache, &race.silent.device, "silent", 0,
				       32 * BLOCK_BYTES, &config),
			 STATUS_OK);
	(void)fake_block_hold(&race.silent, true);
	host_threads_run(4, write_or_clean, &race);
	ck_assert_uint_eq(atomic_load(&race.failures), 0);
	ck_assert_int_eq(volume_detach(&race.volume, false), STATUS_OK);
	memset(race.machine.model + PAGE_BYTES, 0, race.machine.disk.device.size_bytes - PAGE_BYTES);
	fake_block_fini(&race.silent);
	cache_machine_fini(&race.machine);
}
END_TEST

/* I/O objects ---------------------------------------------------------------------------------- */

static struct io *objects[64];
static unsigned object_count;
static uint64_t dirty_when_it_waited;

/* They come back when a writer would wait for ever. */
static bool objects_return(uint64_t deadline_ns)
{
	if (deadline_ns != PLATFORM_FOREVER || object_count == 0)
		return false;
	dirty_when_it_waited = atomic_load(&machine.volume.counts.dirty_pages);
	while (object_count > 0)
		io_end(objects[--object_count]);
	return true;
}

START_TEST(writers_keep_the_limit_while_there_is_no_io_object)
{
	static const char page[PAGE_BYTES];
	uint64_t limit;

	cache_machine_init(&machine, 8 * BLOCK_BYTES, false);
	host_clock_set(HOST_CLOCK_ALONE);
	host_clock_idle(objects_return);
	limit = writeback_limits(&machine.volume).max;
	while ((objects[object_count] = io_try_begin(&machine.volume, BLOCK_READ, 0)) != NULL ||
	       (objects[object_count] = io_try_begin(&machine.volume, BLOCK_WRITE, 0)) != NULL)
		object_count++;
	for (uint64_t number = 0; number < limit + 64; number++) {
		ck_assert_int_eq(node_write(&machine.volume.node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
		ck_assert_uint_le(atomic_load(&machine.volume.counts.dirty_pages), limit);
	}
	ck_assert_uint_eq(object_count, 0);
	ck_assert_uint_eq(dirty_when_it_waited, limit);
	memset(machine.model, 0, (limit + 64) * PAGE_BYTES);
	host_clock_idle(NULL);
	host_clock_set(HOST_CLOCK_REAL);
	cache_machine_fini(&machine);
}
END_TEST

/* Mappings ------------------------------------------------------------------------------------- */

/* 1 MB of what is there already. */
static status_t map_and_fill(unsigned number, struct mapping **mapping)
{
	const status_t status = node_map(&machine.volume.node, number * MIB, MIB, MAP_WRITE, mapping);
	const unsigned char *from = machine.model + number * MIB;

	for (uint32_t i = 0; status == STATUS_OK && i < (*mapping)->segment_count; i++) {
		memcpy(platform_virt((*mapping)->segments[i].start), from, (*mapping)->segments[i].bytes);
		from += (*mapping)->segments[i].bytes;
	}
	return status;
}

START_TEST(mappings_for_writing_stay_within_the_limit)
{
	static struct mapping *mappings[DISK_BYTES / MIB], *more;
	status_t status = STATUS_OK;
	unsigned count = 0;
	uint64_t limit;

	cache_machine_init(&machine, DISK_BYTES, true);
	limit = writeback_limits(&machine.volume).max;
	(void)fake_block_hold(&machine.disk, true);
	while (status == STATUS_OK) {
		ck_assert_uint_lt(count, ARRAY_LENGTH(mappings));
		status = map_and_fill(count, &mappings[count]);
		count += status == STATUS_OK;
	}
	ck_assert_int_eq(status, STATUS_BUSY);
	ck_assert_uint_gt((count + 1) * MIB / PAGE_BYTES, limit);
	node_unmap(mappings[--count]);
	ck_assert_uint_le(atomic_load(&machine.volume.counts.dirty_pages), limit);
	while (count > 0)
		node_unmap(mappings[--count]);
	ck_assert_uint_le(atomic_load(&machine.volume.counts.dirty_pages), limit);
	ck_assert_uint_eq(atomic_load(&machine.volume.writeback.mapped_pages), 0);
	(void)fake_block_hold(&machine.disk, false);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert_int_eq(map_and_fill(0, &more), STATUS_OK);
	node_unmap(more);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("dirty_waits", threads_write_beside_a_silent_disk, writers_keep_the_limit_while_there_is_no_io_object,
	       mappings_for_writing_stay_within_the_limit)
