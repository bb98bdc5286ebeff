// SPDX-License-Identifier: BSD-2-Clause
/*
 * Waits for a task that was preempted: the one that waits has the highest priority, and both are
 * bound to one CPU. If it spins, the other one never goes on, and the machine is stopped as one
 * that hangs.
 */
#include "image_test.h"

#include "app/testbed/disks.h"
#include "heap/reclaim/guarantee.h"
#include "pagecache/map.h"
#include "pagecache/page/exclusive.h"
#include "pressure.h"
#include "runtime/base/mutex.h"
#include "runtime/base/string.h"
#include "runtime/kernel/task.h"

#define CACHE_BYTES (96 * MIB)
#define WAIT_NS     (30 * NS_PER_S) /* for what does not depend on the low task */

/* What the low task holds when the high one comes, and what that does with it. */
struct meeting {
	struct image_test_run *test;
	struct node *node;
	struct page *page;
	struct mutex mutex;
	void (*hold)(struct meeting *meeting);
	void (*need)(struct meeting *meeting); /* at TASK_HIGH */
	void (*let_go)(struct meeting *meeting);
	bool needs_it; /* `need` does not come back before `let_go` */
	_Atomic uint32_t came_back;
	char buffer[PAGE_BYTES];
};

static void high_task(void *context)
{
	struct meeting *meeting = context;

	meeting->need(meeting);
	atomic_store(&meeting->came_back, 1);
	platform_wake(&meeting->came_back);
}

static void low_task(void *context)
{
	static const struct task_options options = { .name = "high", .priority = TASK_HIGH, .cpu = 0 };
	struct meeting *meeting = context;
	struct image_test_run *test = meeting->test;
	struct task *high;

	meeting->hold(meeting);
	require(task_spawn(&options, high_task, meeting, &high) == STATUS_OK);
	/* It preempts this task at once, until it sleeps or ends. */
	if (!meeting->needs_it)
		(void)platform_wait(&meeting->came_back, 0, platform_now_ns() + WAIT_NS);
	expect_equal(atomic_load(&meeting->came_back), !meeting->needs_it);
	meeting->let_go(meeting);
	task_join(high);
}

static void meet(struct meeting *meeting)
{
	static const struct task_options options = { .name = "low", .priority = TASK_LOW, .cpu = 0 };
	struct image_test_run *test = meeting->test;
	struct task *low;

	require(task_spawn(&options, low_task, meeting, &low) == STATUS_OK);
	task_join(low);
	expect_equal(atomic_load(&meeting->came_back), 1);
}

/* The volume of the disk with the test pattern; NULL: there is none. */
static struct volume *find_volume(const struct image_test_run *test)
{
	const struct scenario scenario = { .environment = test->environment, .options = "" };
	struct disks disks;

	return disks_find(&scenario, &disks) == STATUS_OK ? disks.data : NULL;
}

/* Mutexes -------------------------------------------------------------------------------------- */

static void mutex_take(struct meeting *meeting)
{
	mutex_lock(&meeting->mutex);
}

static void mutex_take_and_give(struct meeting *meeting)
{
	mutex_lock(&meeting->mutex);
	mutex_unlock(&meeting->mutex);
}

static void mutex_give(struct meeting *meeting)
{
	mutex_unlock(&meeting->mutex);
}

IMAGE_TEST(high_waits_for_a_mutex_of_low)
{
	static struct meeting meeting = {
		.hold = mutex_take, .need = mutex_take_and_give, .let_go = mutex_give, .needs_it = true
	};

	meeting.test = test;
	mutex_init(&meeting.mutex, "test");
	meet(&meeting);
}

/* Pages ---------------------------------------------------------------------------------------- */

static void page_pin_it(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;

	expect_equal(page_get(meeting->node, 0, &meeting->page), STATUS_OK);
}

static void page_unpin_it(struct meeting *meeting)
{
	page_unpin(meeting->page);
}

static void page_open(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;

	expect_equal(page_lock_writing(meeting->node, 0, false, &meeting->page), STATUS_OK);
}

static void page_give_it_up(struct meeting *meeting)
{
	page_discard(meeting->node->volume, meeting->page);
}

static void page_read(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;

	expect_equal(node_read(meeting->node, 0, meeting->buffer, PAGE_BYTES), STATUS_OK);
}

/* What is there already. */
static void page_write(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;
	static char byte;

	expect_equal(node_read(meeting->node, 0, &byte, 1), STATUS_OK);
	expect_equal(node_write(meeting->node, 0, &byte, 1), STATUS_OK);
}

static void page_map(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;
	struct mapping *mapping;

	expect_equal(node_map(meeting->node, 0, PAGE_BYTES, MAP_READ, &mapping), STATUS_OK);
	node_unmap(mapping);
}

IMAGE_TEST(high_writes_to_a_page_that_low_has_pinned)
{
	static struct meeting meeting = { .hold = page_pin_it, .need = page_write, .let_go = page_unpin_it, .needs_it = true };
	struct volume *volume = find_volume(test);

	if (!volume)
		skip("no disks with the test pattern");
	meeting.test = test;
	meeting.node = &volume->node;
	meet(&meeting);
	expect_equal(volume_flush(volume), STATUS_OK);
}

