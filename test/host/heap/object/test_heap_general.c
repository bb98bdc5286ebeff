// SPDX-License-Identifier: BSD-2-Clause
/*
 * The general heap: against a model, what it refuses and resizes, where its drains look, and
 * handlers that free runs.
 */
#include "host/host_test.h"

#include <stdatomic.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "fake/object_model.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;

static void setup(uint64_t blocks)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, blocks, 0, 0);
}

START_TEST(general_heap_serves_any_size)
{
	struct heap *heap;
	struct random random;

	setup(256);
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

	setup(16);
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

static void free_twice(void *object)
{
	general_heap_free(&memory->general, object);
	general_heap_free(&memory->general, object);
}

START_TEST(wrong_frees_are_reported)
{
	char message[256];
	char *run, *small;

	setup(16);
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

/* Mostly small, sometimes up to 2 MB and more. */
static size_t any_bytes(struct random *random)
{
	return align_up(4 + random_below(random, 1ull << (2 + random_below(random, random_below(random, 500) ? 11 : 20))), 4);
}

static void general_step(struct object_model *model, unsigned slot)
{
	struct general_heap *heap = &memory->general;
	const size_t bytes = any_bytes(&model->random);
	void *other;

	if (!model->slots[slot].memory) {
		object_model_set(model, slot, general_heap_alloc(heap, bytes, random_below(&model->random, 8) ? 0 : 64), bytes);
	} else if (random_below(&model->random, 8) == 0) {
		object_model_check(model, slot);
		const size_t before = model->slots[slot].bytes;
		const uint32_t first = model->slots[slot].memory[0];

		other = general_heap_resize(heap, model->slots[slot].memory, bytes, 0);
		ck_assert_ptr_nonnull(other);
		ck_assert_uint_eq(*(uint32_t *)other, first);
		if (bytes >= before)
			ck_assert_uint_eq(((uint32_t *)other)[before / 4 - 1], first);
		model->live--;
		object_model_set(model, slot, other, bytes);
	} else {
		general_heap_free(heap, object_model_take(model, slot));
	}
}

START_TEST(general_heap_follows_the_model)
{
	static struct object_model model;

	setup(128);
	random_seed(&model.random, 12);
	for (unsigned step = 0; step < 300000; step++) {
		general_step(&model, (unsigned)random_below(&model.random, MODEL_SLOTS / 4));
		if (step % 20011 == 0) {
			(void)memory_drain(memory, UINT64_MAX / 2, false);
			ck_assert(memory_is_valid(memory));
		}
	}
	for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
		if (model.slots[slot].memory)
			general_heap_free(&memory->general, object_model_take(&model, slot));
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(general_heap_clears_multiplies_and_resizes)
{
	struct general_heap *heap = &memory->general;
	unsigned char *object, *other;

	setup(128);
	object = heap_alloc_zeroed(&heap->caching.heap, 3000, 0);
	for (unsigned i = 0; i < 3000; i++)
		ck_assert_uint_eq(object[i], 0);
	memset(object, 7, 3000);
	ck_assert_ptr_eq(general_heap_resize(heap, object, 2900, 0), object);
	ck_assert_ptr_eq(general_heap_resize(heap, object, general_heap_usable_bytes(heap, object) / 2, 0), object);
	ck_assert_ptr_null(general_heap_resize(heap, object, 0, 0));
	ck_assert_ptr_null(general_heap_resize(heap, object, 100, 3));
	ck_assert_ptr_null(general_heap_resize(heap, object, SIZE_MAX / 2, 0));
	other = general_heap_resize(heap, object, 5 * BLOCK_BYTES, 0);
	ck_assert_ptr_ne(other, object);
	ck_assert_uint_eq(other[1500], 7);
	ck_assert_ptr_eq(general_heap_resize(heap, other, 4 * BLOCK_BYTES + 1, 0), other);
	other = general_heap_resize(heap, other, 20, 0);
	ck_assert_uint_eq(other[19], 7);
	general_heap_free(heap, other);
	other = general_heap_resize(heap, NULL, 20, 0);
	ck_assert_ptr_nonnull(other);
	general_heap_free(heap, other);

	ck_assert_ptr_null(heap_alloc_array(&heap->caching.heap, SIZE_MAX / 8 + 2, 8, 0));
	ck_assert_ptr_null(heap_alloc_array(&heap->caching.heap, 0, 8, 0));
	object = heap_alloc_array(&heap->caching.heap, 100, 30, 4096);
	ck_assert_uint_eq(platform_phys(object).value % 4096, 0);
	general_heap_free(heap, object);
	machine_fini(&machine);
}
END_TEST

/* Fault injection: the nth allocation fails, for every n; nothing is left behind. */
START_TEST(every_allocation_may_fail)
{
	struct nth_fault fault;
	unsigned failures = 0;

	setup(64);
	for (unsigned n = 0; n < 40; n++) {
		void *objects[7] = { 0 };

		nth_fault_init(&fault, n);
		memory_set_fault_injector(memory, &fault.injector);
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

/* An objcache that is held must not be looked at: a lock that is taken twice is reported. */
static void others_hold(const struct objcache *one, bool hold)
{
	for (unsigned class = 0; class < memory->general.classes; class ++) {
		struct objcache *other = &memory->general.cache[class];

		if (other != one && hold)
			spinlock_lock(&other->lock);
		else if (other != one)
			spinlock_unlock(&other->lock);
	}
}

START_TEST(a_drain_looks_only_where_something_is)
{
	void *objects[5];

	setup(128);
	struct general_heap *heap = &memory->general;
	struct objcache *one = general_heap_cache(heap, MIB / 2, 0);

	for (unsigned i = 0; i < 5; i++)
		objects[i] = general_heap_alloc(heap, MIB / 2, 0);
	others_hold(one, true);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), 0);
	others_hold(one, false);
	for (unsigned i = 0; i < 4; i++)
		general_heap_free(heap, objects[i]);
	general_heap_settle(heap);
	ck_assert_uint_eq(atomic_load(&heap->group.free_bytes), 2 * BLOCK_BYTES - MIB / 2);
	others_hold(one, true);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, BLOCK_BYTES), 0);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), BLOCK_BYTES);
	others_hold(one, false);
	general_heap_free(heap, objects[4]);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), BLOCK_BYTES);
	others_hold(NULL, true);
	ck_assert_uint_eq(caching_heap_drain(&heap->caching, UINT64_MAX, 0), 0);
	others_hold(NULL, false);
	ck_assert(general_heap_is_valid(heap));
	machine_fini(&machine);
}
END_TEST

