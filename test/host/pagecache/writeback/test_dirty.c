// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dirty sets of a node against plain arrays: what is in which set, young or old, and what has
 * left since when.
 */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/writeback/dirty.h"

#define NUMBERS 300
#define FRAMES  512
#define STEPS   20000

static struct cache_machine machine;
static struct dirty dirty;
static struct page *frames; /* of a block that no volume has */

/* The reference. */
static struct {
	bool listed[FRAMES]; /* by frame */
	bool used[NUMBERS];  /* a number is in the sets once */
	enum dirty_kind kind[FRAMES];
	bool old[FRAMES];
	uint64_t entered[FRAMES];
} model;
static uint64_t now;

static void setup(void)
{
	struct pageblock_table *table = &machine.pagecache.pages.table;

	cache_machine_init(&machine, DISK_BYTES, false);
	frames = pageblock_prepare(table, table->blocks[table->count - 1]->block)->pages;
	dirty_init(&dirty, table);
	memset(&model, 0, sizeof(model));
	now = 0;
}

static uint64_t number_of(uint32_t i)
{
	return page_key_number(page_key(&frames[i]));
}

static void insert(uint32_t i, enum dirty_kind kind, uint64_t number)
{
	atomic_store(&frames[i].key, page_key_make(machine.volume.node.id, number));
	dirty_insert(&dirty, kind, &frames[i]);
	model.listed[i] = model.used[number] = true;
	model.kind[i] = kind;
	model.old[i] = false;
	model.entered[i] = ++now;
}

static void remove_frame(uint32_t i)
{
	dirty_remove(&dirty, &frames[i]);
	model.listed[i] = model.used[number_of(i)] = false;
}

static void replace(uint32_t from, uint32_t to)
{
	dirty_replace(&dirty, &frames[from], &frames[to]);
	ck_assert_uint_eq(page_key(&frames[to]), page_key(&frames[from]));
	model.listed[from] = false;
	model.listed[to] = true;
	model.kind[to] = model.kind[from];
	model.old[to] = model.old[from];
	model.entered[to] = model.entered[from];
}

static void make_busy(uint32_t i)
{
	dirty_make_busy(&dirty, &frames[i]);
	model.kind[i] = DIRTY_BUSY;
	model.old[i] = false;
	model.entered[i] = ++now;
}

static void turn(enum dirty_kind kind)
{
	bool has_old = false;

	for (uint32_t i = 0; i < FRAMES; i++)
		has_old |= model.listed[i] && model.kind[i] == kind && model.old[i];
	for (uint32_t i = 0; i < FRAMES; i++)
		if (model.listed[i] && model.kind[i] == kind)
			model.old[i] |= !has_old;
	dirty_turn(&dirty, kind, ++now);
}

static struct page *first_of_model(enum dirty_kind kind, uint64_t number, bool only_old)
{
	struct page *found = NULL;

	for (uint32_t i = 0; i < FRAMES; i++)
		if (model.listed[i] && model.kind[i] == kind && number_of(i) >= number && (model.old[i] || !only_old) &&
		    (!found || number_of(i) < page_key_number(page_key(found))))
			found = &frames[i];
	return found;
}

/*
 * What the sets say of a time may be late, never early; and it is right as soon as the set has
 * turned since, twice at most.
 */
static void check_has_left(enum dirty_kind kind, uint64_t since)
{
	bool left = true;

	for (uint32_t i = 0; i < FRAMES; i++)
		left = left && !(model.listed[i] && model.kind[i] == kind && model.entered[i] < since);
	ck_assert(left || !dirty_has_left(&dirty, kind, since));
	if (left && !dirty_first_old(&dirty, kind) && dirty.sets[kind].turned >= since)
		ck_assert(dirty_has_left(&dirty, kind, since));
}

static void step(struct random *random)
{
	const uint32_t i = (uint32_t)random_below(random, FRAMES), other = (uint32_t)random_below(random, FRAMES);
	const uint64_t number = random_below(random, NUMBERS);
	const enum dirty_kind kind = (enum dirty_kind)random_below(random, DIRTY_KINDS);

	if (random_below(random, 8) == 0 && !dirty_first_old(&dirty, kind))
		turn(kind);
	else if (!model.listed[i] && !model.used[number])
		insert(i, kind, number);
	else if (model.listed[i] && random_below(random, 4) == 0)
		make_busy(i);
	else if (model.listed[i] && !model.listed[other] && random_below(random, 2))
		replace(i, other);
	else if (model.listed[i])
		remove_frame(i);
}

static uint64_t count(void)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < FRAMES; i++)
		pages += model.listed[i];
	return pages;
}

START_TEST(an_empty_set_has_nothing)
{
	setup();
	for (enum dirty_kind kind = 0; kind < DIRTY_KINDS; kind++) {
		ck_assert_ptr_null(dirty_first(&dirty, kind, 0));
		ck_assert_ptr_null(dirty_first_old(&dirty, kind));
		ck_assert(dirty_has_left(&dirty, kind, UINT64_MAX));
	}
	ck_assert_uint_eq(dirty_count_checked(&dirty), 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(random_changes_match_arrays)
{
	struct random random;

	setup();
	random_seed(&random, 11);
	for (unsigned i = 0; i < STEPS; i++) {
		const enum dirty_kind kind = (enum dirty_kind)random_below(&random, DIRTY_KINDS);
		const uint64_t number = random_below(&random, NUMBERS + 2);

		step(&random);
		ck_assert_ptr_eq(dirty_first(&dirty, kind, number), first_of_model(kind, number, false));
		ck_assert_ptr_eq(dirty_first_old(&dirty, kind), first_of_model(kind, 0, true));
		check_has_left(kind, random_below(&random, now + 2));
		if (i % 64 == 0)
			ck_assert_uint_eq(dirty_count_checked(&dirty), count());
	}
	for (uint32_t i = 0; i < FRAMES; i++)
		if (model.listed[i])
			remove_frame(i);
	ck_assert_uint_eq(dirty_count_checked(&dirty), 0);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_wrong_order_is_found)
{
	setup();
	for (uint32_t i = 0; i < 10; i++)
		insert(i, DIRTY_WAITING, i);
	ck_assert_uint_eq(dirty_count_checked(&dirty), 10);
	atomic_store(&frames[3].key, page_key_make(machine.volume.node.id, 8));
	ck_assert_uint_eq(dirty_count_checked(&dirty), UINT64_MAX);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("dirty set", an_empty_set_has_nothing, random_changes_match_arrays, a_wrong_order_is_found)
