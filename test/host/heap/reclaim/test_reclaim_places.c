// SPDX-License-Identifier: BSD-2-Clause
/*
 * What lacks, and where: so much at the addresses of a request, and so much anywhere that enough
 * stays free; and what a run does whose place cannot be emptied.
 */
#include "fake/block_cache.h"
#include "fake/heap_fixture.h"
#include "heap/block/window.h"
#include "host/host_test.h"
#include "runtime/base/random.h"

static struct memory *const memory = &block_cache_machine.memory;

static uint64_t count_within(const struct block_constraints *constraints, const bool *is)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < BLOCKS; i++)
		count += is[i] && is_within(i, constraints->lowest, constraints->highest);
	return count;
}

START_TEST(what_has_to_stay_free_may_be_anywhere)
{
	const struct block_constraints everywhere = { .highest = { UINT64_MAX } };
	unsigned only_reserve = 0, refused = 0;
	struct random random;

	random_seed(&random, 9);
	for (unsigned loop = 0; loop < 400; loop++) {
		const uint64_t min = random_below(&random, 12), want = 1 + random_below(&random, 10);
		const uint64_t first = random_below(&random, BLOCKS),
			       last = first + random_below(&random, MIN(BLOCKS - first, 20));
		const uint64_t free_parts = random_below(&random, 20), cached_parts = random_below(&random, 20);
		const struct block_constraints there = { address_of(first), { address_of(last + 1).value - 1 }, 0, 0 };
		bool is_free[BLOCKS] = { false }, is_cached[BLOCKS] = { false };
		struct phys_addr held[BLOCKS], runs[10];
		struct owner kernel, owner;

		block_cache_init(min, NULL);
		owner_init(&kernel, "kernel objects", false);
		owner_init(&owner, "movable", true); /* others have a place of their own, which is emptied first */
		for (uint64_t i = 0; i < BLOCKS; i++) {
			const bool becomes_cached = random_below(&random, 20) < cached_parts;
			const struct run_request one = {
				.blocks = 1,
				.constraints = { address_of(i), { address_of(i + 1).value - 1 }, 0, 0 },
				.owner = becomes_cached ? &block_cache.owner : &kernel
			};

			is_free[i] = !becomes_cached && random_below(&random, 20) < free_parts;
			is_cached[i] = becomes_cached;
			if (!is_free[i])
				ck_assert_int_eq(block_heap_alloc(&memory->blocks, &one, &held[i]), STATUS_OK);
			atomic_store(&block_cache.has[i], becomes_cached);
		}
		const uint64_t free_there = count_within(&there, is_free), cached_there = count_within(&there, is_cached);
		const uint64_t free_all = count_within(&everywhere, is_free), cached_all = count_within(&everywhere, is_cached);
		const uint64_t lacking_there = want > free_there ? want - free_there : 0;
		const uint64_t lacking_all = want + min > free_all ? want + min - free_all : 0;
		const struct memory_request request = { .blocks = 1, .constraints = there, .owner = &owner };
		const bool expected = lacking_there <= cached_there && lacking_all <= cached_all;
		const status_t status = reclaim_blocks_alloc(memory_reclaim(memory), &request, (uint32_t)want, runs);

		if (want > last - first + 1) {
			ck_assert_int_eq(status, STATUS_RANGE);
			ck_assert_uint_eq(atomic_load(&block_cache.work[0]), 0);
		} else {
			ck_assert_int_eq(status, expected ? STATUS_OK : STATUS_NO_MEMORY);
			ck_assert_uint_le(atomic_load(&block_cache.work[0]), MAX(lacking_there, lacking_all));
			ck_assert(!expected || atomic_load(&block_cache.work[0]) == MAX(lacking_there, lacking_all));
			only_reserve += expected && lacking_there == 0 && lacking_all > 0;
			refused += !expected;
		}
		for (uint64_t i = 0; status == STATUS_OK && i < want; i++)
			memory_blocks_free(memory, runs[i]);
		for (uint64_t i = 0; i < BLOCKS; i++)
			if (!is_free[i] && !is_cached[i])
				memory_blocks_free(memory, held[i]);
		block_cache_fini();
	}
	ck_assert_uint_gt(only_reserve, 3);
	ck_assert_uint_gt(refused, 50);
}
END_TEST

/*
 * The first of several blocks finds something in each place that it tries: it lies elsewhere, the
 * others in their places.
 */
