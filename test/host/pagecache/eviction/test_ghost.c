// SPDX-License-Identifier: BSD-2-Clause
/* The memory of evicted pages. */
#include "host/host_test.h"
#include "pagecache/eviction/ghost.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define PAGES 8192

static struct ghosts *ghosts_create(void **table)
{
	struct ghosts *ghosts = malloc(sizeof(*ghosts));

	*table = aligned_alloc(64, (ghosts_bytes(PAGES) + 63) / 64 * 64);
	ghosts_init(ghosts, *table, PAGES);
	return ghosts;
}

START_TEST(a_ghost_is_found_once_with_queue_and_age)
{
	enum queue queue;
	uint64_t age;
	void *table;
	struct ghosts *ghosts = ghosts_create(&table);

	ck_assert(!ghosts_take(ghosts, 1, &queue, &age));
	ghosts_add(ghosts, 1, QUEUE_PROBATION);
	ghosts_add(ghosts, 2, QUEUE_MAIN);
	ck_assert(ghosts_take(ghosts, 1, &queue, &age));
	ck_assert_int_eq(queue, QUEUE_PROBATION);
	ck_assert_uint_le(age, ghosts->unit);
	ck_assert(ghosts_take(ghosts, 2, &queue, &age));
	ck_assert_int_eq(queue, QUEUE_MAIN);
	ck_assert(!ghosts_take(ghosts, 1, &queue, &age));
	free(ghosts);
	free(table);
}
END_TEST

START_TEST(most_of_the_last_cache_full_is_remembered_with_its_age)
{
	unsigned found = 0;
	enum queue queue;
	uint64_t age;
	void *table;
	struct ghosts *ghosts = ghosts_create(&table);

	for (uint64_t key = 0; key < 4 * PAGES; key++)
		ghosts_add(ghosts, key, QUEUE_PROBATION);
	for (uint64_t back = 0; back < PAGES * 3 / 4; back++) {
		if (!ghosts_take(ghosts, 4 * PAGES - 1 - back, &queue, &age))
			continue;
		ck_assert_uint_le(age, back + ghosts->unit);
		ck_assert_uint_ge(age + ghosts->unit, back);
		found++;
	}
	ck_assert_uint_ge(found, PAGES * 3 / 4 * 95 / 100);
	free(ghosts);
	free(table);
}
END_TEST

/* The clock comes round after four cache fulls; what is older must not look young then. */
START_TEST(old_ghosts_do_not_rise_again)
{
	enum queue queue;
	uint64_t age;
	void *table;
	struct ghosts *ghosts = ghosts_create(&table);

	for (uint64_t key = 0; key < 64; key++)
		ghosts_add(ghosts, key, QUEUE_MAIN);
	/*
	 * Main's clock stands still; the other one's sweeps must not touch ghosts that are young by
	 * main's.
	 */
	for (uint64_t key = 1000; key < 1000 + PAGES / 4; key++)
		ghosts_add(ghosts, key, QUEUE_PROBATION);
	ck_assert(ghosts_take(ghosts, 0, &queue, &age));
	for (unsigned turn = 0; turn < 5 * PAGES; turn++)
		ghosts_add(ghosts, UINT64_MAX / 2 + turn % 8, QUEUE_MAIN);
	for (uint64_t key = 1; key < 64; key++)
		ck_assert(!ghosts_take(ghosts, key, &queue, &age));
	free(ghosts);
	free(table);
}
END_TEST

#define MANY 200 /* more than the unit of time: 16 */

/* Through several turns of the clock, with some that come back. */
START_TEST(many_are_added_as_one_by_one)
{
	void *tables[2];
	struct ghosts *ghosts[2] = { ghosts_create(&tables[0]), ghosts_create(&tables[1]) };
	struct random random;
	uint64_t keys[MANY];

	random_seed(&random, 1);
	for (uint64_t added = 0; added < 10 * PAGES;) {
		const uint32_t count = 1 + (uint32_t)random_below(&random, 1 + random_below(&random, MANY));
		const enum queue queue = random_below(&random, 3) == 0 ? QUEUE_MAIN : QUEUE_PROBATION;
		enum queue queues[2] = { QUEUE_MAIN, QUEUE_MAIN };
		uint64_t ages[2] = { 0 };

		for (uint32_t i = 0; i < count; i++)
			keys[i] = random_below(&random, 4 * PAGES);
		for (uint32_t i = 0; i < count; i++)
			ghosts_add(ghosts[0], keys[i], queue);
		ghosts_add_many(ghosts[1], keys, count, queue);
		ck_assert_mem_eq(tables[0], tables[1], ghosts_bytes(PAGES));
		ck_assert_int_eq(ghosts_take(ghosts[0], keys[0], &queues[0], &ages[0]),
				 ghosts_take(ghosts[1], keys[0], &queues[1], &ages[1]));
		ck_assert_int_eq(queues[0], queues[1]);
		ck_assert_uint_eq(ages[0], ages[1]);
		added += count;
	}
	for (unsigned i = 0; i < 2; i++) {
		free(ghosts[i]);
		free(tables[i]);
	}
}
END_TEST

HOST_TEST_MAIN("ghost", a_ghost_is_found_once_with_queue_and_age, most_of_the_last_cache_full_is_remembered_with_its_age,
	       old_ghosts_do_not_rise_again, many_are_added_as_one_by_one)
