// SPDX-License-Identifier: BSD-2-Clause
/*
 * Eviction of many pages at once: beside the same one by one, in two machines that have done the
 * same; and beside threads that read pages into the same frames.
 */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/page/exclusive.h"
#include "pagecache/eviction/evict.h"
#include "pagecache/eviction/frame.h"
#include "pagecache/eviction/page_heap_internal.h"
#include "pagecache/eviction/replacement.h"
#include "runtime/base/bits.h"

#define ROUNDS 12
#define TWINS  2

#define WIDE_BLOCKS 1024 /* of memory: far more than are gone through at once */

static struct cache_machine machines[TWINS];

/*
 * The pages of a block: neighbours on the disk, mostly; some cached by a second node, some read
 * ahead, dirty, hit, or missing.
 */
static void fill_block(struct cache_machine *machine, struct pageblock *pageblock, struct random *random)
{
	const unsigned scatter = (unsigned)random_below(random, 5);
	const unsigned odd = (unsigned)random_below(random, 4) * 8;
	uint64_t number = random_below(random, DISK_BYTES / PAGE_BYTES);

	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		struct page *page = &pageblock->pages[i];
		uint32_t state = page_state(page);
		uint32_t flags = 0;

		if (random_below(random, 16) < scatter)
			number = random_below(random, DISK_BYTES / PAGE_BYTES);
		number = (number + 1) % (DISK_BYTES / PAGE_BYTES);
		if (random_below(random, 256) < odd)
			flags = PAGE_MAIN;
		if (random_below(random, 256) < odd)
			flags |= PAGE_AHEAD;
		flags |= (uint32_t)random_below(random, random_below(random, 64) < odd ? 4 : 2) * PAGE_HIT;
		ck_assert(page_try_change(page, &state, page_state_make(PAGE_TAKEN, 0)));
		if (random_below(random, 256) < odd ||
		    !page_insert(&machine->volume.node, page, QUEUE_PROBATION, number, page_state_make(PAGE_CLEAN, flags))) {
			if (page_is(page_state(page), PAGE_TAKEN))
				page_set_free(page);
			continue;
		}
		state = page_state(page);
		if (random_below(random, 256) < odd / 8) /* in use */
			ck_assert(page_try_change(page, &state, state + 1));
	}
}

/* An open block with free frames only, and not the cursor's any more. */
static struct pageblock *empty_block(struct cache_machine *machine)
{
	enum queue queue = QUEUE_PROBATION;
	struct page *page = page_heap_take(&machine->volume, queue);
	struct pageblock *pageblock;

	ck_assert_ptr_nonnull(page);
	pageblock = pageblock_of(page);
	page_set_free(page);
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		ck_assert(page_is(page_state(&pageblock->pages[i]), PAGE_FREE));
	return pageblock;
}

static bool may_go(uint32_t state, uint32_t hits)
{
	return page_is(state, PAGE_FREE) || (page_is_idle(state) && (state & PAGE_HITS & ~hits) == 0);
}

/* What pageblock_drop is to do. */
static uint32_t drop_one_by_one(struct cache_machine *machine, struct pageblock *pageblock, uint32_t first, uint32_t hits)
{
	while (first < PAGES_PER_BLOCK && may_go(page_state(&pageblock->pages[first]), hits)) {
		if (!page_is(page_state(&pageblock->pages[first]), PAGE_FREE))
			ck_assert(page_drop(&machine->volume, &pageblock->pages[first]));
		first++;
	}
	return first;
}

static void unpin_all(struct pageblock *pageblock)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		if (page_state(&pageblock->pages[i]) & PAGE_PINS)
			page_unpin(&pageblock->pages[i]);
}

static void check_twins(struct pageblock *const pageblocks[TWINS])
{
	const struct ghosts *ghosts[TWINS] = { &machines[0].pagecache.eviction.ghosts, &machines[1].pagecache.eviction.ghosts };
	const uint64_t pages = memory_total_bytes(&machines[0].memory) / PAGE_BYTES;
	struct pagecache_statistics statistics[TWINS];

	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		ck_assert_uint_eq(page_state(&pageblocks[0]->pages[i]), page_state(&pageblocks[1]->pages[i]));
		ck_assert_uint_eq(atomic_load(&pageblocks[0]->pages[i].generation),
				  atomic_load(&pageblocks[1]->pages[i].generation));
	}
	ck_assert_mem_eq(ghosts[0]->table, ghosts[1]->table, ghosts_bytes(pages));
	for (unsigned queue = 0; queue < QUEUES; queue++)
		ck_assert_uint_eq(atomic_load(&ghosts[0]->now[queue]), atomic_load(&ghosts[1]->now[queue]));
	for (unsigned i = 0; i < TWINS; i++) {
		statistics[i] = *cache_machine_statistics(&machines[i]);
		ck_assert(pagecache_is_valid(&machines[i].pagecache));
	}
	ck_assert_mem_eq(&statistics[0], &statistics[1], sizeof(statistics[0]));
}

