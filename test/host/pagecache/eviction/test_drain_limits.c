// SPDX-License-Identifier: BSD-2-Clause
/*
 * Situations of a drain: its deadline, numbers of bytes as large as there are, a depot full of
 * objects, and threads that drain and free together. test_drain.c has the contract itself, for
 * random states and arguments.
 */
#include "host/host_test.h"

#include <stdatomic.h>

#include "fake/cache_fixture.h"
#include "fake/heap_fixture.h"
#include "pagecache/eviction/evict.h"
#include "runtime/base/random.h"

#define MACHINE_BLOCKS 112

static struct cache_machine machine;
static struct memory *const memory = &machine.memory;
static struct machine large;
static struct objcache shared;
static const struct objcache_config pages = { .name = "pages", .object_bytes = 4096 };

static void cache_machine_make(void)
{
	static const struct guarantee_config none;

	cache_machine_init_sized(&machine, MACHINE_BLOCKS * BLOCK_BYTES, 32 * BLOCK_BYTES, &none);
}

/* What the heap could hand out without another block: in its blocks and magazines. */
static uint64_t free_bytes(struct general_heap *general)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < general->classes; i++) {
		const struct objcache_counts counts = objcache_count(&general->cache[i]);

		bytes += (counts.objects - counts.used) * general->cache[i].config.object_bytes;
	}
	return bytes;
}

/* Deadlines ------------------------------------------------------------------------------------ */

#define MANY (8 * 512)

static void *many[MANY];

/*
 * All objects of 8 blocks of 4 KB objects come and go: what has not gone at once is in empty
 * blocks, depot and magazines.
 */
static void many_come_and_go(struct caching_heap *heap)
{
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_ptr_nonnull(many[i] = heap_alloc(&heap->heap, 4096, 0));
	for (unsigned i = 0; i < MANY; i++)
		heap_free(&heap->heap, many[i]);
}

/*
 * The clock turns at each look: as many looks as are left are as many blocks, or magazines, at
 * most.
 */
START_TEST(a_drain_looks_at_its_deadline_once_a_block_or_magazine)
{
	struct objcache *const cache = &shared;
	struct reclaim_target target = reclaim_all;
	bool gave_some = false;

	cache_machine_make();
	ck_assert_int_eq(memory_objcache_init(memory, cache, pages), STATUS_OK);
	for (uint64_t looks = 0; looks < 40; looks++) {
		many_come_and_go(&cache->caching);
		const uint32_t magazines = atomic_load(&cache->depot.count);
		ck_assert_uint_gt(magazines, 10);

		host_clock_set(HOST_CLOCK_TICKING);
		target.deadline_ns = platform_now_ns() + 1 + looks;
		const uint64_t given = objcache_group_drain(cache->group, &target, 0);
		host_clock_set(HOST_CLOCK_REAL);
		ck_assert_uint_le(given >> BLOCK_SHIFT, looks);
		ck_assert_uint_le(magazines - atomic_load(&cache->depot.count), looks);
		gave_some |= given > BLOCK_BYTES;
	}
	ck_assert(gave_some);
	for (uint64_t looks = 0; looks < 40; looks += 3) {
		many_come_and_go(&memory->general.caching);
		cache_machine_fill(&machine);
		host_clock_set(HOST_CLOCK_TICKING);
		ck_assert_uint_le(reclaim_drain(memory_reclaim(memory), UINT64_MAX, looks % 2, platform_now_ns() + 1 + looks) >>
					  BLOCK_SHIFT,
				  looks);
		host_clock_set(HOST_CLOCK_REAL);
	}
	for (uint64_t looks = 0; looks < 10; looks++) {
		cache_machine_fill(&machine);
		host_clock_set(HOST_CLOCK_TICKING);
		target.deadline_ns = platform_now_ns() + 1 + looks;
		ck_assert_uint_le(evict_blocks(&machine.volume, &target, 0) >> BLOCK_SHIFT, looks);
		host_clock_set(HOST_CLOCK_REAL);
	}
	ck_assert_int_eq(objcache_fini(cache), STATUS_OK);
	cache_machine_fini(&machine);
}
END_TEST

/* Situations ----------------------------------------------------------------------------------- */

