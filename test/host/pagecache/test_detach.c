// SPDX-License-Identifier: BSD-2-Clause
/*
 * The end of a volume: what keeps it from going is named, in time, and it stays; what goes leaves
 * nothing behind.
 */
#include <string.h>

#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/map.h"
#include "runtime/base/bits.h"

#define SMALL_DISK (16 * BLOCK_BYTES)

static struct cache_machine machine;
static struct volume other;
static struct fake_block other_disk;
static char logged[4096];

static const struct volume_config volume_config = { .preference = 50 };

static void attach_other(bool threaded)
{
	fake_block_init(&other_disk, SMALL_DISK, threaded);
	ck_assert_int_eq(volume_attach(&other, &machine.pagecache, &other_disk.device, "other", 0, SMALL_DISK, &volume_config),
			 STATUS_OK);
}

static void write_other(uint64_t number, char what)
{
	char page[PAGE_BYTES];

	memset(page, what, sizeof(page));
	ck_assert_int_eq(node_write(&other.node, number * PAGE_BYTES, page, PAGE_BYTES), STATUS_OK);
}

/* A wait for a mapping that is not unmapped would be for ever, and is a panic on this clock. */
START_TEST(a_volume_with_a_mapping_stays_and_the_mapping_is_named)
{
	struct mapping *mapping;

	host_clock_set(HOST_CLOCK_ALONE);
	cache_machine_init(&machine, SMALL_DISK, false);
	attach_other(false);
	for (unsigned way = 0; way < 6; way++) {
		const enum map_access access = way % 2 == 0 ? MAP_WRITE : MAP_READ;
		const bool discard = way >= 4;

		if (way < 2) /* what is mapped is dirty */
			write_other(3, 'x');
		ck_assert_int_eq(node_map(&other.node, 3 * PAGE_BYTES, PAGE_BYTES, access, &mapping), STATUS_OK);
		write_other(9, 'y');
		host_output_capture(logged, sizeof(logged));
		ck_assert_int_eq(volume_detach(&other, discard), STATUS_BUSY);
		host_output_capture(NULL, 0);
		ck_assert_msg(strstr(logged, "other: not detached") && strstr(logged, "test_detach.c"), "%s", logged);
		ck_assert_ptr_eq(volume_find(&machine.pagecache, "other"), &other);
		node_unmap(mapping);
		ck_assert_int_eq(volume_flush(&other), STATUS_OK);
	}
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	ck_assert_int_eq(other_disk.data[9 * PAGE_BYTES], 'y');
	fake_block_fini(&other_disk);
	cache_machine_fini(&machine);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/* The disk does not answer, for an unknown time. */
START_TEST(the_detach_of_a_silent_disk_ends_in_time_and_names_what_is_dirty)
{
	struct pagecache_config config = cache_machine_config;

	config.flush_wait_ns = 20 * NS_PER_MS;
	cache_machine_init_config(&machine, SMALL_DISK, false, &config);
	attach_other(true);
	(void)fake_block_hold(&other_disk, true);
	write_other(3, 'x');
	for (unsigned i = 0; i < 2; i++) {
		host_output_capture(logged, sizeof(logged));
		ck_assert_int_eq(volume_detach(&other, false), STATUS_TIMEOUT);
		host_output_capture(NULL, 0);
		ck_assert_msg(strstr(logged, "other: flush failed") && strstr(logged, "bytes 12288 to 16383"), "%s", logged);
		ck_assert_ptr_eq(volume_find(&machine.pagecache, "other"), &other);
	}
	(void)fake_block_hold(&other_disk, false);
	ck_assert_int_eq(volume_flush(&other), STATUS_OK);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	ck_assert_int_eq(other_disk.data[3 * PAGE_BYTES], 'x');
	fake_block_fini(&other_disk);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * On a machine without a guarantee, and on one that has loaned it to the volume: each comes and
 * goes with all its memory.
 */
static void come_and_go(const struct guarantee_config *guarantee)
{
	struct random random;
	uint64_t free_bytes;

	random_seed(&random, 4);
	cache_machine_init_guarantee(&machine, SMALL_DISK, false, guarantee);
	cache_machine_read(&machine, 0, 4 * BLOCK_BYTES);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t cached = cache_machine_statistics(&machine)->cached_pages;

		free_bytes = memory_free_bytes(&machine.memory);
		attach_other(false);
		for (uint64_t number = 0; number < SMALL_DISK / PAGE_BYTES / 2; number++)
			write_other(number, (char)random_next(&random));
		ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
		ck_assert_ptr_null(volume_find(&machine.pagecache, "other"));
		ck_assert_uint_eq(memory_free_bytes(&machine.memory), free_bytes);
		ck_assert_uint_eq(cache_machine_statistics(&machine)->cached_pages, cached);
		ck_assert(memory_is_valid(&machine.memory));
		fake_block_fini(&other_disk);
	}
	cache_machine_fini(&machine);
}

START_TEST(a_volume_leaves_nothing_behind_with_and_without_a_guarantee)
{
	come_and_go(&(struct guarantee_config){ 0 });
	come_and_go(&(struct guarantee_config){ .bytes = 4 * BLOCK_BYTES, .piece_bytes = BLOCK_BYTES });
}
END_TEST

/*
 * By name it is gone as soon as nothing keeps it from going any more, though the disk may have some
 * of it for long.
 */
static bool is_leaving(void)
{
	bool leaving;

	mutex_lock(&machine.pagecache.volumes_lock);
	leaving = other.leaving;
	mutex_unlock(&machine.pagecache.volumes_lock);
	return leaving;
}

static void detach_or_find(void *context, unsigned index)
{
	(void)context;
	if (index == 0) {
		ck_assert_int_eq(volume_detach(&other, true), STATUS_TIMEOUT);
		return;
	}
	while (!is_leaving())
		platform_yield();
	ck_assert_ptr_null(volume_find(&machine.pagecache, "other"));
	(void)fake_block_hold(&other_disk, false);
}

START_TEST(a_volume_that_is_leaving_is_not_found)
{
	struct pagecache_config config = cache_machine_config;

	config.flush_wait_ns = 20 * NS_PER_MS;
	cache_machine_init_config(&machine, SMALL_DISK, false, &config);
	attach_other(true);
	(void)fake_block_hold(&other_disk, true);
	write_other(3, 'x');
	host_output_capture(logged, sizeof(logged));
	host_threads_run(2, detach_or_find, NULL);
	host_output_capture(NULL, 0);
	fake_block_fini(&other_disk);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * Each command that is given a volume has it for itself as long as it looks at it, and not longer.
 */
static void (*submit_to_disk)(struct block_device *device, struct block_request *request);
static uint32_t users;

static void submit_and_count(struct block_device *device, struct block_request *request)
{
	users = atomic_load(&other.users);
	submit_to_disk(device, request);
}

START_TEST(a_volume_stays_while_a_command_is_about_it)
{
	static const char *const lines[] = { "flush other", "volumes other", "volume clear other", "flush", "flush others" };
	struct command_table table;

	cache_machine_init(&machine, SMALL_DISK, false);
	attach_other(false);
	submit_to_disk = other_disk.device.submit;
	other_disk.device.submit = submit_and_count;
	command_table_init(&table);
	pagecache_commands_register(&machine.pagecache, &table);
	host_output_capture(logged, sizeof(logged));
	for (unsigned i = 0; i < ARRAY_LENGTH(lines); i++) {
		char line[64];

		memcpy(line, lines[i], strlen(lines[i]) + 1);
		ck_assert_int_eq(command_execute(&table, line), i < 4 ? STATUS_OK : STATUS_NOT_FOUND);
		ck_assert_uint_eq(users, 1);
		ck_assert_uint_eq(atomic_load(&other.users), 0);
	}
	host_output_capture(NULL, 0);
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	fake_block_fini(&other_disk);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("detach", a_volume_with_a_mapping_stays_and_the_mapping_is_named,
	       the_detach_of_a_silent_disk_ends_in_time_and_names_what_is_dirty,
	       a_volume_leaves_nothing_behind_with_and_without_a_guarantee, a_volume_that_is_leaving_is_not_found,
	       a_volume_stays_while_a_command_is_about_it)
