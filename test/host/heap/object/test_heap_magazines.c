// SPDX-License-Identifier: BSD-2-Clause
/*
 * Magazines, depot, drains and checks of objcaches, beside a model and under threads and handlers.
 */
#include "host/host_test.h"

#include <stdatomic.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "fake/object_model.h"
#include "heap/object/objcache.h"
#include "heap/object/objcache_magazine.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct objcache cache;

static void setup_with(struct objcache_config config)
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 128, 0, 0);
	ck_assert_int_eq(memory_objcache_init(memory, &cache, config), STATUS_OK);
}

static void setup(size_t object_bytes)
{
	setup_with((struct objcache_config){ .name = "things", .object_bytes = object_bytes });
}

static void teardown(void)
{
	ck_assert(objcache_is_valid(&cache));
	ck_assert_int_eq(objcache_fini(&cache), STATUS_OK);
	machine_fini(&machine);
}

static void expect_counts_fit(void)
{
	const struct objcache_counts counts = objcache_count(&cache);

	ck_assert_uint_eq(counts.allocs, counts.used + counts.frees);
	ck_assert_uint_le(counts.used + counts.cached, counts.objects);
}

static void drain_something(struct object_model *model)
{
	const uint64_t before = memory_free_bytes(memory);
	const uint64_t given = caching_heap_drain(&cache.caching, random_below(&model->random, 8) * BLOCK_BYTES, 0);

	ck_assert_uint_ge(memory_free_bytes(memory), before + given);
}

START_TEST(a_million_operations_follow_the_model)
{
	static struct object_model model;

	setup(96);
	random_seed(&model.random, 11);
	for (unsigned step = 0; step < 1000000; step++) {
		/* Between a few objects and nearly all, so that blocks come and go. */
		const unsigned limit = step / 100000 % 2 ? MODEL_SLOTS / 20 : MODEL_SLOTS;
		const unsigned slot = (unsigned)random_below(&model.random, MODEL_SLOTS);

		if (model.slots[slot].memory)
			objcache_free(&cache, object_model_take(&model, slot));
		else if (slot < limit)
			object_model_set(&model, slot, objcache_alloc(&cache), 96);
		if (step % 10007 == 0)
			drain_something(&model);
		if (step % 50021 == 0) {
			ck_assert(objcache_is_valid(&cache));
			ck_assert_uint_eq(objcache_count(&cache).used, model.live);
			expect_counts_fit();
		}
	}
	for (unsigned slot = 0; slot < MODEL_SLOTS; slot++)
		if (model.slots[slot].memory)
			objcache_free(&cache, object_model_take(&model, slot));
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	teardown();
}
END_TEST

/* Wrong frees ---------------------------------------------------------------------------------- */

struct twice {
	void *object;
	unsigned others; /* allocated afterwards */
};

/*
 * As if two CPUs had looked at the state at the same time, and both had found the object allocated.
 */
static void free_twice_at_once(void *context)
{
	const struct twice *twice = context;
	const struct block *block = block_heap_find(&memory->blocks, platform_phys(twice->object));
	const uint64_t index = (platform_phys(twice->object).value % BLOCK_BYTES) / cache.config.object_bytes;

	objcache_free(&cache, twice->object);
	ck_assert_uint_eq(block->states[index], OBJECT_CACHED);
	memset(twice->object, 0xa5, cache.config.object_bytes);
	block->states[index] = OBJECT_ALLOCATED;
	objcache_free(&cache, twice->object);
	if (twice->others == 0)
		objcache_flush(&cache);
	for (unsigned i = 0; i < twice->others; i++)
		(void)objcache_alloc(&cache);
}

