// SPDX-License-Identifier: BSD-2-Clause
/*
 * The size classes of the general heap: which have blocks of their own, and which share those of a
 * larger one.
 */
#include "host/host_test.h"

#include <stdatomic.h>

#include "fake/heap_fixture.h"
#include "runtime/base/bits.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;

static void setup(uint64_t blocks)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, blocks, 0, 0);
}

#define POWERS         15 /* from 16 bytes to 256 KB */
#define MANY_BYTES     (18 * MIB)
#define ANY_MANY_BYTES (34 * MIB) /* so many that any size has blocks of its own */

static size_t usable_bytes(const void *object)
{
	return general_heap_usable_bytes(&memory->general, object);
}

/* Returns how many, in a chain; the newest one first. */
static uint64_t many_alloc(size_t bytes, uint64_t all_bytes, void **chain, uint64_t *usable)
{
	uint64_t count = 0;

	*chain = NULL;
	*usable = 0;
	for (; count * bytes < all_bytes; count++) {
		void **object = general_heap_alloc(&memory->general, bytes, 0);

		ck_assert_ptr_nonnull(object);
		*object = *chain;
		*chain = object;
		*usable += usable_bytes(object);
	}
	return count;
}

static void many_free(void **chain)
{
	while (chain) {
		void **next = *chain;

		general_heap_free(&memory->general, chain);
		chain = next;
	}
}

#define OWN_CLASSES 4 /* may have blocks of their own from the first object on: the machine has 128 blocks */

/* Other sizes than those of the test have them. */
static void own_classes_take(void **chains)
{
	uint64_t usable;

	for (unsigned i = 0; i < OWN_CLASSES; i++)
		(void)many_alloc(1100ull << i, 4 * MIB, &chains[i], &usable);
}

static void own_classes_give(void *const *chains)
{
	for (unsigned i = 0; i < OWN_CLASSES; i++)
		many_free(chains[i]);
}

static void expect_little_is_added(size_t bytes)
{
	uint64_t usable;
	void *chain;
	const uint64_t asked = many_alloc(bytes, ANY_MANY_BYTES, &chain, &usable) * bytes;

	ck_assert_uint_ge(usable_bytes(chain), bytes);
	ck_assert_uint_le(usable_bytes(chain), bytes + bytes / 8);
	ck_assert_uint_ge(usable, asked);
	ck_assert_uint_le(usable, asked + asked / 8 + 2 * BLOCK_BYTES);
	many_free(chain);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	ck_assert(memory_is_valid(memory));
}

START_TEST(little_is_added_to_what_was_asked_for)
{
	void *others[OWN_CLASSES];

	setup(128);
	own_classes_take(others);
	/* Just above each class of some doublings, where most is added. */
	for (size_t power = 128; power < 256 * KIB; power *= 32)
		for (size_t step = 0; step < 8; step++)
			expect_little_is_added(power + step * power / 8 + 1);
	own_classes_give(others);
	machine_fini(&machine);
}
END_TEST

static uint64_t class_blocks(void)
{
	uint64_t blocks = 0;

	for (unsigned class = 0; class < memory->general.classes; class ++)
		blocks += objcache_count(&memory->general.cache[class]).blocks;
	return blocks;
}

START_TEST(sizes_of_which_there_are_few_share_blocks)
{
	void *objects[200];
	unsigned count = 0;

	setup(128);
	for (size_t bytes = 16; bytes <= 256 * KIB; bytes += MAX(bytes / 9, 16ul)) {
		objects[count] = general_heap_alloc(&memory->general, bytes, 0);
		ck_assert_ptr_nonnull(objects[count]);
		count++;
	}
	ck_assert_uint_gt(count, 4 * POWERS);
	ck_assert_uint_le(class_blocks(), POWERS + OWN_CLASSES);
	while (count > 0)
		general_heap_free(&memory->general, objects[--count]);
	machine_fini(&machine);
}
END_TEST

