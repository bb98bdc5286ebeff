// SPDX-License-Identifier: BSD-2-Clause
/* Cleaners, and requests for blocks that have them give what they hold. */
#include "host/host_test.h"

#include "fake/heap_fixture.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct owner driver;

static void setup(uint64_t blocks, uint64_t min_blocks, uint64_t low_blocks)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, blocks, min_blocks, low_blocks);
	owner_init(&driver, "driver", false);
}

static uint64_t free_blocks(void)
{
	return memory_free_bytes(memory) >> BLOCK_SHIFT;
}

/* Two memories side by side: neither sees what the other one does. */
START_TEST(two_instances_live_side_by_side)
{
	static struct machine other;
	struct test_cache cache, other_cache;
	void *object, *other_object;

	setup(32, 2, 4);
	machine_init(&other, MACHINE_START + GIB, 64, 2, 8);
	test_cache_init(&cache, &machine, "pages", 0);
	test_cache_init(&other_cache, &other, "other pages", 0);
	ck_assert_uint_eq(test_cache_fill(&cache, FRAME_CLEAN), 28);
	ck_assert_uint_eq(test_cache_fill(&other_cache, FRAME_CLEAN), 56);
	object = general_heap_alloc(&memory->general, 100, 0);
	other_object = general_heap_alloc(&other.memory.general, 100, 0);
	ck_assert_uint_lt(platform_phys(object).value, MACHINE_START + GIB);
	ck_assert_uint_ge(platform_phys(other_object).value, MACHINE_START + GIB);
	ck_assert_uint_eq(memory_drain(memory, 4 * BLOCK_BYTES, false), 4 * BLOCK_BYTES);
	ck_assert_uint_eq(other_cache.blocks, 56);
	general_heap_free(&memory->general, object);
	general_heap_free(&other.memory.general, other_object);
	test_cache_fini(&cache);
	test_cache_fini(&other_cache);
	machine_fini(&other);
	machine_fini(&machine);
}
END_TEST

/* Cleaners ------------------------------------------------------------------------------------- */

struct recorder {
	struct cleaner cleaner;
	unsigned *order;
	unsigned called_as;
	uint64_t bytes;
};

static uint64_t record(struct cleaner *self, const struct reclaim_target *target)
{
	struct recorder *recorder = container_of(self, struct recorder, cleaner);

	recorder->called_as = ++*recorder->order;
	recorder->bytes = target->bytes;
	return BLOCK_BYTES; /* a lie */
}

START_TEST(cleaners_come_in_order_and_are_not_believed)
{
	static const struct {
		enum cleaner_cost cost;
		unsigned preference;
	} kinds[] = {
		{ CLEANER_HELD, 0 }, { CLEANER_CLEAN, 9 }, { CLEANER_DIRTY, 1 }, { CLEANER_CLEAN, 3 }, { CLEANER_FREE, 5 }
	};
	static const unsigned expected[] = { 5, 3, 4, 2, 1 };
	struct recorder recorders[5];
	unsigned order = 0;

	setup(8, 0, 0);
	for (unsigned i = 0; i < 5; i++) {
		recorders[i] = (struct recorder){ .cleaner = { .name = "recorder",
							       .cost = kinds[i].cost,
							       .preference = kinds[i].preference,
							       .clean = record },
						  .order = &order };
		cleaner_register(&memory->reclaim.cleaners, &recorders[i].cleaner);
	}
	ck_assert_uint_eq(memory_drain(memory, 3 * BLOCK_BYTES - 1, false), 0);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(recorders[i].called_as, expected[i]);
		ck_assert_uint_eq(recorders[i].bytes, 3 * BLOCK_BYTES);
		ck_assert_uint_eq(recorders[i].cleaner.reported_bytes, BLOCK_BYTES);
		ck_assert_uint_eq(recorders[i].cleaner.given_bytes, 0);
		cleaner_unregister(&memory->reclaim.cleaners, &recorders[i].cleaner);
		cleaner_unregister(&memory->reclaim.cleaners, &recorders[i].cleaner);
	}
	machine_fini(&machine);
}
END_TEST

