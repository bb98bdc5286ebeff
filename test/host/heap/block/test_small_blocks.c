// SPDX-License-Identifier: BSD-2-Clause
/*
 * What benches of small caches build: blocks of 64 KB (see test/test.mk). The heaps' classes end at
 * half of a block there, too, and all that is larger is a run.
 */
#include "host/host_test.h"

#include <string.h>

#include "fake/heap_fixture.h"
#include "runtime/base/random.h"

#define BLOCKS     2048
#define OBJECTS    64
#define BYTES_MAX  (5 * BLOCK_BYTES)
#define ROUNDS     3000
#define GUARANTEED 20 /* pieces, whose tables take more than a block */

_Static_assert(BLOCK_SHIFT == 16, "built with small blocks");

static struct machine machine;
static struct memory *const memory = &machine.memory;

struct object {
	unsigned char *bytes;
	size_t length;
	unsigned char mark;
};

static void object_begin(struct object *object, struct random *random, unsigned char mark)
{
	object->length = 1 + random_below(random, BYTES_MAX >> random_below(random, 12));
	object->mark = mark;
	object->bytes = heap_alloc(memory_general_heap(memory), object->length, 0);
	ck_assert_ptr_nonnull(object->bytes);
	ck_assert_uint_ge(general_heap_usable_bytes(&memory->general, object->bytes), object->length);
	memset(object->bytes, mark, object->length);
}

static void object_end(struct object *object)
{
	size_t wrong = 0;

	for (size_t i = 0; object->bytes && i < object->length; i++)
		wrong += object->bytes[i] != object->mark;
	ck_assert_uint_eq(wrong, 0);
	heap_free(memory_general_heap(memory), object->bytes);
	object->bytes = NULL;
}

START_TEST(objects_of_any_size_do_not_overlap)
{
	struct object objects[OBJECTS] = { 0 };
	struct random random;

	machine_init(&machine, MACHINE_START, BLOCKS, 0, 0);
	random_seed(&random, 7);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct object *object = &objects[random_below(&random, OBJECTS)];

		object_end(object);
		object_begin(object, &random, (unsigned char)i);
	}
	for (unsigned i = 0; i < OBJECTS; i++)
		object_end(&objects[i]);
	ck_assert_uint_eq(general_heap_used_bytes(&memory->general), 0);
	machine_fini(&machine);
}
END_TEST

/* No class is larger than half of a block, and each size up to there has one. */
START_TEST(classes_end_at_half_a_block)
{
	size_t wrong = 0;

	machine_init(&machine, MACHINE_START, BLOCKS, 0, 0);
	for (size_t bytes = 1; bytes <= BYTES_MAX; bytes++) {
		const struct objcache *cache = general_heap_cache(&memory->general, bytes, 0);

		wrong += (cache != NULL) != (bytes <= BLOCK_BYTES / 2);
		wrong += cache && (cache->objects_per_block < 2 || cache->config.object_bytes < bytes);
	}
	ck_assert_uint_eq(wrong, 0);
	machine_fini(&machine);
}
END_TEST

/* Its tables are an object of more than a block. */
START_TEST(a_guarantee_of_many_pieces_begins)
{
	const struct memory_config config = {
		.guarantee = { .bytes = GUARANTEED * 2 * BLOCK_BYTES, .piece_bytes = 2 * BLOCK_BYTES },
	};

	machine_init_with(&machine, MACHINE_START, BLOCKS, &config);
	ck_assert_uint_eq(memory->guarantee.pieces, GUARANTEED);
	ck_assert(guarantee_is_valid(&memory->guarantee));
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("small_blocks", objects_of_any_size_do_not_overlap, classes_end_at_half_a_block,
	       a_guarantee_of_many_pieces_begins)
