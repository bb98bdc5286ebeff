// SPDX-License-Identifier: BSD-2-Clause
/*
 * What one thread does. Each object is written to once, as a program does with what it allocates.
 */
#include <stddef.h>

#include "chance.h"
#include "subject.h"
#include "workload.h"

#define BATCH         1000
#define RANDOM_COUNT  100000 /* objects at once */
#define PAGES_COUNT   10000
#define REPLACE_SLOTS 10000

static void *objects[RANDOM_COUNT];
static uint32_t order[RANDOM_COUNT];
static struct chance chance;

static inline void *object_new(size_t bytes)
{
	char *object = subject_alloc(bytes);

	*(volatile char *)object = 1;
	return object;
}

static void pair(uint64_t operations)
{
	while (operations-- > 0)
		subject_free(object_new(SUBJECT_SMALL_BYTES), SUBJECT_SMALL_BYTES);
}

static inline void batch_alloc(uint32_t count, size_t bytes)
{
	for (uint32_t i = 0; i < count; i++)
		objects[i] = object_new(bytes);
}

static void last_in_first_out(uint64_t operations)
{
	for (; operations >= BATCH; operations -= BATCH) {
		batch_alloc(BATCH, SUBJECT_SMALL_BYTES);
		for (uint32_t i = BATCH; i-- > 0;)
			subject_free(objects[i], SUBJECT_SMALL_BYTES);
	}
}

static void first_in_first_out(uint64_t operations)
{
	for (; operations >= BATCH; operations -= BATCH) {
		batch_alloc(BATCH, SUBJECT_SMALL_BYTES);
		for (uint32_t i = 0; i < BATCH; i++)
			subject_free(objects[i], SUBJECT_SMALL_BYTES);
	}
}

static inline void random_order(uint64_t operations, uint32_t count, size_t bytes)
{
	for (; operations >= count; operations -= count) {
		batch_alloc(count, bytes);
		for (uint32_t i = 0; i < count; i++)
			subject_free(objects[order[i]], bytes);
	}
}

static void random_prepare(void)
{
	chance_shuffle(&chance, order, RANDOM_COUNT);
}

static void random_free(uint64_t operations)
{
	random_order(operations, RANDOM_COUNT, SUBJECT_SMALL_BYTES);
}

static void pages_prepare(void)
{
	chance_shuffle(&chance, order, PAGES_COUNT);
}

static void pages(uint64_t operations)
{
	random_order(operations, PAGES_COUNT, SUBJECT_PAGE_BYTES);
}

#if SUBJECT_TAKES_ANY_SIZE
static inline size_t any_bytes(void)
{
	return REPLACE_BYTES_MIN + chance_below(&chance, REPLACE_BYTES_MAX - REPLACE_BYTES_MIN + 1);
}

static void replace_prepare(void)
{
	for (uint32_t i = 0; i < REPLACE_SLOTS; i++)
		objects[i] = object_new(any_bytes());
}

static void replace(uint64_t operations)
{
	while (operations-- > 0) {
		void **slot = &objects[chance_below(&chance, REPLACE_SLOTS)];

		subject_free(*slot, 0);
		*slot = object_new(any_bytes());
	}
}
#endif

const struct workload single_workloads[] = {
	{ .name = "pair", .run = pair, .operations = 200000, .counted = 10000 },
	{ .name = "lifo", .run = last_in_first_out, .operations = 200000, .counted = 20000 },
	{ .name = "fifo", .run = first_in_first_out, .operations = 200000, .counted = 20000 },
	{ .name = "random", .prepare = random_prepare, .run = random_free, .operations = 100000, .counted = 100000 },
#if SUBJECT_TAKES_ANY_SIZE
	{ .name = "replace", .prepare = replace_prepare, .run = replace, .operations = 200000, .counted = 100000 },
#endif
	{ .name = "objects_4k", .prepare = pages_prepare, .run = pages, .operations = 50000, .counted = 20000 },
	{ 0 },
};
