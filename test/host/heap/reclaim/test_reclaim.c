// SPDX-License-Identifier: BSD-2-Clause
/* Reclaim on a small heap: the mark of cleaning, waiting, joining, watermarks. */
#include "heap/reclaim/background_cleaner.h"

#include "fake/heap_fixture.h"
#include "host/host_test.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct owner driver;

static void setup(uint64_t blocks, uint64_t min_blocks, uint64_t low_blocks)
{
	machine_init(&machine, MACHINE_START, blocks, min_blocks, low_blocks);
	owner_init(&driver, "driver", false);
	host_log_level(LOG_ERROR);
}

static uint64_t free_blocks(void)
{
	return memory_free_bytes(memory) / BLOCK_BYTES;
}

/* The mark ------------------------------------------------------------------------------------- */

/* A cleaner that wants memory. */
struct greedy {
	struct cleaner cleaner;
	bool objects;
};

static uint64_t want_memory(struct cleaner *self, const struct reclaim_target *target)
{
	struct greedy *greedy = container_of(self, struct greedy, cleaner);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	struct phys_addr run;

	(void)target;
	ck_assert(platform_is_cleaning());
	if (greedy->objects)
		heap_free(memory_general_heap(memory), heap_alloc(memory_general_heap(memory), 100, 0));
	else
		ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	return 0;
}

static void drain_one(void *context)
{
	(void)context;
	(void)memory_drain(memory, BLOCK_BYTES, false);
}

START_TEST(whoever_cleans_must_not_allocate)
{
	struct greedy greedy = { .cleaner = { .name = "greedy", .cost = CLEANER_CLEAN, .clean = want_memory } };
	char message[200];

	setup(16, 0, 0);
	cleaner_register(&memory->reclaim.cleaners, &greedy.cleaner);
	ck_assert(host_panics(drain_one, NULL, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "driver asks for 1 blocks while it cleans"));
	greedy.objects = true;
	ck_assert(host_panics(drain_one, NULL, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "while the task cleans"));
	ck_assert(!platform_is_cleaning());
	cleaner_unregister(&memory->reclaim.cleaners, &greedy.cleaner);
	machine_fini(&machine);
}
END_TEST

static void look_at_mark(void *context)
{
	bool *seen = context;

	if (platform_in_handler())
		*seen = *seen || platform_is_cleaning();
}

static void mark_or_interrupt(void *context, unsigned index)
{
	_Atomic unsigned *step = context;
	bool seen = false;

	if (index == 0) {
		(void)platform_set_cleaning(true);
		atomic_store(step, 1);
		while (atomic_load(step) != 2)
			platform_yield();
		ck_assert(platform_is_cleaning());
		ck_assert(platform_set_cleaning(false));
		return;
	}
	while (atomic_load(step) != 1)
		platform_yield();
	platform_run_on_all_cpus(look_at_mark, &seen);
	ck_assert(!seen);
	ck_assert(!platform_is_cleaning());
	atomic_store(step, 2);
}

START_TEST(handlers_on_threads_do_not_inherit_the_mark)
{
	_Atomic unsigned step = 0;

	host_threads_run(2, mark_or_interrupt, &step);
}
END_TEST

/* Requests ------------------------------------------------------------------------------------- */

START_TEST(requests_that_make_no_sense_are_refused)
{
	struct phys_addr run;

	setup(8, 0, 0);
	const struct memory_request nobody = { .blocks = 1 };
	ck_assert_int_eq(memory_blocks_alloc(memory, &nobody, &run), STATUS_INVALID);
	const struct memory_request crooked = { .blocks = 1,
						.owner = &driver,
						.constraints = { .alignment_bytes = 3 * BLOCK_BYTES } };
	ck_assert_int_eq(memory_blocks_alloc(memory, &crooked, &run), STATUS_INVALID);
	const struct memory_request nothing = { .owner = &driver };
	ck_assert_int_eq(memory_blocks_alloc(memory, &nothing, &run), STATUS_INVALID);
	machine_fini(&machine);
}
END_TEST

START_TEST(kernel_objects_leave_a_share_where_nothing_may_sleep)
{
	struct phys_addr runs[8];

	setup(8, 4, 4);
	memory->reclaim.watermarks.atomic_percent = 50;
	const struct memory_request request = { .blocks = 1, .owner = &driver, .below_min = true };
	platform_preempt_disable();
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 7, runs), STATUS_NO_MEMORY);
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 6, runs), STATUS_OK);
	platform_preempt_enable();
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 2, runs + 6), STATUS_OK);
	for (unsigned i = 0; i < 8; i++)
		memory_blocks_free(memory, runs[i]);
	machine_fini(&machine);
}
END_TEST

/* A cache whose disk never ends a write: it has something under way, and gives nothing. */
static uint64_t stall(struct cleaner *self, const struct reclaim_target *target)
{
	(void)self;
	if (target->may_write && target->under_way)
		*target->under_way = true;
	return 0;
}

struct stalled {
	struct cleaner cleaner;
	struct phys_addr held[8];
	_Atomic bool waiting;
};