struct slow {
	struct cleaner cleaner;
	_Atomic bool inside;
	_Atomic bool finished;
};

static uint64_t clean_slowly(struct cleaner *self, const struct reclaim_target *target)
{
	struct slow *slow = container_of(self, struct slow, cleaner);
	const uint64_t end = platform_now_ns() + 30 * NS_PER_MS;

	(void)target;
	slow->inside = true;
	while (platform_now_ns() < end)
		platform_yield();
	slow->finished = true;
	return 0;
}

static void drain_or_unregister(void *context, unsigned index)
{
	struct slow *slow = context;

	if (index == 0) {
		(void)memory_drain(memory, BLOCK_BYTES, false);
		return;
	}
	while (!slow->inside)
		platform_yield();
	cleaner_unregister(&memory->reclaim.cleaners, &slow->cleaner);
	ck_assert(slow->finished);
}

START_TEST(unregistering_threads_wait_for_the_call)
{
	struct slow slow = { .cleaner = { .name = "slow", .cost = CLEANER_CLEAN, .clean = clean_slowly } };

	setup(8, 0, 0);
	cleaner_register(&memory->reclaim.cleaners, &slow.cleaner);
	host_threads_run(2, drain_or_unregister, &slow);
	machine_fini(&machine);
}
END_TEST

/* Reclaim -------------------------------------------------------------------------------------- */

START_TEST(request_drains_just_what_is_missing)
{
	struct test_cache cache;
	struct phys_addr runs[40];
	uint64_t cached;

	setup(128, 4, 8);
	test_cache_init(&cache, &machine, "pages", 0);
	cached = test_cache_fill(&cache, FRAME_CLEAN);
	ck_assert_uint_eq(cached, 120);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 40, runs), STATUS_OK);
	ck_assert_uint_eq(free_blocks(), 4);
	ck_assert_uint_eq(cache.cleaned_blocks, 36);
	ck_assert_uint_eq(cache.blocks, 84);
	for (unsigned i = 0; i < 40; i++)
		memory_blocks_free(memory, runs[i]);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

START_TEST(less_preferred_cache_gives_first)
{
	struct test_cache first, second;
	struct phys_addr runs[20];

	setup(64, 0, 4);
	test_cache_init(&second, &machine, "dear", 90);
	test_cache_init(&first, &machine, "cheap", 10);
	for (unsigned i = 0; i < 12 * PAGES_PER_BLOCK; i++)
		(void)test_cache_add(&first, FRAME_CLEAN);
	ck_assert_uint_eq(test_cache_fill(&second, FRAME_CLEAN), 48);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 20, runs), STATUS_OK);
	ck_assert_uint_eq(first.cleaned_blocks, 12);
	ck_assert_uint_eq(second.cleaned_blocks, 4);
	for (unsigned i = 0; i < 20; i++)
		memory_blocks_free(memory, runs[i]);
	test_cache_fini(&first);
	test_cache_fini(&second);
	machine_fini(&machine);
}
END_TEST