/*
 * Goes over the block from some frame on, twice past whatever it stops at, and then drops the rest.
 */
static void drop_block(struct pageblock *const pageblocks[TWINS], struct random *random)
{
	uint32_t at = (uint32_t)random_below(random, 4) * (uint32_t)random_below(random, PAGES_PER_BLOCK / 4);

	for (unsigned stops = 0; stops < 3 && at < PAGES_PER_BLOCK; stops++, at++) {
		const uint32_t hits = random_below(random, 2) == 0 ? PAGE_HITS : REPLACEMENT_COLD_HITS;
		const uint32_t stopped = pageblock_drop(&machines[0].volume, pageblocks[0], at, hits);

		ck_assert_uint_eq(drop_one_by_one(&machines[1], pageblocks[1], at, hits), stopped);
		check_twins(pageblocks);
		at = stopped;
	}
	for (unsigned i = 0; i < TWINS; i++) {
		unpin_all(pageblocks[i]);
		ck_assert_uint_eq(pageblock_drop(&machines[i].volume, pageblocks[i], 0, PAGE_HITS), PAGES_PER_BLOCK);
	}
	check_twins(pageblocks);
}

START_TEST(many_at_once_go_as_one_by_one)
{
	struct pageblock *pageblocks[TWINS];

	for (unsigned i = 0; i < TWINS; i++) {
		cache_machine_init(&machines[i], DISK_BYTES, false);
		pageblocks[i] = empty_block(&machines[i]);
	}
	for (uint64_t round = 0; round < ROUNDS; round++) {
		struct random random;

		for (unsigned i = 0; i < TWINS; i++) {
			random_seed(&random, round);
			fill_block(&machines[i], pageblocks[i], &random);
		}
		drop_block(pageblocks, &random);
	}
	for (unsigned i = 0; i < TWINS; i++)
		cache_machine_fini(&machines[i]);
}
END_TEST

#define THREADS    4
#define HOT_PAGES  (4 * PAGES_PER_BLOCK)
#define HOT_ROUNDS 400

static void read_hot(struct cache_machine *machine, uint64_t seed)
{
	struct random random;

	random_seed(&random, seed);
	for (unsigned i = 0; i < HOT_ROUNDS; i++) {
		const uint64_t first = random_below(&random, HOT_PAGES - 64);

		cache_machine_read(machine, first * PAGE_BYTES, (size_t)(1 + random_below(&random, 64)) * PAGE_BYTES);
		(void)node_evict_page(&machine->volume.node, random_below(&random, HOT_PAGES));
	}
}

/*
 * What is dropped is taken again at once: the block is not isolated, though drains isolate theirs.
 */
static void drop_hot(struct cache_machine *machine, _Atomic unsigned *readers)
{
	const struct pageblock_table *table = &machine->pagecache.pages.table;

	while (atomic_load(readers) > 0) {
		for (uint64_t block = 0; block < table->count; block++) {
			struct pageblock *pageblock = table->blocks[block];

			if (!pageblock || !page_heap_hold(&machine->volume, pageblock))
				continue;
			for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
				i = pageblock_drop(&machine->volume, pageblock, i, PAGE_HITS);
			page_heap_let_go(&machine->volume, pageblock);
		}
		platform_yield();
	}
}

struct hot {
	struct cache_machine machine;
	_Atomic unsigned readers;
};

static void read_or_drop(void *context, unsigned index)
{
	struct hot *hot = context;

	if (index == 0) {
		drop_hot(&hot->machine, &hot->readers);
	} else {
		read_hot(&hot->machine, index);
		atomic_fetch_sub(&hot->readers, 1);
	}
}

START_TEST(threads_read_into_what_is_dropped)
{
	static struct hot hot;

	cache_machine_init(&hot.machine, DISK_BYTES, true);
	atomic_init(&hot.readers, THREADS - 1);
	host_threads_run(THREADS, read_or_drop, &hot);
	cache_machine_fini(&hot.machine);
}
END_TEST

/*
 * So many blocks, whose pages differ in number and hits, and whose scores are looked at. Nothing is
 * read.
 */
static void fill_blocks(struct cache_machine *machine, uint32_t blocks, struct random *random)
{
	struct page_heap *heap = &machine->volume.eviction.heap;
	uint64_t number = 0;

	while (atomic_load(&heap->blocks) < blocks) {
		struct page *page = page_heap_take(&machine->volume, QUEUE_PROBATION);
		const uint64_t block = page_frame(page) / PAGES_PER_BLOCK;
		const uint32_t flags = (uint32_t)random_below(random, 4) * PAGE_HIT;

		if (random_below(random, 400) >= block * 7 % 64 || number == DISK_BYTES / PAGE_BYTES ||
		    !page_insert(&machine->volume.node, page, QUEUE_PROBATION, number++, page_state_make(PAGE_CLEAN, flags)))
			page_set_free(page);
	}
	spinlock_lock(&heap->lock);
	for (uint64_t i = 0; i < machine->pagecache.pages.table.count; i++)
		if (machine->pagecache.pages.table.blocks[i])
			page_heap_look_locked(heap, machine->pagecache.pages.table.blocks[i]);
	spinlock_unlock(&heap->lock);
}