static bool somebody_waits(void)
{
	return atomic_load(&memory->reclaim.waiters) > 0;
}

/* While the first one waits for the disk, the other one is told at once that there is nothing. */
static void wait_or_ask(void *context, unsigned index)
{
	struct stalled *stalled = context;
	struct memory_request request = { .blocks = 1 + index, .owner = &driver, .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr run;

	if (index == 0) {
		ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
		memory_blocks_free(memory, run);
		return;
	}
	while (!somebody_waits())
		platform_yield();
	request.wait = MEMORY_WAIT_NEVER;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_NO_MEMORY);
	for (unsigned i = 0; i < 8; i++)
		memory_blocks_free(memory, stalled->held[i]);
}

START_TEST(threads_that_must_not_wait_do_not_wait_for_others)
{
	struct stalled stalled = { .cleaner = { .name = "stalled", .cost = CLEANER_DIRTY, .clean = stall } };

	setup(8, 0, 0);
	cleaner_register(&memory->reclaim.cleaners, &stalled.cleaner);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 8, stalled.held), STATUS_OK);
	host_threads_run(2, wait_or_ask, &stalled);
	cleaner_unregister(&memory->reclaim.cleaners, &stalled.cleaner);
	machine_fini(&machine);
}
END_TEST

/* Each block takes a millisecond of the test's clock. */
START_TEST(a_deadline_is_overrun_by_the_work_of_one_block_at_most)
{
	struct test_cache cache;
	struct phys_addr runs[30];

	setup(40, 0, 2);
	host_clock_set(HOST_CLOCK_SKIPPING);
	test_cache_init(&cache, &machine, "pages", 0);
	cache.write_ns = NS_PER_MS;
	(void)test_cache_fill(&cache, FRAME_DIRTY);
	for (uint64_t wait_us = 500; wait_us < 20000; wait_us += 1700) {
		const struct memory_request request = {
			.blocks = 1,
			.owner = &driver,
			.wait = MEMORY_WAIT_DEADLINE,
			.deadline_ns = platform_now_ns() + wait_us * NS_PER_US,
		};
		const uint64_t before = free_blocks();

		ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 30, runs), STATUS_TIMEOUT);
		ck_assert_uint_eq(driver.blocks, 0);
		ck_assert_uint_ge(free_blocks(), before);
		ck_assert_uint_eq(atomic_load(&memory->reclaim.pending_blocks), 0);
		ck_assert_uint_eq(atomic_load(&memory->reclaim.pending_blocks), 0);
		(void)test_cache_fill(&cache, FRAME_DIRTY);
	}
	ck_assert_uint_eq(memory->reclaim.statistics.timeouts, 12);
	ck_assert_uint_le(memory->reclaim.statistics.late_ns_max, NS_PER_MS);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

/* Together they have no more cleaned than they ask for. */
#define JOINERS       4
#define JOINER_BLOCKS 10

static void join(void *context, unsigned index)
{
	struct phys_addr *runs = (struct phys_addr *)context + (size_t)index * JOINER_BLOCKS;
	const struct memory_request request = { .blocks = 1, .owner = &driver, .wait = MEMORY_WAIT_FOREVER };

	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, JOINER_BLOCKS, runs), STATUS_OK);
}

START_TEST(threads_share_rounds_and_take_no_more_than_they_ask_for)
{
	struct phys_addr runs[JOINERS * JOINER_BLOCKS];
	struct test_cache cache;

	for (unsigned loop = 0; loop < 20; loop++) {
		setup(64, 2, 4);
		test_cache_init(&cache, &machine, "pages", 0);
		ck_assert_uint_eq(test_cache_fill(&cache, FRAME_CLEAN), 60);
		host_threads_run(JOINERS, join, runs);
		/* Two were free that they might take. */
		ck_assert_uint_eq(cache.cleaned_blocks, JOINERS * JOINER_BLOCKS - 2);
		ck_assert_uint_eq(atomic_load(&memory->reclaim.pending_blocks), 0);
		for (unsigned i = 0; i < JOINERS * JOINER_BLOCKS; i++)
			memory_blocks_free(memory, runs[i]);
		test_cache_fini(&cache);
		machine_fini(&machine);
	}
}
END_TEST

/* A cache that is asked for blocks, and grows at the same time. */
struct growing {
	struct cleaner cleaner;
	struct owner owner;
	struct phys_addr blocks[16];
	unsigned count;
};

static uint64_t give_and_grow(struct cleaner *self, const struct reclaim_target *target)
{
	struct growing *cache = container_of(self, struct growing, cleaner);
	struct phys_addr block;

	(void)target;
	memory_blocks_free(memory, cache->blocks[--cache->count]);
	ck_assert(!reclaim_may_grow(memory_reclaim(memory)));
	ck_assert_int_ne(reclaim_cache_take(memory_reclaim(memory), &cache->owner, &block), STATUS_OK);
	return BLOCK_BYTES;
}

