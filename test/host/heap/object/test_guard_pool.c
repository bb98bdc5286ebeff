// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guarded objects: which ones are, what is reported of wrong uses, and how long a freed one stays
 * out of use.
 */
#include "host/host_test.h"

#include "fake/heap_fixture.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define ONE_IN  100
#define SMALL   (193 / 2) /* slots of 2 MB that may have an object */
#define ATTEMPT 100000

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct general_heap *const heap = &machine.memory.general;

static void setup_one_in(uint32_t one_in)
{
	const struct memory_config config = { .watermarks.atomic_percent = 100,
					      .guard = { .one_in = one_in, .bytes = BLOCK_BYTES } };

	host_log_level(LOG_ERROR);
	machine_init_with(&machine, MACHINE_START, 64, &config);
}

static void setup(void)
{
	setup_one_in(ONE_IN);
}

static bool is_guarded(const void *object)
{
	return guard_pool_owns(&heap->guard, object);
}

/* Each caller of its own gets a limited number; `caller` tells them apart. */
static char *guarded_alloc_by(size_t bytes, size_t alignment, uintptr_t caller)
{
	return guard_pool_alloc(&heap->guard, bytes, alignment, (const void *)caller);
}

/* What an ordinary caller gets sooner or later. */
static __attribute__((noinline)) char *guarded_alloc(size_t bytes)
{
	for (unsigned i = 0; i < ATTEMPT; i++) {
		char *object = general_heap_alloc(heap, bytes, 0);

		if (is_guarded(object))
			return object;
		general_heap_free(heap, object);
	}
	ck_abort_msg("no object was guarded");
}

static void expect_message(const char *message, const char *what)
{
	if (!strstr(message, what))
		ck_abort_msg("\"%s\" is missing in: %s", what, message);
}

START_TEST(about_one_in_so_many_is_guarded)
{
	uint64_t objects = 0;

	setup_one_in(1000);
	for (unsigned i = 0; i < 1000000; i++) {
		void *object = general_heap_alloc(heap, 16 + i % 1000, 0);

		objects += is_guarded(object);
		general_heap_free(heap, object);
	}
	/* Somewhat more where magazines are not loaded with as many as they hold. */
	ck_assert_uint_ge(objects, 750);
	ck_assert_uint_le(objects, 1500);
	ck_assert_uint_eq(guard_pool_count(&heap->guard).allocs, objects);
	machine_fini(&machine);
}
END_TEST

static uint64_t guarded_of(unsigned objects)
{
	uint64_t guarded = 0;

	for (unsigned i = 0; i < objects; i++) {
		void *object = general_heap_alloc(heap, 48, 0);

		guarded += is_guarded(object);
		general_heap_free(heap, object);
	}
	return guarded;
}

