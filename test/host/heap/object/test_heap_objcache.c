// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "heap/object/objcache.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct objcache cache;

/* Objcaches on the bare machine without watermarks. */
static void setup_with(struct objcache_config config)
{
	machine_init(&machine, MACHINE_START, 64, 0, 0);
	ck_assert_int_eq(memory_objcache_init(&machine.memory, &cache, config), STATUS_OK);
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

START_TEST(objects_are_whole_and_apart)
{
	static const size_t sizes[] = { 1, 16, 24, 100, 4096, 5000, 65536, MIB };

	for (unsigned s = 0; s < ARRAY_LENGTH(sizes); s++) {
		void *objects[600];
		const unsigned count = sizes[s] >= 65536 ? 40 : 600;

		setup(sizes[s]);
		for (unsigned i = 0; i < count; i++) {
			objects[i] = objcache_alloc(&cache);
			ck_assert_ptr_nonnull(objects[i]);
			ck_assert_uint_eq((uintptr_t)objects[i] % 16, 0);
			memset(objects[i], (int)(i & 0xff), sizes[s]);
		}
		for (unsigned i = 0; i < count; i++) {
			ck_assert_uint_eq(((unsigned char *)objects[i])[0], i & 0xff);
			ck_assert_uint_eq(((unsigned char *)objects[i])[sizes[s] - 1], i & 0xff);
			objcache_free(&cache, objects[i]);
		}
		teardown();
	}
}
END_TEST

START_TEST(block_holds_512_pages)
{
	void *pages[513];

	setup_with((struct objcache_config){ .name = "pages", .object_bytes = 4096, .alignment = 4096 });
	for (unsigned i = 0; i < 512; i++)
		pages[i] = objcache_alloc(&cache);
	ck_assert_uint_eq(objcache_count(&cache).blocks, 1);
	pages[512] = objcache_alloc(&cache);
	ck_assert_uint_eq(objcache_count(&cache).blocks, 2);
	for (unsigned i = 0; i <= 512; i++) {
		ck_assert_uint_eq(platform_phys(pages[i]).value % 4096, 0);
		objcache_free(&cache, pages[i]);
	}
	teardown();
}
END_TEST

START_TEST(configs_are_checked)
{
	static const struct objcache_config wrong[] = {
		{ .name = "zero" },
		{ .name = "huge", .object_bytes = MIB + 1 },
		{ .name = "crooked", .object_bytes = 64, .alignment = 48 },
		{ .name = "far", .object_bytes = 64, .alignment = 2 * MIB },
		{ .object_bytes = 64 },
	};

	machine_init(&machine, MACHINE_START, 8, 0, 0);
	for (unsigned i = 0; i < ARRAY_LENGTH(wrong); i++)
		ck_assert_int_eq(memory_objcache_init(&machine.memory, &cache, wrong[i]), STATUS_INVALID);
	ck_assert_int_eq(
		memory_objcache_init(&machine.memory, &cache,
				     (struct objcache_config){ .name = "greedy", .object_bytes = MIB, .reserve_objects = 100 }),
		STATUS_NO_MEMORY);
	machine_fini(&machine);
}
END_TEST

struct misuse {
	struct objcache *cache;
	void *object;
	bool alloc_after; /* write to the object after free, then allocate */
};

static void misuse(void *context)
{
	struct misuse *it = context;

	objcache_free(it->cache, it->object);
	if (it->alloc_after) {
		memset(it->object, 1, 1);
		/* Which one comes next is not said. */
		for (unsigned i = 0; i < 2 * it->cache->objects_per_block; i++)
			(void)objcache_alloc(it->cache);
	}
}

static void expect_report(struct misuse it, const char *words)
{
	char message[512];

	ck_assert(host_panics(misuse, &it, message, sizeof(message)));
	ck_assert_msg(strstr(message, words) && strstr(message, "objcache things"), "%s", message);
}

START_TEST(wrong_frees_are_reported)
{
	struct objcache other;
	char *object, *foreign;

	setup(96);
	ck_assert_int_eq(
		memory_objcache_init(&machine.memory, &other, (struct objcache_config){ .name = "others", .object_bytes = 96 }),
		STATUS_OK);
	object = objcache_alloc(&cache);
	foreign = objcache_alloc(&other);
	expect_report((struct misuse){ &cache, foreign, false }, "no memory of this cache");
	expect_report((struct misuse){ &cache, object + 16, false }, "not the start of an object");
	expect_report((struct misuse){ &cache, object + 96, false }, "free already");
	expect_report((struct misuse){ &cache, object, true }, "was written to");
	/* Behind the last whole object of the block. */
	char *end = platform_virt((struct phys_addr){ align_down(platform_phys(object).value, BLOCK_BYTES) });
	expect_report((struct misuse){ &cache, end + BLOCK_BYTES / 96 * 96, false }, "not the start of an object");
	objcache_free(&cache, object);
	expect_report((struct misuse){ &cache, object, false }, "free already");
	objcache_free(&other, foreign);
	ck_assert_int_eq(objcache_fini(&other), STATUS_OK);
	teardown();
}
END_TEST

static uint64_t block_of(const void *object)
{
	return platform_phys(object).value >> BLOCK_SHIFT;
}

START_TEST(fullest_block_comes_first)
{
	enum { PER_BLOCK = 32 };
	void *objects[4 * PER_BLOCK];

	setup(65536);
	for (unsigned i = 0; i < 4 * PER_BLOCK; i++)
		objects[i] = objcache_alloc(&cache);
	/* Blocks 0 to 3 keep 8, 16, 24 and 4 objects. */
	static const unsigned keep[] = { 8, 16, 24, 4 };
	for (unsigned block = 0; block < 4; block++)
		for (unsigned i = keep[block]; i < PER_BLOCK; i++)
			objcache_free(&cache, objects[block * PER_BLOCK + i]);
	ck_assert(objcache_is_valid(&cache));
	for (unsigned i = 24; i < PER_BLOCK; i++) {
		objects[2 * PER_BLOCK + i] = objcache_alloc(&cache);
		ck_assert_uint_eq(block_of(objects[2 * PER_BLOCK + i]), block_of(objects[2 * PER_BLOCK]));
	}
	objects[PER_BLOCK + 16] = objcache_alloc(&cache);
	ck_assert_uint_eq(block_of(objects[PER_BLOCK + 16]), block_of(objects[PER_BLOCK]));
	for (unsigned i = 0; i < 8; i++)
		objcache_free(&cache, objects[i]);
	for (unsigned i = 0; i < 17; i++)
		objcache_free(&cache, objects[PER_BLOCK + i]);
	for (unsigned i = 0; i < PER_BLOCK; i++)
		objcache_free(&cache, objects[2 * PER_BLOCK + i]);
	for (unsigned i = 0; i < 4; i++)
		objcache_free(&cache, objects[3 * PER_BLOCK + i]);
	/* One empty block is kept, the others went back at once. */
	ck_assert_uint_eq(objcache_count(&cache).blocks, 1);
	ck_assert_uint_eq(objcache_count(&cache).empty_blocks, 1);
	teardown();
}
END_TEST

START_TEST(drain_never_overshoots_and_retains)
{
	enum { BLOCKS = 10, PER_BLOCK = 512 };
	static void *objects[BLOCKS * PER_BLOCK];
	struct reclaim_target below = reclaim_target_any(UINT64_MAX);

	below.highest.value = MACHINE_START - 1;
	setup_with((struct objcache_config){ .name = "things", .object_bytes = 4096, .retain_bytes = 8 * BLOCK_BYTES });
	for (unsigned i = 0; i < BLOCKS * PER_BLOCK; i++)
		objects[i] = objcache_alloc(&cache);
	for (unsigned i = 1; i < BLOCKS * PER_BLOCK; i++)
		objcache_free(&cache, objects[i]);
	objcache_flush(&cache);                                    /* the last ones that were freed are in magazines */
	ck_assert_uint_eq(objcache_count(&cache).empty_blocks, 8); /* as much as retain_bytes says; the ninth went back */
	ck_assert_uint_eq(objcache_count(&cache).blocks, 9);
	ck_assert_uint_eq(caching_heap_drain(&cache.caching, 1, 0), BLOCK_BYTES);
	ck_assert_uint_eq(caching_heap_drain(&cache.caching, BLOCK_BYTES + 1, 0), 2 * BLOCK_BYTES);
	ck_assert_uint_eq(caching_heap_drain(&cache.caching, UINT64_MAX, 3 * BLOCK_BYTES), 2 * BLOCK_BYTES);
	ck_assert_uint_eq(objcache_count(&cache).empty_blocks, 3);
	ck_assert_uint_eq(objcache_group_drain(cache.group, &below, 0), 0);
	ck_assert_uint_eq(caching_heap_drain(&cache.caching, UINT64_MAX, 0), 3 * BLOCK_BYTES);
	ck_assert_uint_eq(objcache_count(&cache).blocks, 1);
	objcache_free(&cache, objects[0]);
	teardown();
}
END_TEST

START_TEST(reserve_stays)
{
	void *objects[600];

	setup_with((struct objcache_config){ .name = "things", .object_bytes = 4096, .reserve_objects = 600 });
	ck_assert_uint_eq(objcache_count(&cache).blocks, 2);
	ck_assert_uint_eq(caching_heap_drain(&cache.caching, UINT64_MAX, 0), 0);
	for (unsigned i = 0; i < 600; i++)
		ck_assert_ptr_nonnull(objects[i] = objcache_alloc_held(&cache));
	for (unsigned i = 0; i < 600; i++)
		objcache_free(&cache, objects[i]);
	ck_assert_uint_eq(objcache_count(&cache).blocks, 2);
	teardown();
}
END_TEST

START_TEST(random_operations_follow_the_model)
{
	enum { OBJECTS = 3000 };
	static void *objects[OBJECTS];
	struct random random;
	uint64_t live = 0;

	setup_with((struct objcache_config){ .name = "things", .object_bytes = 3000 });
	random_seed(&random, 4);
	for (unsigned step = 0; step < 60000; step++) {
		const unsigned limit = step / 10000 % 2 ? OBJECTS / 20 : OBJECTS;
		const unsigned i = (unsigned)random_below(&random, OBJECTS);

		if (objects[i]) {
			ck_assert_uint_eq(*(uint32_t *)objects[i], i);
			objcache_free(&cache, objects[i]);
			objects[i] = NULL;
			live--;
		} else if (i < limit) {
			objects[i] = objcache_alloc(&cache);
			ck_assert_ptr_nonnull(objects[i]);
			*(uint32_t *)objects[i] = i;
			live++;
		}
		if (step % 2000 == 0) {
			ck_assert(objcache_is_valid(&cache));
			ck_assert_uint_eq(objcache_count(&cache).used, live);
		}
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		objcache_free(&cache, objects[i]);
	teardown();
}
END_TEST

#define THREADS 4

static void hammer(void *context, unsigned index)
{
	enum { OBJECTS = 300 };
	uint64_t *objects[OBJECTS] = { 0 };
	struct random random;

	(void)context;
	random_seed(&random, 100 + index);
	for (unsigned step = 0; step < 20000; step++) {
		const unsigned i = (unsigned)random_below(&random, OBJECTS);

		if (objects[i]) {
			ck_assert_uint_eq(*objects[i], index * OBJECTS + i);
			objcache_free(&cache, objects[i]);
			objects[i] = NULL;
		} else {
			objects[i] = objcache_alloc(&cache);
			if (objects[i])
				*objects[i] = index * OBJECTS + i;
		}
		if (index == 0 && step % 500 == 0)
			(void)caching_heap_drain(&cache.caching, UINT64_MAX, 0);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		objcache_free(&cache, objects[i]);
}

START_TEST(threads_share_a_cache)
{
	setup(8192);
	host_threads_run(THREADS, hammer, NULL);
	ck_assert_uint_eq(objcache_count(&cache).used, 0);
	teardown();
}
END_TEST

HOST_TEST_MAIN("heap_objcache", objects_are_whole_and_apart, block_holds_512_pages, configs_are_checked,
	       wrong_frees_are_reported, fullest_block_comes_first, drain_never_overshoots_and_retains, reserve_stays,
	       random_operations_follow_the_model, threads_share_a_cache)