IMAGE_TEST(high_reads_a_page_that_low_writes_to)
{
	static struct meeting meeting = { .hold = page_open, .need = page_read, .let_go = page_give_it_up, .needs_it = true };
	struct volume *volume = find_volume(test);

	if (!volume)
		skip("no disks with the test pattern");
	meeting.test = test;
	meeting.node = &volume->node;
	meet(&meeting);
}

/* It cannot be moved to a block for mapped pages, and is mapped where it is. */
IMAGE_TEST(high_maps_a_page_that_low_has_pinned)
{
	static struct meeting meeting = { .hold = page_pin_it, .need = page_map, .let_go = page_unpin_it };
	struct volume *volume = find_volume(test);

	if (!volume)
		skip("no disks with the test pattern");
	meeting.test = test;
	meeting.node = &volume->node;
	meet(&meeting);
}

/* Loaned pages --------------------------------------------------------------------------------- */

/* A page that is cached in a block of the volume that is loaned; NULL: there is none. */
static struct page *find_loaned(const struct volume *volume)
{
	const struct pageblock_table *table = &volume->pagecache->pages.table;

	for (uint64_t i = 0; i < table->count; i++) {
		struct pageblock *pageblock = table->blocks[i];

		for (unsigned j = 0;
		     pageblock && pageblock->volume == volume && pageblock_is_loaned(pageblock) && j < PAGES_PER_BLOCK; j++)
			if (page_is_idle(page_state(&pageblock->pages[j])))
				return &pageblock->pages[j];
	}
	return NULL;
}

/* Fills the memory until the guarantee is on loan. */
static struct page *loan(struct image_test_run *test, struct pressure *pressure, struct volume *volume)
{
	const uint64_t deadline_ns = platform_now_ns() + WAIT_NS;
	struct page *page = NULL;

	if (!pressure_apply(pressure, test->environment, volume, CACHE_BYTES))
		return NULL;
	while (!page && platform_now_ns() < deadline_ns) {
		task_sleep(10 * NS_PER_MS);
		page = find_loaned(volume);
	}
	return page;
}

/* What index_pin does to a page of a loaned block before it looks at the block and lets it go. */
static void pin_in_passing(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;
	uint32_t state = page_state(meeting->page);

	expect(page_try_change(meeting->page, &state, state + 1));
}

/* It moves out of the block, pin or not. */
static void pin_another(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;
	struct page *page;

	expect_equal(page_get(meeting->node, page_key_number(page_key(meeting->page)), &page), STATUS_OK);
	expect(page != meeting->page);
	page_unpin(page);
}

static bool take_piece(struct guarantee *guarantee, struct phys_addr *piece)
{
	static const struct device device = { .name = "test", .dma_mask = UINT64_MAX };
	const uint64_t interrupts = guarantee_lock(guarantee);
	const void *record = guarantee_take_locked(guarantee, &device, guarantee_piece_bytes(guarantee), true, piece);

	guarantee_unlock(guarantee, interrupts);
	return record != NULL;
}

/* Takes the guarantee until the page's block is gone, and has it settled. */
static void take_the_piece(struct meeting *meeting)
{
	static struct phys_addr pieces[64];
	struct guarantee *guarantee = &meeting->test->environment->memory->guarantee;
	const struct pageblock *pageblock = pageblock_of(meeting->page);
	struct image_test_run *test = meeting->test;
	const uint64_t deadline_ns = platform_now_ns() + WAIT_NS;
	unsigned taken = 0;

	while (pageblock_is_loaned(pageblock) && taken < ARRAY_LENGTH(pieces) && take_piece(guarantee, &pieces[taken]))
		taken++;
	expect(!pageblock_is_loaned(pageblock));
	while (atomic_load(&pageblock->volume) && platform_now_ns() < deadline_ns)
		(void)guarantee_refill(guarantee);
	expect(!atomic_load(&pageblock->volume));
	while (taken > 0)
		guarantee_give(guarantee, pieces[--taken]);
}

static void meet_loaned(struct meeting *meeting)
{
	struct image_test_run *test = meeting->test;
	struct volume *volume = find_volume(test);
	static struct pressure pressure;

	if (!volume)
		skip("no disks with the test pattern");
	meeting->node = &volume->node;
	meeting->page = loan(test, &pressure, volume);
	if (meeting->page) {
		meet(meeting);
		expect_equal(page_state(meeting->page) & PAGE_PINS, 0);
	}
	pressure_release(&pressure);
	if (!meeting->page)
		skip("nothing was on loan");
}

IMAGE_TEST(high_wants_a_loaned_page_that_low_has_pinned)
{
	static struct meeting meeting = { .hold = pin_in_passing, .need = pin_another, .let_go = page_unpin_it };

	meeting.test = test;
	meet_loaned(&meeting);
}

IMAGE_TEST(high_reaps_a_piece_with_a_page_that_low_has_pinned)
{
	static struct meeting meeting = { .hold = pin_in_passing, .need = take_the_piece, .let_go = page_unpin_it };

	meeting.test = test;
	meet_loaned(&meeting);
}