/* Thread 0 is in the middle of something in the block heap when a handler frees a run. */
static _Atomic(void *) run_to_free;
static _Atomic int stage;

static void free_run_in_handler(void *context)
{
	(void)context;
	if (platform_in_handler())
		general_heap_free(&memory->general, atomic_exchange(&run_to_free, NULL));
}

static void hold_block_heap(void *context, unsigned index)
{
	if (index == 0) {
		spinlock_lock(&memory->blocks.lock);
		atomic_store(&stage, 1);
		host_wait_for(&stage, 2);
		spinlock_unlock(&memory->blocks.lock);
		return;
	}
	host_wait_for(&stage, 1);
	platform_run_on_all_cpus(free_run_in_handler, context);
	atomic_store(&stage, 2);
}

static void free_general(void *object)
{
	general_heap_free(&memory->general, object);
}

START_TEST(threads_free_runs_in_handlers)
{
	char message[256];

	setup(128);
	const uint64_t before = memory_free_bytes(memory);

	for (unsigned i = 0; i < 2; i++) {
		void *run = general_heap_alloc(&memory->general, 5 * MIB, 0);

		ck_assert_ptr_nonnull(run);
		atomic_store(&run_to_free, run);
		atomic_store(&stage, 0);
		host_threads_run(2, hold_block_heap, NULL);
		ck_assert_ptr_null(atomic_load(&run_to_free));
		ck_assert_uint_eq(memory_free_bytes(memory), before - 6 * MIB);
		ck_assert(host_panics(free_general, run, message, sizeof(message)));
		ck_assert_ptr_nonnull(strstr(message, "is free already"));
		/* Tasks give it back. */
		for (unsigned blocks = 0; i == 0 && blocks < 3; blocks++)
			ck_assert_uint_eq(caching_heap_drain(&memory->general.caching, BLOCK_BYTES, 0), BLOCK_BYTES);
		if (i == 1)
			ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
		ck_assert_uint_eq(memory_free_bytes(memory), before);
	}
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("heap_general", general_heap_serves_any_size, general_heap_refuses_what_cannot_be, wrong_frees_are_reported,
	       general_heap_follows_the_model, general_heap_clears_multiplies_and_resizes, every_allocation_may_fail,
	       a_drain_looks_only_where_something_is, threads_free_runs_in_handlers)