/* A depot full of objects: no more of it goes than is wanted, and what is to stay stays. */
START_TEST(a_flush_gives_no_more_than_is_wanted)
{
	struct general_heap *const general = &memory->general;

	cache_machine_make();
	many_come_and_go(&general->caching);
	general_heap_settle(general);
	ck_assert_uint_gt(objcache_count(general_heap_cache(general, 4096, 0)).cached, 3 * 512);
	const uint64_t have = free_bytes(general), before = memory_free_bytes(memory);

	ck_assert_uint_eq(caching_heap_drain(&general->caching, 2 * BLOCK_BYTES, have - 4 * BLOCK_BYTES), 2 * BLOCK_BYTES);
	ck_assert_uint_eq(memory_free_bytes(memory), before + 2 * BLOCK_BYTES);
	ck_assert_uint_ge(free_bytes(general), have - 4 * BLOCK_BYTES);
	ck_assert_uint_eq(caching_heap_drain(&general->caching, UINT64_MAX, UINT64_MAX), 0);
	ck_assert_uint_eq(memory_free_bytes(memory), before + 2 * BLOCK_BYTES);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(memory_is_drained_of_any_number_of_bytes)
{
	static const uint64_t numbers[] = { 0, 1, 3 * MIB, UINT64_MAX / 2, UINT64_MAX - MIB, UINT64_MAX };

	cache_machine_make();
	for (unsigned i = 0; i < ARRAY_LENGTH(numbers); i++) {
		cache_machine_fill(&machine);
		const uint64_t cached = atomic_load(&machine.volume.counts.cached_pages) * PAGE_BYTES;
		const uint64_t given = memory_drain(memory, numbers[i], false);

		if (numbers[i] < 4 * MIB)
			ck_assert_uint_eq(given, block_round_up(numbers[i]));
		else
			ck_assert_uint_gt(given, cached - KEEP_BYTES - 4 * BLOCK_BYTES);
	}
	cache_machine_fini(&machine);
}
END_TEST
/* Many at once --------------------------------------------------------------------------------- */

#define DRAINERS 4

static _Atomic uint64_t sum;

static void drain_some(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, index);
	for (unsigned i = 0; i < 200; i++) {
		const uint64_t bytes = random_below(&random, 3 * BLOCK_BYTES);
		const uint64_t given = caching_heap_drain(&shared.caching, bytes, 6 * BLOCK_BYTES);

		ck_assert_uint_le(given, block_round_up(bytes));
		atomic_fetch_add(&sum, given);
	}
}

START_TEST(threads_that_drain_together_leave_what_is_retained)
{
	struct objcache_config retaining = pages;

	retaining.retain_bytes = UINT64_MAX;
	for (unsigned round = 0; round < 20; round++) {
		machine_init(&large, MACHINE_START, 64, 0, 0);
		ck_assert_int_eq(memory_objcache_init(&large.memory, &shared, retaining), STATUS_OK);
		many_come_and_go(&shared.caching);
		const uint64_t before = memory_free_bytes(&large.memory);
		atomic_store(&sum, 0);
		host_threads_run(DRAINERS, drain_some, NULL);
		ck_assert_uint_eq(memory_free_bytes(&large.memory), before + atomic_load(&sum));
		ck_assert_uint_eq(atomic_load(&shared.group->free_bytes), 6 * BLOCK_BYTES);
		ck_assert_int_eq(objcache_fini(&shared), STATUS_OK);
		machine_fini(&large);
	}
}
END_TEST

/*
 * Threads take blocks and free them while others drain: a drain counts what it gave, not what came
 * back meanwhile.
 */
static _Atomic unsigned draining;

static void drain_or_pass_blocks(void *context, unsigned index)
{
	static struct owner owner = { .name = "passing" };
	const struct run_request request = { .blocks = 1, .owner = &owner };
	struct random random;
	struct phys_addr block;

	random_seed(&random, index);
	for (unsigned i = 0; index < 2 && i < 20; i++) {
		const uint64_t bytes = random_below(&random, 3 * BLOCK_BYTES);
		const uint64_t given = memory_drain(context, bytes, index == 1);

		ck_assert_uint_le(given, block_round_up(bytes));
		atomic_fetch_add(&sum, given);
	}
	if (index < 2)
		atomic_fetch_sub(&draining, 1);
	while (index >= 2 && atomic_load(&draining) > 0)
		if (block_heap_alloc(&large.memory.blocks, &request, &block) == STATUS_OK)
			memory_blocks_free(context, block);
}

START_TEST(threads_that_free_are_not_counted_by_a_drain)
{
	for (unsigned round = 0; round < 5; round++) {
		machine_init(&large, MACHINE_START, 64, 0, 0);
		ck_assert_int_eq(memory_objcache_init(&large.memory, &shared, pages), STATUS_OK);
		many_come_and_go(&shared.caching);
		many_come_and_go(&large.memory.general.caching);
		(void)general_heap_settle(&large.memory.general);
		const uint64_t before = memory_free_bytes(&large.memory);
		atomic_store(&sum, 0);
		atomic_store(&draining, 2);
		host_threads_run(4, drain_or_pass_blocks, &large.memory);
		ck_assert_uint_gt(atomic_load(&sum), 0);
		ck_assert_uint_eq(memory_free_bytes(&large.memory), before + atomic_load(&sum));
		ck_assert_int_eq(objcache_fini(&shared), STATUS_OK);
		machine_fini(&large);
	}
}
END_TEST
HOST_TEST_MAIN("drain limits", a_drain_looks_at_its_deadline_once_a_block_or_magazine, a_flush_gives_no_more_than_is_wanted,
	       memory_is_drained_of_any_number_of_bytes, threads_that_drain_together_leave_what_is_retained,
	       threads_that_free_are_not_counted_by_a_drain)
