/* General heap, cleaners and reclaim. */
#include "host/host_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "heap/failure_report.h"
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

START_TEST(general_heap_serves_any_size)
{
	struct heap *heap;
	struct random random;

	setup(256, 0, 0);
	heap = memory_general_heap(memory);
	random_seed(&random, 5);
	for (unsigned i = 0; i < 400; i++) {
		const size_t alignment = 1ull << random_below(&random, 14);
		const size_t bytes = 1 + random_below(&random, 1ull << random_below(&random, 23));
		unsigned char *object = heap_alloc(heap, bytes, alignment);

		ck_assert_ptr_nonnull(object);
		ck_assert_uint_eq(platform_phys(object).value % alignment, 0);
		ck_assert_uint_ge(general_heap_usable_bytes(&memory->general, object), bytes);
		object[0] = 1;
		object[bytes - 1] = 2;
		heap_free(heap, object);
	}
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(general_heap_refuses_what_cannot_be)
{
	struct heap *heap;

	setup(16, 0, 0);
	heap = memory_general_heap(memory);
	ck_assert_ptr_null(heap_alloc(heap, 0, 0));
	ck_assert_ptr_null(heap_alloc(heap, 16, 24));
	ck_assert_ptr_null(heap_alloc(heap, SIZE_MAX, 0));
	ck_assert_ptr_null(heap_alloc(heap, 17 * BLOCK_BYTES, 0));
	ck_assert_ptr_null(heap_alloc(heap, 64, 1ull << 40));
	heap_free(heap, NULL);
	void *run = heap_alloc(heap, 3 * BLOCK_BYTES, 4 * BLOCK_BYTES);
	ck_assert_uint_eq(platform_phys(run).value % (4 * BLOCK_BYTES), 0);
	heap_free(heap, run);
	machine_fini(&machine);
}
END_TEST

START_TEST(larger_class_stands_in)
{
	void *large, *small;
	struct phys_addr run;

	setup(4, 0, 0);
	large = general_heap_alloc(&memory->general, 128, 0);
	const struct memory_request rest = { .blocks = 3, .owner = &driver, .below_min = true };
	ck_assert_int_eq(memory_blocks_alloc(memory, &rest, &run), STATUS_OK);
	small = general_heap_alloc(&memory->general, 64, 0);
	ck_assert_ptr_nonnull(small);
	ck_assert_uint_eq(general_heap_usable_bytes(&memory->general, small), 128);
	ck_assert_ptr_null(general_heap_alloc(&memory->general, 16, 0));
	general_heap_free(&memory->general, small);
	general_heap_free(&memory->general, large);
	memory_blocks_free(memory, run);
	machine_fini(&machine);
}
END_TEST

static void free_twice(void *object)
{
	general_heap_free(&memory->general, object);
	general_heap_free(&memory->general, object);
}

START_TEST(wrong_frees_are_reported)
{
	char message[256];
	char *run, *small;

	setup(16, 0, 0);
	run = general_heap_alloc(&memory->general, 2 * BLOCK_BYTES, 0);
	small = general_heap_alloc(&memory->general, 64, 0); /* all of it: what a child does to the memory stays */
	ck_assert(host_panics(free_twice, run, message, sizeof(message)));
	ck_assert(host_panics(free_twice, run + BLOCK_BYTES, message, sizeof(message)));
	ck_assert(host_panics(free_twice, small, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "general-64"));
	general_heap_free(&memory->general, run);
	general_heap_free(&memory->general, small);
	machine_fini(&machine);
}
END_TEST

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

/* Cleaners --------------------------------------------------------------------------------------------------------------- */

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
		cleaner_register(&memory->cleaners, &recorders[i].cleaner);
	}
	ck_assert_uint_eq(memory_drain(memory, 3 * BLOCK_BYTES - 1, false), 0);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(recorders[i].called_as, expected[i]);
		ck_assert_uint_eq(recorders[i].bytes, 3 * BLOCK_BYTES);
		ck_assert_uint_eq(recorders[i].cleaner.claimed_bytes, BLOCK_BYTES);
		ck_assert_uint_eq(recorders[i].cleaner.given_bytes, 0);
		cleaner_unregister(&memory->cleaners, &recorders[i].cleaner);
		cleaner_unregister(&memory->cleaners, &recorders[i].cleaner);
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
	cleaner_unregister(&memory->cleaners, &slow->cleaner);
	ck_assert(slow->finished);
}

START_TEST(unregistering_threads_wait_for_the_call)
{
	struct slow slow = { .cleaner = { .name = "slow", .cost = CLEANER_CLEAN, .clean = clean_slowly } };

	setup(8, 0, 0);
	cleaner_register(&memory->cleaners, &slow.cleaner);
	host_threads_run(2, drain_or_unregister, &slow);
	machine_fini(&machine);
}
END_TEST