START_TEST(a_run_without_a_place_leaves_the_others_theirs)
{
	const uint64_t low = 16, count = 6;
	struct memory_request request = { .blocks = 1, .wait = MEMORY_WAIT_NEVER };
	struct phys_addr runs[BLOCKS];
	struct owner driver;

	block_cache_init(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	block_cache_take(0);
	for (uint64_t i = 0; i < low; i++) {
		atomic_store(&block_cache.has[i], false);
		memory_blocks_free(memory, address_of(i));
	}
	block_cache.exchanges = true;
	block_cache.in_the_way = 8;
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, (uint32_t)count, runs), STATUS_OK);
	ck_assert_uint_eq(block_cache.in_the_way, 0);
	ck_assert_uint_eq(runs[0].value, address_of(low - 1).value);
	for (uint64_t i = 1; i < count; i++)
		ck_assert_uint_eq(runs[i].value, address_of(BLOCKS - i).value);
	for (uint64_t i = 0; i < count; i++)
		memory_blocks_free(memory, runs[i]);
	block_cache_fini();
}
END_TEST

/* A window elsewhere would cost less, and could be had at once. */
START_TEST(a_run_waits_for_what_its_place_is_emptied_into)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_FOREVER };
	struct owner driver;
	struct phys_addr run;

	block_cache_init(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	block_cache_take(0);
	for (uint64_t i = 2; i < BLOCKS; i++)
		block_heap_set_cost(&memory->blocks, address_of(i), 4000);
	block_cache.exchanges = block_cache.is_dirty = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_eq(run.value, address_of(BLOCKS - 2).value);
	memory_blocks_free(memory, run);
	block_cache_fini();
}
END_TEST

/* ... but one that must not wait for writes takes it. */
START_TEST(a_run_that_must_not_wait_for_its_place_takes_a_window)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_NEVER };
	struct owner driver;
	struct phys_addr run;

	block_cache_init(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	block_cache_take(0);
	block_cache.exchanges = block_cache.is_dirty = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	memory_blocks_free(memory, run);
	block_cache_fini();
}
END_TEST

/* ... and one that may wait does so for a while only: perhaps the disk is silent. */
START_TEST(a_run_does_not_wait_for_its_place_without_end)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_DEADLINE };
	struct owner driver;
	struct phys_addr run;

	block_cache_init(0, NULL);
	host_clock_set(HOST_CLOCK_SKIPPING);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	request.deadline_ns = platform_now_ns() + 100 * NS_PER_S;
	block_cache_take(0);
	block_cache.exchanges = block_cache.is_dirty = block_cache.is_silent = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_lt(platform_now_ns(), request.deadline_ns - 90 * NS_PER_S);
	host_clock_set(HOST_CLOCK_REAL);
	memory_blocks_free(memory, run);
	block_cache_fini();
}
END_TEST

static struct phys_addr others_run;

static void free_others_run(void)
{
	if (others_run.value != 0)
		memory_blocks_free(memory, others_run);
	others_run.value = 0;
}

/* The cleaners give nothing, but other tasks free enough while they are asked. */
START_TEST(a_run_takes_what_others_free_meanwhile)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_NEVER };
	struct owner driver;
	struct phys_addr run;

	block_cache_init(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &others_run), STATUS_OK);
	block_cache_take(0);
	for (uint64_t i = 0; i < BLOCKS - 2; i++)
		block_heap_set_cost(&memory->blocks, address_of(i), BLOCK_COST_FIXED);
	block_heap_set_cost(&memory->blocks, address_of(BLOCKS - 8), 0);
	block_heap_set_cost(&memory->blocks, address_of(BLOCKS - 7), 0);
	block_cache.is_dirty = true;
	block_cache.in_vain = free_others_run;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_eq(run.value, address_of(BLOCKS - 2).value);
	ck_assert_uint_eq(atomic_load(&block_cache.work[0]), 0);
	memory_blocks_free(memory, run);
	block_cache_fini();
}
END_TEST

HOST_TEST_MAIN("reclaim_places", what_has_to_stay_free_may_be_anywhere, a_run_waits_for_what_its_place_is_emptied_into,
	       a_run_that_must_not_wait_for_its_place_takes_a_window, a_run_does_not_wait_for_its_place_without_end,
	       a_run_takes_what_others_free_meanwhile, a_run_without_a_place_leaves_the_others_theirs)
