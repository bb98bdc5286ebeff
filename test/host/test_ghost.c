/* The memory of evicted pages. */
#include "host/host_test.h"
#include "pagecache/ghost.h"

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
	enum lane lane;
	uint64_t age;
	void *table;
	struct ghosts *ghosts = ghosts_create(&table);

	ck_assert(!ghosts_take(ghosts, 1, &lane, &age));
	ghosts_add(ghosts, 1, LANE_PROBATION);
	ghosts_add(ghosts, 2, LANE_MAIN);
	ck_assert(ghosts_take(ghosts, 1, &lane, &age));
	ck_assert_int_eq(lane, LANE_PROBATION);
	ck_assert_uint_le(age, ghosts->unit);
	ck_assert(ghosts_take(ghosts, 2, &lane, &age));
	ck_assert_int_eq(lane, LANE_MAIN);
	ck_assert(!ghosts_take(ghosts, 1, &lane, &age));
	free(ghosts);
	free(table);
}
END_TEST

START_TEST(most_of_the_last_cache_full_is_remembered_with_its_age)
{
	unsigned found = 0;
	enum lane lane;
	uint64_t age;
	void *table;
	struct ghosts *ghosts = ghosts_create(&table);

	for (uint64_t key = 0; key < 4 * PAGES; key++)
		ghosts_add(ghosts, key, LANE_PROBATION);
	for (uint64_t back = 0; back < PAGES * 3 / 4; back++) {
		if (!ghosts_take(ghosts, 4 * PAGES - 1 - back, &lane, &age))
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
	enum lane lane;
	uint64_t age;
	void *table;
	struct ghosts *ghosts = ghosts_create(&table);

	for (uint64_t key = 0; key < 64; key++)
		ghosts_add(ghosts, key, LANE_MAIN);
	/* Main's clock stands still; the other one's sweeps must not touch ghosts that are young by main's. */
	for (uint64_t key = 1000; key < 1000 + PAGES / 4; key++)
		ghosts_add(ghosts, key, LANE_PROBATION);
	ck_assert(ghosts_take(ghosts, 0, &lane, &age));
	for (unsigned turn = 0; turn < 5 * PAGES; turn++)
		ghosts_add(ghosts, UINT64_MAX / 2 + turn % 8, LANE_MAIN);
	for (uint64_t key = 1; key < 64; key++)
		ck_assert(!ghosts_take(ghosts, key, &lane, &age));
	free(ghosts);
	free(table);
}
END_TEST

HOST_TEST_MAIN("ghost", a_ghost_is_found_once_with_queue_and_age, most_of_the_last_cache_full_is_remembered_with_its_age,
	       old_ghosts_do_not_rise_again)
