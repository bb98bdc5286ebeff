// SPDX-License-Identifier: BSD-2-Clause
/*
 * How much memory is taken, and how much of it comes back.
 *
 * blocks_4k: objects of 4 KB, 256 MB of them; 90% are freed at random, then survivors are replaced
 * at random, 20 times their number. blocks_mixed: the same with objects of 16 to 1024 bytes.
 * Figures: `empty`, of the 2 MB regions that held objects when all were live, those that hold none
 * any more, by the addresses of the live objects (net: regions that came later count against it);
 * `empty_before`, the same before the replacements; `back`, of the blocks of 2 MB that the heap
 * held, those that it gave back or gives on a drain, by its own account.
 *
 * overhead_...: memory for each byte that is live, after each object has been replaced twice on
 * average, at random.
 */
#include <stdlib.h>

#include "chance.h"
#include "measure.h"
#include "regions.h"
#include "subject.h"
#include "workload.h"

#define BLOCKS_BYTES    (256u << 20)
#define SURVIVORS       10 /* one in so many objects */
#define REPLACEMENTS    20 /* of each survivor */
#define OBJECTS_MAX     1000000
#define OVERHEAD_ROUNDS 2

static struct extent objects[OBJECTS_MAX];
static uint32_t order[OBJECTS_MAX];
static struct chance chance;

static size_t any_bytes(void)
{
	return REPLACE_BYTES_MIN + chance_below(&chance, REPLACE_BYTES_MAX - REPLACE_BYTES_MIN + 1);
}

/* bytes: 0 for any. All pages of the object become resident. */
static void object_new(struct extent *object, size_t bytes)
{
	const size_t size = bytes ? bytes : any_bytes();
	char *memory = subject_alloc(size);

	*(volatile char *)memory = 1;
	((volatile char *)memory)[size - 1] = 1;
	*object = (struct extent){ memory, size };
}

static void object_drop(struct extent *object)
{
	subject_free((void *)object->start, object->bytes);
	*object = (struct extent){ 0 };
}

static void objects_replace(uint32_t count, uint32_t times, size_t bytes)
{
	for (uint64_t i = 0; i < (uint64_t)count * times; i++) {
		struct extent *object = &objects[order[chance_below(&chance, count)]];

		object_drop(object);
		object_new(object, bytes);
	}
}

/* In percent. */
static double share_gone(uint64_t now, uint64_t before)
{
	return 100 * ((double)before - (double)now) / (double)before;
}

static void blocks(uint32_t count, size_t bytes)
{
	for (uint32_t i = 0; i < count; i++)
		object_new(&objects[i], bytes);

	const uint64_t regions = regions_held(objects, count);
	const uint64_t held = subject_drained_blocks_held();

	chance_shuffle(&chance, order, count);
	for (uint32_t i = count / SURVIVORS; i < count; i++)
		object_drop(&objects[order[i]]);
	figure_print("empty_before", share_gone(regions_held(objects, count), regions));

	objects_replace(count / SURVIVORS, REPLACEMENTS, bytes);
	figure_print("empty", share_gone(regions_held(objects, count), regions));
	if (subject_drains())
		figure_print("back", share_gone(subject_drained_blocks_held(), held));
}

static void blocks_4k(unsigned slices)
{
	(void)slices;
	blocks(BLOCKS_BYTES / SUBJECT_PAGE_BYTES, SUBJECT_PAGE_BYTES);
}

#if SUBJECT_TAKES_ANY_SIZE
static void blocks_mixed(unsigned slices)
{
	(void)slices;
	blocks(BLOCKS_BYTES / ((REPLACE_BYTES_MIN + REPLACE_BYTES_MAX) / 2), 0);
}

static uint64_t live_bytes(uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += objects[i].bytes;
	return bytes;
}

static void overhead(uint32_t count)
{
	/* The arrays become resident first. */
	for (uint32_t i = 0; i < count; i++)
		objects[i] = (struct extent){ NULL, 1 };
	chance_shuffle(&chance, order, count);

	const uint64_t resident = resident_bytes(), taken = subject_taken_bytes();
	for (uint32_t i = 0; i < count; i++)
		object_new(&objects[i], 0);
	objects_replace(count, OVERHEAD_ROUNDS, 0);
	figure_print("taken", (double)(subject_taken_bytes() - taken) / (double)live_bytes(count));
	figure_print("resident", (double)(resident_bytes() - resident) / (double)live_bytes(count));
}

static void overhead_100k(unsigned slices)
{
	(void)slices;
	overhead(100000);
}

static void overhead_1m(unsigned slices)
{
	(void)slices;
	overhead(OBJECTS_MAX);
}
#endif

const struct workload memory_workloads[] = {
	{ .name = "blocks_4k", .study = blocks_4k },
#if SUBJECT_TAKES_ANY_SIZE
	{ .name = "blocks_mixed", .study = blocks_mixed },
	{ .name = "overhead_100k", .study = overhead_100k },
	{ .name = "overhead_1m", .study = overhead_1m },
#endif
	{ 0 },
};