START_TEST(frees_at_once_are_found_when_the_object_moves_on)
{
	struct twice twice;
	char message[256];

	setup(4096);
	twice = (struct twice){ objcache_alloc(&cache), 0 };
	ck_assert(host_panics(free_twice_at_once, &twice, message, sizeof(message)));
	ck_assert_msg(strstr(message, "freed twice at once") != NULL, "%s", message);
	twice.others = 2000;
	ck_assert(host_panics(free_twice_at_once, &twice, message, sizeof(message)));
	ck_assert_msg(strstr(message, "freed twice at once") != NULL, "%s", message);
	objcache_free(&cache, twice.object);
	teardown();
}
END_TEST

static void free_again(void *object)
{
	objcache_free(&cache, object);
	objcache_free(&cache, object);
}

START_TEST(a_report_names_the_callers)
{
	void *object;
	char message[256];

	setup(96);
	object = objcache_alloc(&cache);
	ck_assert(host_panics(free_again, object, message, sizeof(message)));
	ck_assert_ptr_nonnull(strstr(message, "objcache things"));
	ck_assert_ptr_nonnull(strstr(message, "freed now by 0x"));
#ifdef WEIR_DEBUG
	ck_assert_ptr_nonnull(strstr(message, "allocated by 0x"));
	ck_assert_ptr_nonnull(strstr(message, "freed before by 0x"));
#endif
	objcache_free(&cache, object);
	teardown();
}
END_TEST

/* Objects that are constructed once ------------------------------------------------------------ */

static uint64_t constructed, destroyed;

static void construct(void *object, void *context)
{
	*(void **)object = context;
	constructed++;
}

static void destroy(void *object, void *context)
{
	ck_assert_ptr_eq(*(void **)object, context);
	destroyed++;
}

START_TEST(objects_stay_constructed)
{
	int context;
	void *objects[3000];

	setup_with((struct objcache_config){
		.name = "things", .object_bytes = 2048, .construct = construct, .destroy = destroy, .context = &context });
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
			objects[i] = objcache_alloc(&cache);
			ck_assert_ptr_eq(*(void **)objects[i], &context);
		}
		ck_assert_uint_eq(constructed - destroyed, objcache_count(&cache).objects);
		for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
			objcache_free(&cache, objects[i]);
	}
	teardown();
	ck_assert_uint_eq(constructed, destroyed);
	ck_assert_uint_gt(constructed, 0);
}
END_TEST

/* Placement ------------------------------------------------------------------------------------ */

#define CHURN_BLOCKS  40
#define CHURN_OBJECTS (CHURN_BLOCKS * 512)

/*
 * Nine tenths go at random, and each of the rest is replaced twenty times: nearly all blocks become
 * empty.
 */