/* Reclaim ---------------------------------------------------------------------------------------------------------------- */

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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 40, runs), STATUS_OK);
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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 20, runs), STATUS_OK);
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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 6, runs), STATUS_OK);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_uint_lt(runs[i].value, highest.value);
	ck_assert_uint_eq(cache.cleaned_blocks, 6);
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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 10, runs), STATUS_NO_MEMORY);
	ck_assert_uint_eq(free_blocks(), 2);
	request.wait = MEMORY_WAIT_FOREVER;
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 10, runs), STATUS_OK);
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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 20, runs), STATUS_TIMEOUT);
	late_ns = platform_now_ns() - request.deadline_ns;
	ck_assert_uint_le(late_ns, 10 * NS_PER_MS);
	ck_assert_uint_eq(driver.blocks, 0);
	ck_assert_uint_eq(atomic_load(&memory->claimed_blocks), 0);
	ck_assert(!turns_is_held(&memory->turns));

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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 8, waiting.held), STATUS_OK);
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
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 2, runs), STATUS_OK);
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_NO_MEMORY);
	struct memory_request kernel = request;
	kernel.below_min = true;
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &kernel, 2, runs + 2), STATUS_OK);
	platform_preempt_enable();
	ck_assert_uint_eq(cache.cleaned_blocks, 0);
	ck_assert_uint_eq(free_blocks(), 0);
	for (unsigned i = 0; i < 4; i++)
		memory_blocks_free(memory, runs[i]);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

struct nested {
	struct cleaner cleaner;
	status_t status;
};

static uint64_t ask_for_memory(struct cleaner *self, const struct reclaim_target *target)
{
	struct nested *nested = container_of(self, struct nested, cleaner);
	const struct memory_request request = { .blocks = 1, .owner = &driver, .nested = true, .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr run;

	(void)target;
	nested->status = memory_blocks_alloc(memory, &request, &run);
	return 0;
}

START_TEST(request_inside_a_cleaner_does_not_recurse)
{
	struct nested nested = { .cleaner = { .name = "nested", .cost = CLEANER_CLEAN, .clean = ask_for_memory } };
	struct phys_addr runs[8];

	setup(8, 0, 0);
	cleaner_register(&memory->cleaners, &nested.cleaner);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 8, runs), STATUS_OK);
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, runs + 8 - 1), STATUS_NO_MEMORY);
	ck_assert_int_eq(nested.status, STATUS_NO_MEMORY);
	cleaner_unregister(&memory->cleaners, &nested.cleaner);
	for (unsigned i = 0; i < 8; i++)
		memory_blocks_free(memory, runs[i]);
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

		ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, index == 3 ? 1 : count, runs), STATUS_OK);
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
	ck_assert_uint_eq(atomic_load(&memory->claimed_blocks), 0);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

/* Fault injection: the nth allocation fails, for every n; nothing is left behind. */
struct nth {
	struct fault_injector injector;
	unsigned left;
};

static bool fail_nth(struct fault_injector *self, const char *where, uint64_t bytes)
{
	struct nth *nth = container_of(self, struct nth, injector);

	(void)where, (void)bytes;
	return nth->left-- == 0;
}

START_TEST(every_allocation_may_fail)
{
	struct nth nth = { .injector = { .must_fail = fail_nth } };
	unsigned failures = 0;

	setup(64, 0, 0);
	for (unsigned n = 0; n < 40; n++) {
		void *objects[7] = { 0 };

		nth.left = n;
		memory_set_fault_injector(memory, &nth.injector);
		for (unsigned i = 0; i < 7; i++) {
			objects[i] = general_heap_alloc(&memory->general, 100ull << (3 * i), 0);
			failures += !objects[i];
		}
		memory_set_fault_injector(memory, NULL);
		for (unsigned i = 0; i < 7; i++)
			general_heap_free(&memory->general, objects[i]);
		ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
		ck_assert(memory_is_valid(memory));
		(void)memory_drain(memory, UINT64_MAX / 2, false);
	}
	ck_assert_uint_gt(failures, 10);
	machine_fini(&machine);
}
END_TEST

START_TEST(failure_says_who_holds_the_memory)
{
	struct phys_addr runs[8];
	char text[4096];

	setup(8, 0, 0);
	host_log_level(LOG_WARN);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(memory_blocks_alloc_many(memory, &request, 7, runs), STATUS_OK);
	host_output_capture(text, sizeof(text));
	const struct memory_request more = { .blocks = 2, .owner = &driver };
	ck_assert_int_eq(memory_blocks_alloc(memory, &more, runs + 7), STATUS_NO_MEMORY);
	host_output_capture(NULL, 0);
	ck_assert_ptr_nonnull(strstr(text, "driver did not get 1 of 1 runs of 4 MB"));
	ck_assert_ptr_nonnull(strstr(text, "holds 14 MB"));
	ck_assert_ptr_nonnull(strstr(text, "cleaner general"));
	for (unsigned i = 0; i < 7; i++)
		memory_blocks_free(memory, runs[i]);
	machine_fini(&machine);
}
END_TEST

