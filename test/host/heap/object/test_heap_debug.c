// SPDX-License-Identifier: BSD-2-Clause
/*
 * What debug builds find: writes behind what was asked for and to freed objects, and which owner
 * has what.
 */
#include "host/host_test.h"

#include "fake/heap_fixture.h"
#include "runtime/base/bits.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct general_heap *const heap = &machine.memory.general;
static char message[512];

static void setup(void)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 64, 0, 0);
}

static void expect_message(const char *what)
{
	ck_assert_msg(strstr(message, what), "\"%s\" is missing in: %s", what, message);
}

/* The address behind `what` lies in the function. */
static void expect_site(const char *what, const void *function)
{
	expect_message(what);
	ck_assert_uint_lt(strtoull(strstr(message, what) + strlen(what), NULL, 16) - (uintptr_t)function, 500);
}

static __attribute__((noinline)) char *take(size_t bytes)
{
	char *object = general_heap_alloc(heap, bytes, 0);

	__asm__ volatile("" : "+r"(object));
	ck_assert_ptr_nonnull(object);
	return object;
}

static __attribute__((noinline)) void give(void *object)
{
	general_heap_free(heap, object);
	__asm__ volatile("" : : : "memory");
}

START_TEST(a_write_behind_the_end_is_found_by_the_free)
{
	setup();
	for (size_t bytes = 1; bytes < 5000; bytes += 1 + bytes / 8) {
		const size_t all = objcache_of(&memory->blocks, take(bytes))->config.object_bytes;

		for (size_t at = bytes; at < all; at += 1 + (all - bytes) / 3) {
			char *object = take(bytes);
			const char before = object[at];

			memset(object, 0, bytes);
			object[at] = 0;
			ck_assert(host_panics(give, object, message, sizeof(message)));
			expect_message("was written to behind its end; freed now by 0x");
			expect_site("allocated by ", take);
			/* The child has given it away; here it is as it was. */
			memset(object + bytes, before, all - bytes);
			give(object);
		}
	}
}
END_TEST

START_TEST(the_red_zone_moves_with_the_size)
{
	char *object;

	setup();
	object = take(1000);
	ck_assert_ptr_eq(general_heap_resize(heap, object, 700, 0), object);
	const char red = object[700];
	memset(object, 1, 700);
	object[700] = 1;
	ck_assert(host_panics(give, object, message, sizeof(message)));
	memset(object + 700, red, 1024 - 700);
	ck_assert_ptr_eq(general_heap_resize(heap, object, 1001, 0), object);
	memset(object, 1, 1001);
	memset(object, 1, general_heap_usable_bytes(heap, object));
	give(object);
	machine_fini(&machine);
}
END_TEST

static void write_and_take_all(void *object)
{
	*(volatile char *)object = 1;
	for (unsigned i = 0; i < 1000; i++)
		give(take(100));
}

START_TEST(a_write_to_a_freed_object_names_both_callers)
{
	char *object;

	setup();
	object = take(100);
	give(object);
	ck_assert(host_panics(write_and_take_all, object, message, sizeof(message)));
	expect_message("was written to while it was free");
	expect_site("allocated by ", take);
	expect_site("freed before by ", give);
}
END_TEST

static void write_and_settle(void *object)
{
	*(volatile char *)object = 1;
	general_heap_settle(heap);
}

static void give_again(void *object)
{
	give(object);
}

START_TEST(a_freed_object_waits_before_it_is_used_again)
{
	char *object, *other = NULL;
	unsigned others = 0;

	setup();
	object = take(128);
	give(object);
	ck_assert(host_panics(give_again, object, message, sizeof(message)));
	expect_message("is free already");
	expect_site("freed before by ", give);
	const char before = *object;
	ck_assert(host_panics(write_and_settle, object, message, sizeof(message)));
	expect_message("was written to while it was free");
	expect_site("freed before by ", give);
	*object = before; /* what a child did to the memory stays */
	for (; other != object; others++) {
		other = take(128);
		give(other);
	}
	ck_assert_uint_gt(others, FREE_DELAY_OBJECTS);
	ck_assert_uint_eq(memory->general.delay.count, FREE_DELAY_OBJECTS);

	/* But it is not counted, and a drain gets it. */
	ck_assert_uint_eq(general_heap_used_bytes(heap), 0);
	give(take(128));
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	ck_assert_uint_eq(memory->general.delay.count, 0);
	ck_assert_ptr_null(objcache_of(&memory->blocks, object));
	machine_fini(&machine);
}
END_TEST

/* What waits is given rather than nothing. */
START_TEST(objects_that_wait_are_there_when_nothing_else_is)
{
	static void *objects[64];
	unsigned count = 0;

	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 8, 0, 0);
	platform_preempt_disable(); /* no drain may come between */
	while (count < ARRAY_LENGTH(objects) && (objects[count] = general_heap_alloc(heap, 512 * KIB, 0)))
		count++;
	ck_assert_uint_lt(count, ARRAY_LENGTH(objects));
	general_heap_free(heap, objects[count - 1]);
	objects[count - 1] = general_heap_alloc(heap, 512 * KIB, 0);
	ck_assert_ptr_nonnull(objects[count - 1]);
	platform_preempt_enable();
	while (count > 0)
		general_heap_free(heap, objects[--count]);
	ck_assert_uint_eq(general_heap_used_bytes(heap), 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(every_object_is_accounted_for_by_its_caller)
{
	static char *objects[5000];
	struct objcache *cache;
	struct call_sites sites = { 0 };

	setup();
	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
		objects[i] = take(20);
	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i += 2)
		give(objects[i]);
	cache = objcache_of(&memory->blocks, objects[1]);
	char *other = general_heap_alloc(heap, 30, 0);
	ck_assert_ptr_eq(objcache_of(&memory->blocks, other), cache);
	objcache_count_sites(cache, &sites);
	ck_assert_uint_eq(sites.sums[2].objects, 0);
	const unsigned first = sites.sums[0].objects == 1;
	ck_assert_uint_eq(sites.sums[first].objects, ARRAY_LENGTH(objects) / 2);
	ck_assert_uint_eq(sites.sums[first].bytes, ARRAY_LENGTH(objects) / 2 * 20);
	ck_assert_uint_lt((uintptr_t)sites.sums[first].site - (uintptr_t)take, 500);
	ck_assert_uint_eq(sites.sums[!first].bytes, 30);
	give(other);
	for (unsigned i = 1; i < ARRAY_LENGTH(objects); i += 2)
		give(objects[i]);
	sites = (struct call_sites){ 0 };
	objcache_count_sites(cache, &sites);
	ck_assert_uint_eq(sites.sums[0].objects, 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("heap_debug", a_write_behind_the_end_is_found_by_the_free, the_red_zone_moves_with_the_size,
	       a_write_to_a_freed_object_names_both_callers, a_freed_object_waits_before_it_is_used_again,
	       objects_that_wait_are_there_when_nothing_else_is, every_object_is_accounted_for_by_its_caller)