START_TEST(churn_gives_blocks_back)
{
	static void *objects[CHURN_OBJECTS];
	struct random random;
	uint32_t live = CHURN_OBJECTS;

	setup(4096);
	random_seed(&random, 5);
	for (uint32_t i = 0; i < live; i++)
		objects[i] = objcache_alloc(&cache);
	while (live > CHURN_OBJECTS / 10) {
		const uint32_t i = (uint32_t)random_below(&random, live);

		objcache_free(&cache, objects[i]);
		objects[i] = objects[--live];
	}
	for (uint32_t step = 0; step < 20 * live; step++) {
		void **object = &objects[random_below(&random, live)];

		objcache_free(&cache, *object);
		*object = objcache_alloc(&cache);
	}
	(void)caching_heap_drain(&cache.caching, UINT64_MAX, 0);
	ck_assert_uint_le(objcache_count(&cache).blocks, CHURN_BLOCKS / 10 + 3);
	for (uint32_t i = 0; i < live; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

/*
 * Two in each of many blocks, side by side, where a block has more than one line of states to look
 * through.
 */
START_TEST(the_few_free_objects_of_many_blocks_are_found)
{
	enum { BYTES = 24 * KIB, PER_BLOCK = BLOCK_BYTES / BYTES, BLOCKS = 32, ALL = BLOCKS * PER_BLOCK };
	static void *objects[ALL];

	setup(BYTES);
	for (unsigned i = 0; i < ALL; i++)
		objects[i] = objcache_alloc(&cache);
	for (unsigned i = 0; i < ALL; i++) {
		const uint64_t number = platform_phys(objects[i]).value % BLOCK_BYTES / BYTES;

		if (number != 70 && number != 71)
			continue;
		objcache_free(&cache, objects[i]);
		objects[i] = NULL;
	}
	objcache_flush(&cache);
	for (unsigned i = 0; i < ALL; i++)
		if (!objects[i])
			objects[i] = objcache_alloc(&cache);
	ck_assert_uint_eq(objcache_count(&cache).blocks, BLOCKS);
	for (unsigned i = 0; i < ALL; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

START_TEST(each_block_has_an_order_of_its_own)
{
	enum { PER_BLOCK = BLOCK_BYTES / 64 };
	static uint32_t orders[2][PER_BLOCK];
	static void *objects[2 * PER_BLOCK];
	unsigned same = 0;

	setup(64);
	for (unsigned i = 0; i < 2 * PER_BLOCK; i++) {
		objects[i] = objcache_alloc(&cache);
		orders[i / PER_BLOCK][i % PER_BLOCK] = (uint32_t)(platform_phys(objects[i]).value % BLOCK_BYTES / 64);
	}
	for (unsigned i = 0; i < PER_BLOCK; i++)
		same += orders[0][i] == orders[1][i];
	ck_assert_uint_lt(same, PER_BLOCK / 2);
	for (unsigned i = 0; i < 2 * PER_BLOCK; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

/* Threads -------------------------------------------------------------------------------------- */

#define THREADS 4
#define MAILBOX 64

static _Atomic(uint32_t *) mailbox[MAILBOX];
static _Atomic unsigned running;

/* Objects are freed by the thread that finds them in the box, so most of them by another CPU. */
static void exchange(unsigned index, struct random *random, unsigned steps)
{
	for (unsigned step = 0; step < steps; step++) {
		uint32_t *object = objcache_alloc(&cache);

		if (object) {
			object[0] = index;
			object[1] = ~index;
		}
		object = atomic_exchange(&mailbox[random_below(random, MAILBOX)], object);
		if (object) {
			ck_assert_uint_eq(object[0], ~object[1]);
			objcache_free(&cache, object);
		}
		/* Also where a signal that waits is taken under the thread sanitizer. */
		if (step % 64 == 0)
			platform_yield();
	}
}

static void mailbox_clear(void)
{
	for (unsigned i = 0; i < MAILBOX; i++) {
		objcache_free(&cache, mailbox[i]);
		mailbox[i] = NULL;
	}
}

static void drain_while_others_work(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, 70 + index);
	if (index != 0) {
		exchange(index, &random, 40000);
		atomic_fetch_sub(&running, 1);
		return;
	}
	while (atomic_load(&running) != 0) {
		expect_counts_fit();
		(void)caching_heap_drain(&cache.caching, UINT64_MAX, 0);
		objcache_flush(&cache);
		platform_yield();
	}
}

START_TEST(threads_exchange_objects_while_others_drain)
{
	setup(512);
	running = THREADS - 1;
	host_threads_run(THREADS, drain_while_others_work, NULL);
	ck_assert(objcache_is_valid(&cache));
	mailbox_clear();
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	/* What idle CPUs have in their magazines goes, too. */
	(void)caching_heap_drain(&cache.caching, UINT64_MAX, 0);
	ck_assert_uint_eq(objcache_count(&cache).cached, 0);
	ck_assert_uint_eq(objcache_count(&cache).blocks, 0);
	teardown();
}
END_TEST

/*
 * Thread 1 only allocates. So between two looks of thread 0 no object is freed.
 */
static void allocate_or_count(void *context, unsigned index)
{
	struct objcache_counts counts;

	(void)context;
	if (index != 0) {
		while (objcache_alloc(&cache))
			continue;
		atomic_store(&running, 0);
		return;
	}
	do {
		counts = objcache_count(&cache);
		ck_assert_uint_eq(counts.allocs, counts.used);
		ck_assert_uint_eq(counts.frees, 0);
	} while (atomic_load(&running) != 0);
}

START_TEST(threads_are_counted_while_they_allocate)
{
	setup(64);
	running = 1;
	host_threads_run(2, allocate_or_count, NULL);
	ck_assert_uint_gt(objcache_count(&cache).used, BLOCK_BYTES / 64);
	/* The machine goes with all of it. */
}
END_TEST

/* What a storm of interrupts does on each CPU, in the midst of whatever the CPU was doing. */
static void handler(void *context)
{
	_Atomic unsigned *handled = context;
	void *objects[8];

	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
		objects[i] = objcache_alloc(&cache);
	for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++)
		if (objects[i])
			objcache_free(&cache, objects[i]);
	if (platform_in_handler())
		atomic_fetch_add(handled, 1);
}

static void storm(void *context, unsigned index)
{
	struct random random;

	random_seed(&random, 90 + index);
	if (index != 0) {
		exchange(index, &random, 60000);
		atomic_fetch_sub(&running, 1);
		return;
	}
	for (unsigned round = 0; atomic_load(&running) != 0; round++) {
		platform_run_on_all_cpus(handler, context);
		if (round % 16 == 0)
			(void)caching_heap_drain(&cache.caching, BLOCK_BYTES, 0);
		platform_yield();
	}
}

START_TEST(threads_are_interrupted_by_handlers_that_allocate)
{
	_Atomic unsigned handled = 0;

	setup(256);
	running = THREADS - 1;
	host_threads_run(THREADS, storm, &handled);
	ck_assert_uint_gt(handled, 0);
	ck_assert(objcache_is_valid(&cache));
	mailbox_clear();
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	expect_counts_fit();
	teardown();
}
END_TEST

/*
 * Thread 0 is as in the middle of an operation on its magazines; thread 1 interrupts it, and
 * drains.
 */
static _Atomic int stage;

static void be_busy(void)
{
	const unsigned cpu = platform_cpu();
	void *object = objcache_alloc(&cache);

	ck_assert_ptr_nonnull(object);
	platform_preempt_disable();
	const struct objcache_cpu_counts before = objcache_cpu_count_locked(&cache, cpu + 1);
	ck_assert_uint_gt(before.cached, 0);
	atomic_store(&stage, 1);
	host_wait_for(&stage, 2);
	const struct objcache_cpu_counts after = objcache_cpu_count_locked(&cache, cpu + 1);
	platform_preempt_enable();
	ck_assert_uint_eq(after.cached, before.cached);
	ck_assert_uint_eq(after.allocs, before.allocs);
	ck_assert_uint_eq(after.frees, before.frees);
	/* It empties them itself, next time. */
	objcache_free(&cache, object);
	ck_assert_uint_eq(objcache_cpu_count_locked(&cache, cpu + 1).cached, 1);
}

static void be_interrupted(void *context, unsigned index)
{
	if (index == 0) {
		be_busy();
		return;
	}
	host_wait_for(&stage, 1);
	platform_run_on_all_cpus(handler, context);
	objcache_flush(&cache);
	atomic_store(&stage, 2);
}

START_TEST(threads_leave_a_busy_cpu_alone)
{
	_Atomic unsigned handled = 0;

	setup(256);
	host_threads_run(2, be_interrupted, &handled);
	ck_assert_uint_ge(handled, 1);
	teardown();
}
END_TEST

HOST_TEST_MAIN("heap_magazines", a_million_operations_follow_the_model, frees_at_once_are_found_when_the_object_moves_on,
	       a_report_names_the_callers, objects_stay_constructed, churn_gives_blocks_back,
	       the_few_free_objects_of_many_blocks_are_found, each_block_has_an_order_of_its_own,
	       threads_exchange_objects_while_others_drain, threads_are_counted_while_they_allocate,
	       threads_are_interrupted_by_handlers_that_allocate, threads_leave_a_busy_cpu_alone)