/* SCORE_LEVELS: no block within the limits is queued. */
static unsigned lowest_level(struct cache_machine *machine, const struct reclaim_target *target)
{
	const struct pageblock_table *table = &machine->pagecache.pages.table;
	unsigned lowest = SCORE_LEVELS;

	for (uint64_t i = 0; i < table->count; i++) {
		const struct pageblock *pageblock = table->blocks[i];

		if (pageblock && atomic_load(&pageblock->volume) == &machine->volume && pageblock->role == PAGEBLOCK_QUEUED &&
		    pageblock->block.value >= target->lowest.value &&
		    pageblock->block.value + BLOCK_BYTES - 1 <= target->highest.value)
			lowest = MIN(lowest, page_heap_level(pageblock->score));
	}
	return lowest;
}

/* However many colder blocks lie elsewhere. */
START_TEST(the_coldest_block_within_limits_goes)
{
	struct cache_machine *machine = &machines[0];
	const struct pageblock_table *table = &machine->pagecache.pages.table;
	struct page_counts counts;
	struct pageblock *pageblock;
	unsigned found = 0;
	struct random random;

	random_seed(&random, 1);
	cache_machine_init_sized(machine, WIDE_BLOCKS * BLOCK_BYTES, DISK_BYTES, &(struct guarantee_config){ 0 });
	fill_blocks(machine, WIDE_BLOCKS - WIDE_BLOCKS / 16, &random);
	for (unsigned i = 0; i < 300; i++) {
		const uint64_t length = 1 + random_below(&random, i % 2 == 0 ? 8 : table->count);
		const uint64_t first = random_below(&random, table->count);
		const uint64_t start = (table->first_block + first) << BLOCK_SHIFT;
		const struct reclaim_target target = { .lowest = { start }, .highest = { start + length * BLOCK_BYTES - 1 } };
		const unsigned level = lowest_level(machine, &target);

		if (level == SCORE_LEVELS)
			continue;
		found++;
		pageblock = page_heap_isolate(&machine->volume, &target, false, &counts);
		ck_assert_ptr_nonnull(pageblock);
		ck_assert_uint_ge(pageblock->block.value, target.lowest.value);
		ck_assert_uint_le(pageblock->block.value + BLOCK_BYTES - 1, target.highest.value);
		ck_assert_uint_eq(page_heap_level(pageblock->score), level);
		page_heap_put_back(&machine->volume.eviction.heap, pageblock);
	}
	ck_assert_uint_gt(found, 150);
	cache_machine_fini(machine);
}
END_TEST

static bool is_queued(struct cache_machine *machine, uint64_t block)
{
	const struct pageblock *pageblock = machine->pagecache.pages.table.blocks[block];

	return pageblock && atomic_load(&pageblock->volume) == &machine->volume && pageblock->role == PAGEBLOCK_QUEUED;
}

/* The first of `length` blocks side by side that are queued. */
static uint64_t find_queued(struct cache_machine *machine, unsigned length)
{
	for (uint64_t i = 0, run = 0; i < machine->pagecache.pages.table.count; i++) {
		run = is_queued(machine, i) ? run + 1 : 0;
		if (run == length)
			return i + 1 - length;
	}
	platform_panic("no window");
}

/*
 * One step for each: what is colder does not go first, for which all would have to be looked at
 * each time.
 */
START_TEST(a_window_goes_by_address)
{
	struct cache_machine *machine = &machines[0];
	struct pageblock *const *blocks;
	uint32_t unmovable = 0;

	cache_machine_init(machine, DISK_BYTES, false);
	cache_machine_fill(machine);
	blocks = &machine->pagecache.pages.table.blocks[find_queued(machine, 6)];
	for (uint32_t i = 0; i < 2 * PAGES_PER_BLOCK; i++) {
		struct page *page = &blocks[i / PAGES_PER_BLOCK]->pages[i % PAGES_PER_BLOCK];
		uint32_t state = page_state(page);

		if (page_is(state, PAGE_CLEAN))
			ck_assert(page_try_change(page, &state, state | PAGE_HITS));
	}
	const struct reclaim_target target = {
		.bytes = 2 * BLOCK_BYTES,
		.lowest = blocks[0]->block,
		.highest = { blocks[5]->block.value + BLOCK_BYTES - 1 },
		.unmovable = &unmovable,
		.deadline_ns = PLATFORM_FOREVER,
	};
	ck_assert_uint_eq(evict_blocks(&machine->volume, &target, 0), 2 * BLOCK_BYTES);
	for (unsigned i = 0; i < 6; i++)
		ck_assert_int_eq(atomic_load(&blocks[i]->volume) == NULL, i < 2);
	cache_machine_fini(machine);
}
END_TEST

HOST_TEST_MAIN("evict", many_at_once_go_as_one_by_one, threads_read_into_what_is_dropped, the_coldest_block_within_limits_goes,
	       a_window_goes_by_address)