START_TEST(those_that_come_fast_are_guarded_now_and_then)
{
	const struct memory_config config = {
		.watermarks.atomic_percent = 100,
		.guard = { .one_in = 16, .interval_ns = NS_PER_S, .bytes = BLOCK_BYTES },
	};

	host_clock_set(HOST_CLOCK_MANUAL);
	machine_init_with(&machine, MACHINE_START, 64, &config);
	ck_assert_uint_eq(guarded_of(ATTEMPT), 1);
	host_clock_turn(NS_PER_S - 1);
	ck_assert_uint_eq(guarded_of(ATTEMPT), 0);
	host_clock_turn(1);
	ck_assert_uint_eq(guarded_of(ATTEMPT), 1);
	machine_fini(&machine);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

START_TEST(none_is_guarded_unless_wanted)
{
	setup_one_in(0);
	for (unsigned i = 0; i < 100000; i++) {
		void *object = general_heap_alloc(heap, 64, 0);

		ck_assert(!is_guarded(object));
		general_heap_free(heap, object);
	}
	ck_assert_uint_eq(guard_pool_count(&heap->guard).slots, 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(guarded_objects_are_aligned_whole_and_apart)
{
	struct random random;
	char *objects[SMALL];
	size_t bytes[SMALL];

	setup();
	random_seed(&random, 3);
	for (unsigned round = 0; round < 50; round++) {
		unsigned count = 0;

		for (unsigned i = 0; i < SMALL; i++) {
			const size_t alignment = 1ull << random_below(&random, PAGE_SHIFT + 1);

			bytes[count] = 1 + random_below(&random, random_below(&random, 4) ? PAGE_BYTES : GUARD_BYTES_MAX);
			objects[count] = guarded_alloc_by(bytes[count], alignment, i + 1);
			if (!objects[count])
				continue;
			ck_assert(is_aligned((uintptr_t)objects[count], MAX(alignment, 16)));
			ck_assert_uint_eq(general_heap_usable_bytes(heap, objects[count]), bytes[count]);
			ck_assert_ptr_eq(platform_virt(platform_phys(objects[count])), objects[count]);
			memset(objects[count], (int)count, bytes[count]);
			count++;
		}
		ck_assert_uint_ge(count, SMALL / 2);
		ck_assert(memory_is_valid(memory));
		for (unsigned i = 0; i < count; i++) {
			for (size_t at = 0; at < bytes[i]; at++)
				if (objects[i][at] != (char)i)
					ck_abort_msg("byte %zu of object %u has changed", at, i);
			general_heap_free(heap, objects[i]);
		}
		ck_assert(memory_is_valid(memory));
		ck_assert_uint_eq(general_heap_used_bytes(heap), 0);
	}
	machine_fini(&machine);
}
END_TEST

START_TEST(what_cannot_be_guarded_is_left_alone)
{
	setup();
	ck_assert_ptr_null(guarded_alloc_by(GUARD_BYTES_MAX + 1, 0, 1));
	ck_assert_ptr_null(guarded_alloc_by(64, 2 * PAGE_BYTES, 1));
	(void)platform_set_cleaning(true);
	ck_assert_ptr_null(guarded_alloc_by(64, 0, 1));
	(void)platform_set_cleaning(false);
	machine_fini(&machine);
}
END_TEST

struct handled {
	char *_Atomic to_free; /* NULL: has been freed */
	_Atomic unsigned taken, refused;
	_Atomic bool done;
};

static void handler_run(void *context)
{
	struct handled *handled = context;

	if (!platform_in_handler())
		return;
	if (guarded_alloc_by(64, 0, 1))
		atomic_fetch_add(&handled->taken, 1);
	else
		atomic_fetch_add(&handled->refused, 1);
	general_heap_free(heap, atomic_exchange(&handled->to_free, NULL));
}

static void handled_run(void *context, unsigned index)
{
	struct handled *handled = context;

	while (index > 0 && !atomic_load(&handled->done))
		platform_interrupts_restore(platform_interrupts_save());
	if (index > 0)
		return;
	while (atomic_load(&handled->refused) + atomic_load(&handled->taken) == 0)
		platform_run_on_all_cpus(handler_run, handled);
	atomic_store(&handled->done, true);
}

START_TEST(threads_free_in_handlers_but_do_not_take)
{
	struct handled handled = { .done = false };

	setup();
	atomic_store(&handled.to_free, guarded_alloc_by(64, 0, 1));
	ck_assert_ptr_nonnull(handled.to_free);
	host_threads_run(2, handled_run, &handled);
	ck_assert_uint_eq(handled.taken, 0);
	ck_assert_uint_eq(guard_pool_count(&heap->guard).live, 0);
	machine_fini(&machine);
}
END_TEST

/* Wrong uses ----------------------------------------------------------------------------------- */

static void overrun(void *object)
{
	((volatile char *)object)[96] = 1;
}

static void overrun_by_reading(void *object)
{
	(void)((volatile char *)object)[96 + 1000];
}

static void underrun_far(void *object)
{
	((volatile char *)object)[-(int)PAGE_BYTES] = 1;
}

static void use_after_free(void *object)
{
	general_heap_free(heap, object);
	((volatile char *)object)[95] = 1;
}

static void read_after_free(void *object)
{
	general_heap_free(heap, object);
	(void)((volatile char *)object)[0];
}

static void free_twice(void *object)
{
	general_heap_free(heap, object);
	general_heap_free(heap, object);
}

static void free_the_middle(void *object)
{
	general_heap_free(heap, (char *)object + 16);
}

static void underrun_near(void *object)
{
	((char *)object)[-1] = 1;
	general_heap_free(heap, object);
}

static const struct {
	void (*run)(void *object);
	const char *message;
	bool is_fault, was_freed;
} wrong_uses[] = {
	{ overrun, "it is 1 bytes behind the last one of an object of 96 bytes of heap general;", true, false },
	{ overrun_by_reading, "it is 1001 bytes behind the last one of an object of 96 bytes of heap general;", true, false },
	{ underrun_far, "4096 bytes before the start of an object of 96 bytes of heap general;", true, false },
	{ use_after_free, "it is in an object of 96 bytes of heap general that has been freed;", true, true },
	{ read_after_free, "it is in an object of 96 bytes of heap general that has been freed;", true, true },
	{ free_twice, "is free already; freed now by 0x", false, true },
	{ free_the_middle, "is not the start of an object; freed now by 0x", false, false },
	{ underrun_near, "of 96 bytes was written to before its start; freed now by 0x", false, false },
};

START_TEST(wrong_uses_are_explained)
{
	char message[512];
	char *object, before;

	setup();
	object = guarded_alloc(96);
	before = object[-1];
	for (unsigned i = 0; i < ARRAY_LENGTH(wrong_uses); i++) {
		ck_assert(host_panics(wrong_uses[i].run, object, message, sizeof(message)));
		if (wrong_uses[i].is_fault)
			expect_message(message, "page fault at 0x");
		expect_message(message, wrong_uses[i].message);
		ck_assert_int_eq(strstr(message, wrong_uses[i].is_fault ? "; freed by 0x" : "; freed before by 0x") != NULL,
				 wrong_uses[i].was_freed);
		expect_message(message, "; allocated by 0x");
		object[-1] = before; /* what a child did to the memory stays */
	}
	/* Both sites are those of this file's callers. */
	ck_assert(host_panics(use_after_free, object, message, sizeof(message)));
	const uintptr_t by = strtoull(strstr(message, "allocated by ") + strlen("allocated by "), NULL, 16);
	const uintptr_t freed_by = strtoull(strstr(message, "freed by ") + strlen("freed by "), NULL, 16);
	ck_assert_uint_lt(by - (uintptr_t)guarded_alloc, 1000);
	ck_assert_uint_lt(freed_by - (uintptr_t)use_after_free, 1000);
	general_heap_free(heap, object);
	machine_fini(&machine);
}
END_TEST

static void overrun_in_the_gap(void *object)
{
	((char *)object)[81] = 1;
	general_heap_free(heap, object);
}

START_TEST(an_overrun_that_cannot_fault_is_found_when_freed)
{
	char message[512];
	char *object, behind;

	setup();
	object = guarded_alloc_by(81, 0, 1);
	behind = object[81];
	ck_assert(host_panics(overrun_in_the_gap, object, message, sizeof(message)));
	expect_message(message, "of 81 bytes was written to behind its end; freed now by 0x");
	object[80] = 1;
	object[81] = behind;
	general_heap_free(heap, object);
	machine_fini(&machine);
}
END_TEST

static void touch(void *object)
{
	(void)*(volatile char *)object;
}

START_TEST(a_freed_object_stays_away_as_long_as_the_pool_allows)
{
	char message[512];
	char *first, *object = NULL;
	unsigned others = 0;

	setup();
	first = guarded_alloc_by(64, 0, 1);
	general_heap_free(heap, first);
	while (object != first) {
		ck_assert(others > 200 || host_panics(touch, first, message, sizeof(message)));
		object = guarded_alloc_by(64, 0, 2 + others++);
		ck_assert_ptr_nonnull(object);
		general_heap_free(heap, object);
	}
	/* All other slots of its kind came before it. */
	ck_assert_uint_eq(others, 193);
	machine_fini(&machine);
}
END_TEST

START_TEST(one_caller_does_not_get_all)
{
	char *objects[193];
	unsigned count = 0, others = 0;

	setup();
	while ((objects[count] = guarded_alloc_by(64, 0, 1)))
		count++;
	ck_assert_uint_eq(count, 193 / 8);
	for (uintptr_t caller = 2; caller < 1000; caller++)
		if ((objects[count] = guarded_alloc_by(64, 0, caller)))
			count++, others++;
	ck_assert_uint_eq(count, SMALL);
	ck_assert_uint_gt(others, 0);
	while (count > 0)
		general_heap_free(heap, objects[--count]);
	machine_fini(&machine);
}
END_TEST

START_TEST(guarded_objects_are_resized)
{
	char *object, *other;

	setup();
	object = guarded_alloc(100);
	memset(object, 7, 100);
	ck_assert_ptr_eq(general_heap_resize(heap, object, 60, 0), object);
	other = general_heap_resize(heap, object, 200, 0);
	ck_assert_ptr_ne(other, object);
	for (unsigned i = 0; i < 100; i++)
		ck_assert_int_eq(other[i], 7);
	general_heap_free(heap, other);
	ck_assert_uint_eq(general_heap_used_bytes(heap), 0);
	machine_fini(&machine);
}
END_TEST

/* Without room for it the heap works as always. */
START_TEST(a_pool_that_cannot_be_had_is_done_without)
{
	const struct memory_config config = { .watermarks.atomic_percent = 100,
					      .guard = { .one_in = 16, .bytes = 65 * BLOCK_BYTES } };

	host_log_level(LOG_ERROR);
	machine_init_with(&machine, MACHINE_START, 64, &config);
	for (unsigned i = 0; i < 10000; i++)
		general_heap_free(heap, general_heap_alloc(heap, 64, 0));
	ck_assert_uint_eq(guard_pool_count(&heap->guard).slots, 0);
	machine_fini(&machine);
}
END_TEST

/* Threads that exchange objects, of which many are guarded. */
#define EXCHANGE_SLOTS 64

static uint64_t *_Atomic exchange[EXCHANGE_SLOTS];

static void exchange_run(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, index + 1);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t *object = general_heap_alloc(heap, 16 + random_below(&random, 3000), 0);

		ck_assert_ptr_nonnull(object);
		*object = (uintptr_t)object;
		object = atomic_exchange(&exchange[random_below(&random, EXCHANGE_SLOTS)], object);
		if (object)
			ck_assert_uint_eq(*object, (uintptr_t)object);
		general_heap_free(heap, object);
	}
}

START_TEST(threads_exchange_guarded_objects)
{
	setup_one_in(16);
	host_threads_run(4, exchange_run, NULL);
	for (unsigned i = 0; i < EXCHANGE_SLOTS; i++)
		general_heap_free(heap, atomic_load(&exchange[i]));
	ck_assert_uint_gt(guard_pool_count(&heap->guard).allocs, 100);
	ck_assert_uint_eq(general_heap_used_bytes(heap), 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("guard_pool", about_one_in_so_many_is_guarded, those_that_come_fast_are_guarded_now_and_then,
	       none_is_guarded_unless_wanted, guarded_objects_are_aligned_whole_and_apart, what_cannot_be_guarded_is_left_alone,
	       threads_free_in_handlers_but_do_not_take, wrong_uses_are_explained,
	       an_overrun_that_cannot_fault_is_found_when_freed, a_freed_object_stays_away_as_long_as_the_pool_allows,
	       one_caller_does_not_get_all, guarded_objects_are_resized, a_pool_that_cannot_be_had_is_done_without,
	       threads_exchange_guarded_objects)
