// SPDX-License-Identifier: BSD-2-Clause
/* Frames that CPUs keep for their next misses, and drains that must find them all. */
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "pagecache/eviction/cpu_frames.h"
#include "runtime/base/bits.h"

#define READERS    6
#define DISK_PAGES (DISK_BYTES / PAGE_BYTES)

static struct cache_machine machine;

static void setup(bool threaded)
{
	struct pagecache_config config = cache_machine_config;

	host_log_level(LOG_ERROR);
	config.cpu_frames = CPU_FRAMES_MAX;
	cache_machine_init_config(&machine, DISK_BYTES, threaded, &config);
}

/* Frames that are TAKEN, while no task is at work: the per-CPU frames. */
static uint64_t frames_kept(void)
{
	const struct pageblock_table *table = &machine.pagecache.pages.table;
	uint64_t kept = 0;

	for (uint64_t block = 0; block < table->count; block++)
		for (uint32_t i = 0; table->blocks[block] && table->blocks[block]->ready && i < PAGES_PER_BLOCK; i++)
			kept += page_is(page_state(&table->blocks[block]->pages[i]), PAGE_TAKEN);
	return kept;
}

static uint64_t frames_in_slots(void)
{
	uint64_t kept = 0;

	for (unsigned cpu = 0; cpu < platform_cpu_count(); cpu++)
		for (unsigned i = 0; i < CPU_FRAMES_MAX; i++)
			kept += atomic_load(&machine.volume.eviction.cpu_frames[cpu].frames[i]) != NULL;
	return kept;
}

static uint64_t page_offset(uint64_t number)
{
	return number * 7919 % DISK_PAGES * PAGE_BYTES;
}

START_TEST(every_ninth_miss_goes_to_the_cursor)
{
	setup(false);
	for (uint64_t i = 0; i < 9; i++) {
		cache_machine_read(&machine, page_offset(i), PAGE_BYTES);
		ck_assert_uint_eq(frames_kept(), CPU_FRAMES_MAX - i);
		ck_assert_uint_eq(frames_in_slots(), CPU_FRAMES_MAX - i);
	}
	/* In the order of addresses. */
	for (uint64_t i = 1; i < 9; i++)
		ck_assert_uint_eq(cache_machine_block(&machine, page_offset(i) / PAGE_BYTES),
				  cache_machine_block(&machine, page_offset(0) / PAGE_BYTES));
	cache_machine_read(&machine, page_offset(9), PAGE_BYTES);
	ck_assert_uint_eq(frames_kept(), CPU_FRAMES_MAX);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}
END_TEST

/* Each thread is a CPU, and leaves its frames as they are. */
static void read_some(void *context, unsigned index)
{
	(void)context;
	for (uint64_t i = 0; i < 10; i++)
		cache_machine_read(&machine, page_offset(index * 1000 + i), PAGE_BYTES);
}

START_TEST(a_drain_finds_what_all_cpus_keep)
{
	setup(false);
	for (unsigned round = 0; round < 3; round++) {
		host_threads_run(READERS, read_some, NULL);
		ck_assert_uint_gt(frames_kept(), 0);
		ck_assert_uint_eq(frames_kept(), frames_in_slots());
		(void)volume_drop(&machine.volume);
		ck_assert_uint_eq(atomic_load(&machine.volume.eviction.heap.blocks), 0);
		ck_assert_uint_eq(frames_kept(), 0);
	}
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(the_cleaner_of_the_lowest_cost_empties_them)
{
	struct cleaner *const cleaner = &machine.volume.eviction.cleaners[VOLUME_CLEANER_CPU_FRAMES];
	const struct reclaim_target target = { .bytes = BLOCK_BYTES, .highest = { UINT64_MAX } };

	setup(false);
	host_threads_run(READERS, read_some, NULL);
	ck_assert_uint_gt(frames_kept(), 0);
	ck_assert_int_eq(cleaner->cost, CLEANER_FREE);
	ck_assert_uint_eq(cleaner->clean(cleaner, &target), 0);
	ck_assert_uint_eq(frames_kept(), 0);
	ck_assert_uint_eq(machine.volume.eviction.cleaners[VOLUME_CLEANER_CPU_FRAMES].calls, 0);
	(void)memory_drain(&machine.memory, BLOCK_BYTES, false);
	ck_assert_uint_gt(machine.volume.eviction.cleaners[VOLUME_CLEANER_CPU_FRAMES].calls, 0);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * A run of blocks through memory in which each CPU keeps frames: all that is cached has to go, and
 * does.
 */
START_TEST(a_run_of_all_memory_goes_through_cpu_frames)
{
	struct owner owner;
	struct memory_request request = { .owner = &owner };
	struct phys_addr run;

	setup(false);
	owner_init(&owner, "run", false);
	cache_machine_fill(&machine);
	host_threads_run(READERS, read_some, NULL);
	ck_assert_uint_gt(frames_kept(), 0);
	request.blocks = atomic_load(&machine.volume.eviction.heap.blocks) - 2 * KEEP_BYTES / BLOCK_BYTES;
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &run), STATUS_OK);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	memory_blocks_free(&machine.memory, run);
	cache_machine_fini(&machine);
}
END_TEST

/* The last one drains, all others read what is not cached. */
static void read_and_drain(void *context, unsigned index)
{
	(void)context;
	for (uint64_t i = 0; i < 150; i++) {
		if (index == READERS)
			(void)memory_drain(&machine.memory, 2 * BLOCK_BYTES, false);
		else
			cache_machine_read(&machine, page_offset(index * 3000 + i), PAGE_BYTES);
	}
}

START_TEST(threads_refill_while_drains_empty)
{
	setup(true);
	host_threads_run(READERS + 1, read_and_drain, NULL);
	while (atomic_load(&machine.volume.pages.reads) != 0)
		platform_yield(); /* the end of a read still has to drop a pin */
	ck_assert_uint_eq(frames_kept(), frames_in_slots());
	ck_assert(pagecache_is_valid(&machine.pagecache));
	(void)volume_drop(&machine.volume);
	ck_assert_uint_eq(atomic_load(&machine.volume.eviction.heap.blocks), 0);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("cpu_frames", every_ninth_miss_goes_to_the_cursor, a_drain_finds_what_all_cpus_keep,
	       the_cleaner_of_the_lowest_cost_empties_them, a_run_of_all_memory_goes_through_cpu_frames,
	       threads_refill_while_drains_empty)