START_TEST(window_is_emptied_for_a_run)
{
	struct test_cache cache;
	struct phys_addr run;
	uint64_t cached;

	setup(64, 0, 4);
	test_cache_init(&cache, &machine, "pages", 0);
	cached = test_cache_fill(&cache, FRAME_CLEAN);
	/* A pinned page in every sixteenth block, but not in the window from 33 on. */
	for (uint64_t block = 0; block < 60; block += 16)
		test_cache_set(&cache, platform_virt((struct phys_addr){ MACHINE_START + block * BLOCK_BYTES }), FRAME_PINNED);
	const struct memory_request request = { .blocks = 15, .owner = &driver };
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_le(cached - cache.blocks, 15);
	ck_assert(memory_is_valid(memory));
	memory_blocks_free(memory, run);
	const struct memory_request larger = { .blocks = 20, .owner = &driver };
	const uint64_t before = cache.blocks;
	ck_assert_int_eq(memory_blocks_alloc(memory, &larger, &run), STATUS_NO_MEMORY);
	ck_assert_uint_gt(cache.blocks, 0);
	ck_assert_uint_le(cache.blocks, before);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

START_TEST(constraints_bound_what_is_drained)
{
	struct test_cache cache;
	struct phys_addr runs[6];
	const struct phys_addr highest = { MACHINE_START + 16 * BLOCK_BYTES - 1 };

	setup(64, 0, 4);
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	const struct memory_request request = { .blocks = 1, .owner = &driver, .constraints = { .highest = highest } };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 6, runs), STATUS_OK);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_lt(runs[i].value, highest.value);
	/* Four were free elsewhere: what lay in the way moved there. */
	ck_assert_uint_eq(cache.cleaned_blocks, 2);
	for (unsigned i = 0; i < 6; i++)
		memory_blocks_free(memory, runs[i]);
	struct memory_request impossible = request;
	impossible.blocks = 17;
	ck_assert_int_eq(memory_blocks_alloc(memory, &impossible, runs), STATUS_RANGE);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

START_TEST(dirty_memory_takes_waiting)
{
	struct test_cache cache;
	struct phys_addr runs[10] = { { 7 } };

	setup(32, 0, 2);
	host_clock_set(HOST_CLOCK_SKIPPING);
	test_cache_init(&cache, &machine, "pages", 0);
	cache.write_ns = NS_PER_MS;
	ck_assert_uint_eq(test_cache_fill(&cache, FRAME_DIRTY), 30);
	struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 10, runs), STATUS_NO_MEMORY);
	ck_assert_uint_eq(free_blocks(), 2);
	request.wait = MEMORY_WAIT_FOREVER;
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 10, runs), STATUS_OK);
	ck_assert_uint_eq(cache.cleaned_blocks, 8);
	for (unsigned i = 0; i < 10; i++)
		memory_blocks_free(memory, runs[i]);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

START_TEST(deadline_is_kept_and_everything_given_back)
{
	struct test_cache cache;
	struct phys_addr runs[20];
	uint64_t start, late_ns;

	setup(32, 0, 2);
	host_clock_set(HOST_CLOCK_SKIPPING);
	test_cache_init(&cache, &machine, "pages", 0);
	cache.write_ns = 10 * NS_PER_MS;
	(void)test_cache_fill(&cache, FRAME_DIRTY);
	start = platform_now_ns();
	const struct memory_request request = {
		.blocks = 1, .owner = &driver, .wait = MEMORY_WAIT_DEADLINE, .deadline_ns = start + 35 * NS_PER_MS
	};
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 20, runs), STATUS_TIMEOUT);
	late_ns = platform_now_ns() - request.deadline_ns;
	ck_assert_uint_le(late_ns, 10 * NS_PER_MS);
	ck_assert_uint_eq(driver.blocks, 0);
	ck_assert_uint_eq(atomic_load(&memory->reclaim.pending_blocks), 0);
	ck_assert(!fair_mutex_is_held(&memory->reclaim.lock));

	/* Pinned pages: nothing to be had, the wait ends by itself. */
	for (uint64_t i = 0; i < cache.frame_count; i++)
		if (cache.frames[i] != FRAME_NONE)
			cache.frames[i] = FRAME_PINNED;
	const struct memory_request again = {
		.blocks = 32, .owner = &driver, .wait = MEMORY_WAIT_DEADLINE, .deadline_ns = platform_now_ns() + NS_PER_S
	};
	ck_assert_int_eq(memory_blocks_alloc(memory, &again, runs), STATUS_TIMEOUT);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