START_TEST(caches_do_not_grow_into_pending_blocks)
{
	struct growing cache = { .cleaner = { .name = "growing", .cost = CLEANER_CLEAN, .clean = give_and_grow } };
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	struct phys_addr runs[2];

	setup(16, 0, 0);
	owner_init(&cache.owner, "growing", true);
	while (reclaim_cache_take(memory_reclaim(memory), &cache.owner, &cache.blocks[cache.count]) == STATUS_OK)
		cache.count++;
	const unsigned all = cache.count;

	ck_assert(!reclaim_may_grow(memory_reclaim(memory)));
	cleaner_register(&memory->reclaim.cleaners, &cache.cleaner);
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 2, runs), STATUS_OK);
	ck_assert_uint_eq(cache.count, all - 2);
	cleaner_unregister(&memory->reclaim.cleaners, &cache.cleaner);
	while (cache.count > 0)
		memory_blocks_free(memory, cache.blocks[--cache.count]);
	for (unsigned i = 0; i < ARRAY_LENGTH(runs); i++)
		memory_blocks_free(memory, runs[i]);
	machine_fini(&machine);
}
END_TEST

/* Background ----------------------------------------------------------------------------------- */

START_TEST(watermarks_must_be_in_order)
{
	const struct memory_config config = { .watermarks.min_bytes = BLOCK_BYTES,
					      .watermarks.low_bytes = 4 * BLOCK_BYTES,
					      .watermarks.high_bytes = 3 * BLOCK_BYTES };
	struct memory other;

	ck_assert_int_eq(memory_init(&other, &config, NULL, 0, NULL), STATUS_INVALID);
}
END_TEST

/* Or caches would stop growing below low, and the background cleaner would not stop. */
START_TEST(watermarks_are_rounded_up_to_whole_blocks)
{
	const struct memory_config config = { .watermarks.min_bytes = 1,
					      .watermarks.low_bytes = BLOCK_BYTES + 1,
					      .watermarks.high_bytes = 2 * BLOCK_BYTES + 1 };
	struct test_cache cache;

	machine_init_with(&machine, MACHINE_START, 32, &config);
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	ck_assert_uint_eq(free_blocks(), 2);
	ck_assert(!reclaim_may_grow(memory_reclaim(memory)));
	while (background_cleaner_step(memory_reclaim(memory)) > 0)
		;
	ck_assert_uint_eq(free_blocks(), 3);
	ck_assert_uint_eq(reclaim_watermarks(memory_reclaim(memory))->min_bytes, BLOCK_BYTES);
	ck_assert_uint_eq(reclaim_watermarks(memory_reclaim(memory))->high_bytes, 3 * BLOCK_BYTES);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

START_TEST(the_background_cleaner_stops_at_the_high_watermark)
{
	struct test_cache cache;

	setup(32, 2, 4);
	ck_assert_uint_eq(memory->reclaim.watermarks.high_bytes, 4 * BLOCK_BYTES);
	memory->reclaim.watermarks.high_bytes = 8 * BLOCK_BYTES;
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	ck_assert_uint_eq(free_blocks(), 4);
	while (background_cleaner_step(memory_reclaim(memory)) > 0)
		;
	ck_assert_uint_eq(free_blocks(), 8);
	ck_assert_uint_eq(memory->reclaim.statistics.background_bytes, 4 * BLOCK_BYTES);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

/*
 * One takes what is free, down to min; the other one is the cleaner, which has to bring it back by
 * itself.
 */
static void clean_or_take(void *context, unsigned index)
{
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	struct phys_addr runs[32];

	if (index == 0) {
		background_cleaner_run(memory_reclaim(memory));
		return;
	}
	for (unsigned loop = 0; loop < 5; loop++) {
		const uint32_t count = (uint32_t)free_blocks() - 2;

		if (reclaim_blocks_alloc(memory_reclaim(memory), &request, count, runs) != STATUS_OK)
			continue; /* it was just cleaning */
		while (free_blocks() < 4)
			platform_yield();
		for (uint32_t i = 0; i < count; i++)
			memory_blocks_free(memory, runs[i]);
		(void)test_cache_fill(context, FRAME_CLEAN);
	}
	worker_stop(&memory->reclaim.background);
}

START_TEST(threads_find_memory_cleaned_in_the_background)
{
	struct test_cache cache;

	setup(32, 2, 4);
	memory->reclaim.watermarks.high_bytes = 8 * BLOCK_BYTES;
	test_cache_init(&cache, &machine, "pages", 0);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	host_threads_run(2, clean_or_take, &cache);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("reclaim", whoever_cleans_must_not_allocate, handlers_on_threads_do_not_inherit_the_mark,
	       requests_that_make_no_sense_are_refused, kernel_objects_leave_a_share_where_nothing_may_sleep,
	       threads_that_must_not_wait_do_not_wait_for_others, a_deadline_is_overrun_by_the_work_of_one_block_at_most,
	       threads_share_rounds_and_take_no_more_than_they_ask_for, caches_do_not_grow_into_pending_blocks,
	       watermarks_must_be_in_order, watermarks_are_rounded_up_to_whole_blocks,
	       the_background_cleaner_stops_at_the_high_watermark, threads_find_memory_cleaned_in_the_background)