/* Whoever has to be back by a deadline does not print. */
START_TEST(a_task_prints_what_failed_in_a_hurry)
{
	const struct memory_request everything = { .blocks = 8, .owner = &driver };
	const struct memory_request more = {
		.blocks = 2, .owner = &driver, .wait = MEMORY_WAIT_DEADLINE, .deadline_ns = platform_now_ns()
	};
	struct phys_addr run, other;
	char text[4096];

	setup(9, 0, 0);
	host_log_level(LOG_WARN);
	ck_assert_int_eq(memory_blocks_alloc(memory, &everything, &run), STATUS_OK);
	host_output_capture(text, sizeof(text));
	atomic_store(&memory->failure.has_task, true); /* which has not run yet */
	ck_assert_int_eq(memory_blocks_alloc(memory, &more, &other), STATUS_TIMEOUT);
	ck_assert_str_eq(text, "");
	failure_report_stop(memory);
	failure_report_run(memory);
	host_output_capture(NULL, 0);
	ck_assert_ptr_nonnull(strstr(text, "driver did not get 1 of 1 runs of 4 MB"));
	ck_assert_ptr_nonnull(strstr(text, "timed out"));
	ck_assert_ptr_nonnull(strstr(text, "driver                   holds 16 MB"));
	memory_blocks_free(memory, run);
	machine_fini(&machine);
}
END_TEST

static status_t run_command(struct command_table *table, const char *text)
{
	char line[64];

	strcpy(line, text);
	return command_execute(table, line);
}

START_TEST(monitor_shows_everything)
{
	static const struct device device = { .name = "nvme 00:04.0", .dma_mask = UINT64_MAX };
	const struct dma_request request = { .bytes = 3 * MIB };
	struct command_table table;
	struct dma_coherent coherent;
	struct dma_buffer *buffer;
	struct test_cache cache;
	char text[16384];

	setup(64, 1, 2);
	test_cache_init(&cache, &machine, "pages", 7);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	ck_assert_int_eq(dma_alloc(memory, &device, &request, &buffer), STATUS_OK);
	ck_assert_int_eq(dma_coherent_alloc(memory, &device, 64, 0, &coherent), STATUS_OK);
	command_table_init(&table);
	memory_commands_register(memory, &table);
	host_output_capture(text, sizeof(text));
	ck_assert_int_eq(run_command(&table, "mem"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "mem owners"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "mem map"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "mem map all"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "trace"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "trace 10"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "trace all"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "heaps"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "dma"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "drain 4M"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "cleaners"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "drain"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "drain much"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "mem all"), STATUS_INVALID);
	host_output_capture(NULL, 0);
	if (getenv("SHOW"))
		fputs(text, stdout);
	ck_assert_ptr_nonnull(strstr(text, "total     128 MB"));
	ck_assert_ptr_nonnull(strstr(text, "nvme 00:04.0 "));
	ck_assert_ptr_nonnull(strstr(text, "1 coherent objects"));
	ck_assert_ptr_nonnull(strstr(text, "taken at test/host/test_heap_memory.c:"));
	ck_assert_ptr_nonnull(strstr(text, "by temperature"));
	ck_assert_ptr_nonnull(strstr(text, "events, "));
	ck_assert_ptr_nonnull(strstr(text, "4 MB reached the block heap"));
	dma_coherent_free(memory, &coherent);
	dma_free(memory, buffer);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("heap_memory", general_heap_serves_any_size, general_heap_refuses_what_cannot_be, larger_class_stands_in,
	       wrong_frees_are_reported, two_instances_live_side_by_side, cleaners_come_in_order_and_are_not_believed,
	       unregistering_threads_wait_for_the_call, request_drains_just_what_is_missing, less_preferred_cache_gives_first,
	       window_is_emptied_for_a_run, constraints_bound_what_is_drained, dirty_memory_takes_waiting,
	       deadline_is_kept_and_everything_given_back, waiting_threads_get_what_others_free, atomic_requests_never_drain,
	       request_inside_a_cleaner_does_not_recurse, requests_of_threads_all_succeed, every_allocation_may_fail,
	       failure_says_who_holds_the_memory, a_task_prints_what_failed_in_a_hurry, monitor_shows_everything)