struct waiting {
	struct phys_addr held[8];
	_Atomic bool asking;
};

static void wait_or_free(void *context, unsigned index)
{
	struct waiting *waiting = context;
	struct phys_addr run;

	if (index == 1) {
		const uint64_t until = platform_now_ns() + 20 * NS_PER_MS;

		while (!waiting->asking || platform_now_ns() < until)
			platform_yield();
		for (unsigned i = 0; i < 8; i++)
			memory_blocks_free(memory, waiting->held[i]);
		return;
	}
	const struct memory_request request = { .blocks = 8, .owner = &driver, .wait = MEMORY_WAIT_FOREVER };
	waiting->asking = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	memory_blocks_free(memory, run);
}

START_TEST(waiting_threads_get_what_others_free)
{
	struct waiting waiting = { .asking = false };

	setup(8, 0, 0);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 8, waiting.held), STATUS_OK);
	host_threads_run(2, wait_or_free, &waiting);
	machine_fini(&machine);
}
END_TEST

START_TEST(atomic_requests_never_drain)
{
	struct test_cache cache;
	struct phys_addr run;

	setup(16, 2, 4);
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	const struct memory_request request = { .blocks = 1, .owner = &driver, .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr runs[4];
	platform_preempt_disable();
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 2, runs), STATUS_OK);
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_NO_MEMORY);
	struct memory_request kernel = request;
	kernel.below_min = true;
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &kernel, 2, runs + 2), STATUS_OK);
	platform_preempt_enable();
	ck_assert_uint_eq(cache.cleaned_blocks, 0);
	ck_assert_uint_eq(free_blocks(), 0);
	for (unsigned i = 0; i < 4; i++)
		memory_blocks_free(memory, runs[i]);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

static void crowd(void *context, unsigned index)
{
	struct test_cache *cache = context;
	struct phys_addr runs[16];
	struct random random;

	random_seed(&random, index + 1);
	for (unsigned round = 0; round < 40; round++) {
		const uint32_t count = 1 + (uint32_t)random_below(&random, 16);
		const struct memory_request request = {
			.blocks = index == 3 ? 1 + random_below(&random, 6) : 1,
			.owner = &driver,
			.wait = MEMORY_WAIT_FOREVER,
		};

		ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, index == 3 ? 1 : count, runs),
				 STATUS_OK);
		for (unsigned i = 0; i < 200; i++)
			(void)test_cache_add(cache, FRAME_CLEAN);
		for (unsigned i = 0; i < (index == 3 ? 1 : count); i++)
			memory_blocks_free(memory, runs[i]);
	}
}

START_TEST(requests_of_threads_all_succeed)
{
	struct test_cache cache;

	setup(96, 4, 8);
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	host_threads_run(4, crowd, &cache);
	ck_assert_uint_eq(driver.blocks, 0);
	ck_assert_uint_eq(atomic_load(&memory->reclaim.pending_blocks), 0);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

/* Its creator allocates so much, aligned to 64 bytes. */
START_TEST(metadata_is_a_multiple_of_64_bytes)
{
	for (uint64_t blocks = 1; blocks < 300; blocks++) {
		const struct phys_range range = { { MACHINE_START }, blocks * BLOCK_BYTES };

		ck_assert_uint_eq(memory_metadata_bytes(&range, 1) % 64, 0);
	}
}
END_TEST

HOST_TEST_MAIN("heap_memory", metadata_is_a_multiple_of_64_bytes, two_instances_live_side_by_side,
	       cleaners_come_in_order_and_are_not_believed, unregistering_threads_wait_for_the_call,
	       request_drains_just_what_is_missing, less_preferred_cache_gives_first, window_is_emptied_for_a_run,
	       constraints_bound_what_is_drained, dirty_memory_takes_waiting, deadline_is_kept_and_everything_given_back,
	       waiting_threads_get_what_others_free, atomic_requests_never_drain, requests_of_threads_all_succeed)
