/* The dirty set against a plain array: pages of the whole volume, and of a node that has the same places in another order. */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/dirty.h"

#define PAGES  200
#define FRAMES 512
#define STEPS  6000

static const struct extent extents[] = {
	{ 0, PAGES / 2 * PAGE_BYTES, PAGES / 2 },
	{ PAGES / 2, 0, PAGES / 2 },
};

static struct cache_machine machine;
static struct node turned;
static struct dirty_set set;
static struct page *frames; /* of a block that no volume has */
static bool listed[FRAMES]; /* the reference, by frame */
static uint64_t place[FRAMES];

static void setup(void)
{
	struct frame_table *table = &machine.pagecache.table;

	cache_machine_init(&machine, DISK_BYTES, false);
	ck_assert_int_eq(node_open(&turned, &machine.volume, extents, 2, PAGES * PAGE_BYTES), STATUS_OK);
	frames_prepare(table->blocks[table->count - 1]);
	frames = table->blocks[table->count - 1]->pages;
	dirty_init(&set, &machine.pagecache);
	memset(listed, 0, sizeof(listed));
}

static void teardown(void)
{
	ck_assert_int_eq(node_close(&turned, false), STATUS_OK);
	cache_machine_fini(&machine);
}

static void insert(uint32_t i, const struct node *node, uint64_t number)
{
	const uint64_t key = page_key_make(node->id, number);

	atomic_store(&frames[i].key, key);
	dirty_insert(&set, &frames[i]);
	place[i] = pagecache_position(&machine.pagecache, key);
	listed[i] = true;
}

static void remove_frame(uint32_t i)
{
	dirty_remove(&set, &frames[i]);
	listed[i] = false;
}

static void replace(uint32_t from, uint32_t to)
{
	frames[from].epoch = (uint16_t)from;
	dirty_replace(&set, &frames[from], &frames[to]);
	ck_assert_uint_eq(frames[to].epoch, from);
	ck_assert_uint_eq(page_key(&frames[to]), page_key(&frames[from]));
	place[to] = place[from];
	listed[from] = false;
	listed[to] = true;
}

/* Of pages at the same place, the frame decides. */
static struct page *first_at(uint64_t position)
{
	struct page *found = NULL;

	for (uint32_t i = 0; i < FRAMES; i++)
		if (listed[i] && place[i] >= position && (!found || place[i] < place[found - frames]))
			found = &frames[i];
	return found;
}

static struct page *last_before(uint64_t position)
{
	struct page *found = NULL;

	for (uint32_t i = 0; i < FRAMES; i++)
		if (listed[i] && place[i] < position && (!found || place[i] >= place[found - frames]))
			found = &frames[i];
	return found;
}

static uint64_t count(void)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < FRAMES; i++)
		pages += listed[i];
	return pages;
}

static void step(struct random *random)
{
	const uint32_t i = (uint32_t)random_below(random, FRAMES), other = (uint32_t)random_below(random, FRAMES);

	if (!listed[i])
		insert(i, random_below(random, 2) ? &turned : &machine.volume.node, random_below(random, PAGES));
	else if (random_below(random, 2) || listed[other])
		remove_frame(i);
	else
		replace(i, other);
}

START_TEST(an_empty_set_has_nothing)
{
	setup();
	ck_assert_ptr_null(dirty_first(&set, 0));
	ck_assert_ptr_null(dirty_last_before(&set, UINT64_MAX));
	ck_assert_uint_eq(dirty_count_checked(&set), 0);
	teardown();
}
END_TEST

START_TEST(random_changes_match_an_array)
{
	struct random random;

	setup();
	random_seed(&random, 11);
	for (unsigned i = 0; i < STEPS; i++) {
		const uint64_t position = random_below(&random, (PAGES + 2) * PAGE_BYTES / 2048) * 2048;

		step(&random);
		ck_assert_ptr_eq(dirty_first(&set, position), first_at(position));
		ck_assert_ptr_eq(dirty_last_before(&set, position), last_before(position));
		if (i % 64 == 0)
			ck_assert_uint_eq(dirty_count_checked(&set), count());
	}
	for (uint32_t i = 0; i < FRAMES; i++)
		if (listed[i])
			remove_frame(i);
	ck_assert_uint_eq(dirty_count_checked(&set), 0);
	teardown();
}
END_TEST

START_TEST(a_set_in_order_is_walked_in_order)
{
	uint64_t position = 0;
	struct page *page;

	setup();
	for (uint32_t i = 0; i < FRAMES; i++)
		insert(i, &machine.volume.node, i);
	for (uint32_t i = 0; i < FRAMES; i++) {
		page = dirty_first(&set, position);
		ck_assert_ptr_eq(page, &frames[i]);
		position = place[i] + 1;
	}
	ck_assert_ptr_null(dirty_first(&set, position));
	for (uint32_t i = FRAMES; i-- > 0; position = place[i])
		ck_assert_ptr_eq(dirty_last_before(&set, position), &frames[i]);
	ck_assert_ptr_null(dirty_last_before(&set, position));
	teardown();
}
END_TEST

START_TEST(a_wrong_order_is_found)
{
	setup();
	for (uint32_t i = 0; i < 10; i++)
		insert(i, &machine.volume.node, i);
	ck_assert_uint_eq(dirty_count_checked(&set), 10);
	atomic_store(&frames[3].key, page_key_make(machine.volume.node.id, 8));
	ck_assert_uint_eq(dirty_count_checked(&set), UINT64_MAX);
	teardown();
}
END_TEST

HOST_TEST_MAIN("dirty set", an_empty_set_has_nothing, random_changes_match_an_array, a_set_in_order_is_walked_in_order,
	       a_wrong_order_is_found)
