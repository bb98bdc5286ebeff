// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page cache where memory is short: what it does without, and what its cleaners give and where.
 */
#include "fake/cache_fixture.h"
#include "heap/block/window.h"
#include "host/host_test.h"
#include "pagecache/writeback/writeback.h"

#define SMALL_DISK (16 * BLOCK_BYTES)

START_TEST(without_a_frame_there_is_an_error_and_no_harm)
{
	struct phys_addr blocks[MEMORY_BYTES / BLOCK_BYTES];
	struct memory_request request = { .blocks = 1, .below_min = true, .wait = MEMORY_WAIT_NEVER };
	struct cache_machine machine;
	struct owner owner;
	char byte = 1;
	size_t count = 0;

	host_log_level(LOG_ERROR);
	owner_init(&owner, "memhog", false);
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

/*
 * One block in the way, and the others of the window stay as they are: nothing is lost for a run
 * that is not to be had.
 */
START_TEST(a_window_goes_whole_or_not_at_all)
{
	uint32_t unmovable = 0;
	struct reclaim_target target = {
		.bytes = 4 * BLOCK_BYTES,
		.unmovable = &unmovable,
		.deadline_ns = PLATFORM_FOREVER,
	};
	struct pagecache_statistics before, after;
	struct cache_machine machine;
	struct random random;

	cache_machine_init(&machine, DISK_BYTES, true);
	random_seed(&random, 6);
	cache_machine_fill(&machine);
	/* Half, where a quarter may be moved: one block is in the way, not the clean one behind. */
	for (uint64_t number = PAGES_PER_BLOCK; number < 3 * PAGES_PER_BLOCK; number++)
		cache_machine_write(&machine, &random, number * PAGE_BYTES + 1, 10);
	target.lowest.value = cache_machine_block(&machine, 0);
	target.highest.value = target.lowest.value + 4 * BLOCK_BYTES - 1;
	before = *cache_machine_statistics(&machine);
	/* A request that is late does not even look. */
	target.deadline_ns = platform_now_ns();
	ck_assert_uint_eq(machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN].clean(
				  &machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], &target),
			  0);
	ck_assert_uint_eq(unmovable, 0);
	target.deadline_ns = PLATFORM_FOREVER;
	ck_assert_uint_eq(machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN].clean(
				  &machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], &target),
			  0);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(unmovable, 1);
	ck_assert_uint_eq(after.evicted_pages, before.evicted_pages);
	ck_assert_uint_eq(after.moved_pages, before.moved_pages);
	window_exclude_none(&machine.memory.blocks);

	target.may_write = true;
	while (cache_machine_statistics(&machine)->dirty_pages > 0) {
		ck_assert_uint_eq(machine.volume.eviction.cleaners[VOLUME_CLEANER_DIRTY].clean(
					  &machine.volume.eviction.cleaners[VOLUME_CLEANER_DIRTY], &target),
				  0);
		writeback_settle(&machine.volume);
	}
	ck_assert_uint_eq(unmovable, 1);
	/* What is in the way may be another owner's. */
	ck_assert_uint_eq(machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN].clean(
				  &machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], &target),
			  0);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->evicted_pages, before.evicted_pages);
	unmovable = 0;
	ck_assert_uint_eq(machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN].clean(
				  &machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], &target),
			  4 * BLOCK_BYTES);
	ck_assert_uint_eq(unmovable, 0);
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
	ck_assert_uint_eq(
		ask(&machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], UINT64_MAX, start, start + range.bytes - 1),
		range.bytes);
	ck_assert_uint_eq(block_heap_free_within(&machine.memory.blocks, (struct phys_addr){ start },
						 (struct phys_addr){ start + range.bytes - 1 }),
			  8);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * Too many dirty pages to move: the second cleaner starts to write such blocks, and the first one
 * gives them afterwards.
 */
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
	before = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(ask(&machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], 3 * BLOCK_BYTES, start, end), 0);
	under_way = false;
	ck_assert_uint_eq(ask(&machine.volume.eviction.cleaners[VOLUME_CLEANER_DIRTY], 3 * BLOCK_BYTES, start, end), 0);
	ck_assert(under_way);
	while (under_way) {
		under_way = false;
		(void)ask(&machine.volume.eviction.cleaners[VOLUME_CLEANER_DIRTY], 3 * BLOCK_BYTES, start, end);
		writeback_settle(&machine.volume);
	}
	ck_assert_uint_eq(ask(&machine.volume.eviction.cleaners[VOLUME_CLEANER_CLEAN], 3 * BLOCK_BYTES, start, end),
			  3 * BLOCK_BYTES);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_gt(after.written_bytes, before.written_bytes);
	ck_assert_uint_eq(after.evicted_pages - before.evicted_pages, 3 * PAGES_PER_BLOCK);
	ck_assert_uint_le(after.dirty_pages, before.dirty_pages - 3 * PAGES_PER_BLOCK / 2);
	cache_machine_read(&machine, 0, 4 * BLOCK_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("pagecache_memory", without_a_frame_there_is_an_error_and_no_harm, a_page_cache_that_cannot_start_leaves_nothing,
	       a_window_goes_whole_or_not_at_all, a_new_volume_gets_its_share, a_cleaner_keeps_to_the_range_that_is_wanted,
	       dirty_blocks_are_written_before_they_go)