START_TEST(a_size_shares_blocks_again_when_most_objects_are_gone)
{
	void *others[OWN_CLASSES];
	void *chain, *object;
	uint64_t usable;

	setup(128);
	own_classes_take(others);
	(void)many_alloc(550, MANY_BYTES, &chain, &usable);
	ck_assert_uint_gt(usable, MANY_BYTES / 550 * 576);
	ck_assert_uint_eq(usable_bytes(chain), 576);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	object = general_heap_alloc(&memory->general, 550, 0);
	ck_assert_uint_eq(usable_bytes(object), 576);
	many_free(chain);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	chain = general_heap_alloc(&memory->general, 550, 0);
	ck_assert_uint_eq(usable_bytes(chain), 1024);
	general_heap_free(&memory->general, chain);
	general_heap_free(&memory->general, object);
	own_classes_give(others);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(larger_class_stands_in)
{
	void *large, *small;
	struct phys_addr run;
	struct owner driver;

	setup(4);
	owner_init(&driver, "driver", false);
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

static unsigned asked;

static uint64_t count_and_give_nothing(struct cleaner *cleaner, const struct reclaim_target *target)
{
	(void)cleaner;
	(void)target;
	asked++;
	return 0;
}

#define STAND_INS 1000

/* In a full memory, not each object that another one stands in for costs a drain of all heaps. */
START_TEST(stand_ins_drain_once_in_a_while)
{
	struct cleaner useless = { .name = "useless", .cost = CLEANER_CLEAN, .clean = count_and_give_nothing };
	struct phys_addr run;
	struct owner driver;
	uint64_t usable;
	void *large, *small = NULL;

	setup(4);
	host_clock_set(HOST_CLOCK_MANUAL);
	owner_init(&driver, "driver", false);
	cleaner_register(&memory->reclaim.cleaners, &useless);
	void *holder = general_heap_alloc(&memory->general, 128, 0);
	(void)many_alloc(128, STAND_INS * 128, &large, &usable);
	const struct memory_request rest = { .blocks = 3, .owner = &driver, .below_min = true };
	ck_assert_int_eq(memory_blocks_alloc(memory, &rest, &run), STATUS_OK);
	many_free(large);
	asked = 0;
	ck_assert_uint_eq(many_alloc(64, STAND_INS * 64, &small, &usable), STAND_INS);
	ck_assert_uint_eq(usable, STAND_INS * 128);
	const unsigned asked_once = asked;
	host_clock_turn(NS_PER_S);
	void *one = general_heap_alloc(&memory->general, 64, 0);
	ck_assert_ptr_nonnull(one);
	ck_assert_uint_eq(asked, 2 * asked_once);
	ck_assert_uint_gt(asked_once, 0);
	general_heap_free(&memory->general, one);
	general_heap_free(&memory->general, holder);
	many_free(small);
	memory_blocks_free(memory, run);
	cleaner_unregister(&memory->reclaim.cleaners, &useless);
	machine_fini(&machine);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

#define THREADS 4

static _Atomic unsigned running;

/* So many that the size gets blocks of its own, and then none, so that it shares them again. */
static void size_comes_and_goes(void *context, unsigned index)
{
	(void)context;
	for (unsigned round = 0; index != 0 && round < 3; round++) {
		uint64_t usable;
		void *chain;

		(void)many_alloc(550 + 64 * (index % 2), MANY_BYTES, &chain, &usable);
		many_free(chain);
		platform_yield();
	}
	if (index != 0) {
		atomic_fetch_sub(&running, 1);
		return;
	}
	while (atomic_load(&running) != 0) {
		(void)memory_drain(memory, UINT64_MAX / 2, false);
		platform_yield();
	}
}

START_TEST(threads_share_sizes_that_come_and_go)
{
	void *others[OWN_CLASSES];

	setup(128);
	own_classes_take(others);
	running = THREADS - 1;
	host_threads_run(THREADS, size_comes_and_goes, NULL);
	own_classes_give(others);
	ck_assert(memory_is_valid(memory));
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("heap_classes", little_is_added_to_what_was_asked_for, sizes_of_which_there_are_few_share_blocks,
	       a_size_shares_blocks_again_when_most_objects_are_gone, larger_class_stands_in, stand_ins_drain_once_in_a_while,
	       threads_share_sizes_that_come_and_go)
