// SPDX-License-Identifier: BSD-2-Clause
/* Which pages stay: scans, hot pages, ghosts, drains, and a cache that shrinks and grows. */
#include "fake/cache_fixture.h"
#include "heap/reclaim/background_cleaner.h"
#include "host/host_test.h"
#include "pagecache/eviction/replacement.h"

#define PAGE(n)   ((n)*PAGE_BYTES)
#define HOT_PAGES (4 * PAGES_PER_BLOCK)
#define RUNS      4

static struct cache_machine machine;

static void read_pages(uint64_t first, uint64_t count)
{
	for (uint64_t i = first; i < first + count; i++)
		cache_machine_read(&machine, PAGE(i), PAGE_BYTES);
}

static bool is_cached(uint64_t number)
{
	return index_look(&machine.pagecache.pages.index, page_key_make(machine.volume.node.id, number));
}

static uint64_t cached_of(uint64_t first, uint64_t count)
{
	uint64_t cached = 0;

	for (uint64_t i = first; i < first + count; i++)
		cached += is_cached(i);
	return cached;
}

/* A full cache, and a hot set that was used several times. */
static void machine_start(void)
{
	cache_machine_init(&machine, DISK_BYTES, false);
	for (unsigned run = 0; run < RUNS; run++)
		read_pages(0, HOT_PAGES);
	read_pages(HOT_PAGES, DISK_BYTES / PAGE_BYTES - HOT_PAGES);
}

static void check_and_stop(void)
{
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}

START_TEST(a_scan_does_not_push_out_what_is_used)
{
	machine_start();
	ck_assert_uint_eq(cached_of(0, HOT_PAGES), HOT_PAGES);
	for (unsigned scan = 0; scan < 3; scan++) {
		for (unsigned run = 0; run < 2; run++)
			read_pages(0, HOT_PAGES);
		read_pages(HOT_PAGES, DISK_BYTES / PAGE_BYTES - HOT_PAGES);
	}
	ck_assert_uint_eq(cached_of(0, HOT_PAGES), HOT_PAGES);
	check_and_stop();
}
END_TEST

START_TEST(a_page_that_comes_back_soon_goes_to_main)
{
	enum queue queue;

	machine_start();
	/* Read once, evicted by the scan not long ago. */
	const uint64_t last = DISK_BYTES / PAGE_BYTES - 1;
	uint64_t number = last;
	while (is_cached(number))
		number--;
	queue = replacement_admit(&machine.volume, page_key_make(machine.volume.node.id, number));
	ck_assert_int_eq(queue, QUEUE_MAIN);
	queue = replacement_admit(&machine.volume, page_key_make(machine.volume.node.id, last + 1000));
	ck_assert_int_eq(queue, QUEUE_PROBATION);
	check_and_stop();
}
END_TEST

START_TEST(a_drain_keeps_what_is_hot)
{
	struct pagecache_statistics before, after;

	machine_start();
	read_pages(0, HOT_PAGES);
	read_pages(0, HOT_PAGES);
	before = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(memory_drain(&machine.memory, 10 * BLOCK_BYTES, false), 10 * BLOCK_BYTES);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(cached_of(0, HOT_PAGES), HOT_PAGES);
	ck_assert_uint_le(before.cached_pages - after.cached_pages, 10 * PAGES_PER_BLOCK);
	check_and_stop();
}
END_TEST

/* What would have to go for it was hit as often. */
START_TEST(where_all_is_hot_a_drain_copies_nothing)
{
	struct pagecache_statistics before, after;

	machine_start();
	for (unsigned run = 0; run < RUNS; run++)
		for (uint64_t i = 0; i < DISK_BYTES / PAGE_BYTES; i++)
			if (is_cached(i))
				read_pages(i, 1);
	before = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(memory_drain(&machine.memory, 10 * BLOCK_BYTES, false), 10 * BLOCK_BYTES);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(after.moved_pages, before.moved_pages);
	ck_assert_uint_eq(before.cached_pages - after.cached_pages, 10 * PAGES_PER_BLOCK);
	check_and_stop();
}
END_TEST

/* Each page is soon worth a place in main. */
static void read_all_often(void)
{
	for (uint64_t i = 0; i < DISK_BYTES / PAGE_BYTES; i++)
		for (unsigned run = 0; run < RUNS; run++)
			read_pages(i, 1);
}

/* As after a long time. */
static void forget_hits(const struct list *queue)
{
	list_for_each (link, queue)
		for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
			atomic_fetch_and(&container_of(link, struct pageblock, link)->pages[i].state, ~(uint32_t)PAGE_HITS);
}

static void read_in_block(uint64_t block, uint64_t step, unsigned times)
{
	for (uint64_t i = 0; i < DISK_BYTES / PAGE_BYTES; i += step)
		for (unsigned time = 0; time < times && is_cached(i) && cache_machine_block(&machine, i) == block; time++)
			read_pages(i, 1);
}

/* Where main's cursor stands, all is hot, but it passes by. */
START_TEST(a_hot_block_of_main_does_not_spoil_a_drain)
{
	const struct page_heap *heap = &machine.volume.eviction.heap;
	struct pagecache_statistics before, after;

	machine_start();
	read_all_often();
	forget_hits(&heap->queues[QUEUE_MAIN]);
	read_in_block(heap->open[QUEUE_MAIN]->block.value, 1, RUNS);
	read_in_block(container_of(list_first(&heap->queues[QUEUE_MAIN]), struct pageblock, link)->block.value, 1, RUNS);
	list_for_each (link, &heap->queues[QUEUE_MAIN])
		read_in_block(container_of(link, struct pageblock, link)->block.value, 16, RUNS);
	before = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(memory_drain(&machine.memory, 20 * BLOCK_BYTES, false), 20 * BLOCK_BYTES);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_ge(after.moved_pages - before.moved_pages, 6 * PAGES_PER_BLOCK / 16);
	check_and_stop();
}
END_TEST

static uint32_t probation_blocks(void)
{
	return machine.volume.eviction.heap.queue_blocks[QUEUE_PROBATION];
}

/* The next request of that size finds it cold. It is forgotten with time. */
START_TEST(probation_stays_as_large_as_what_was_taken_of_it)
{
	const struct memory_request request = { .blocks = 1, .owner = &machine.pagecache.owner, .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr blocks[14];
	uint32_t before, kept;

	machine_start();
	read_all_often();
	before = probation_blocks();
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(&machine.memory), &request, 14, blocks), STATUS_OK);
	for (unsigned i = 0; i < 14; i++)
		memory_blocks_free(&machine.memory, blocks[i]);
	read_all_often();
	kept = probation_blocks();
	ck_assert_uint_ge(kept, before + 3);
	while (machine.volume.eviction.heap.demand_blocks > 0)
		read_pages(HOT_PAGES, DISK_BYTES / PAGE_BYTES - HOT_PAGES);
	read_all_often();
	ck_assert_uint_lt(probation_blocks(), kept);
	check_and_stop();
}
END_TEST

static bool gives_wanted(const struct pageblock *wanted)
{
	const struct reclaim_target target = { .highest = { UINT64_MAX }, .wanted = wanted->block };
	struct page_counts counts;
	struct pageblock *given = page_heap_isolate(&machine.volume, &target, false, &counts);
	const bool is_wanted = given == wanted;

	ck_assert_ptr_nonnull(given);
	page_heap_put_back(&machine.volume.eviction.heap, given);
	return is_wanted;
}

/*
 * A block of young pages goes where it is wanted, though older ones are colder, if as much as both
 * was taken before.
 */
START_TEST(what_is_wanted_goes_where_much_is_taken)
{
	struct page_heap *heap = &machine.volume.eviction.heap;
	const struct pageblock *wanted;

	machine_start();
	wanted = container_of(heap->queues[QUEUE_PROBATION].previous, struct pageblock, link);
	ck_assert(!gives_wanted(wanted));
	heap->demand_blocks = heap->queue_blocks[QUEUE_PROBATION] - 1;
	ck_assert(gives_wanted(wanted));
	heap->demand_blocks = heap->blocks / 10;
	ck_assert(!gives_wanted(wanted));
	heap->demand_blocks = 0;
	check_and_stop();
}
END_TEST

/*
 * The background cleaner frees the blocks where the next ones will want to be, the highest first.
 */
START_TEST(the_background_cleaner_frees_the_next_places)
{
	struct block_heap *blocks = &machine.memory.blocks;
	struct run_request request = { .blocks = 1, .owner = &machine.pagecache.owner, .placed = true };
	struct phys_addr taken[4];
	uint64_t i = 0;

	machine_start();
	machine.volume.eviction.heap.demand_blocks = machine.volume.eviction.heap.blocks;
	while (i < ARRAY_LENGTH(taken) && block_heap_free_bytes(blocks) > 0) {
		const struct run_request any = { .blocks = 1, .owner = &machine.pagecache.owner };

		ck_assert_int_eq(block_heap_alloc(blocks, &any, &taken[i++]), STATUS_OK);
	}
	ck_assert_uint_eq(block_heap_alloc(blocks, &request, &taken[0]), STATUS_NO_MEMORY);
	for (unsigned k = 0; k < 2; k++)
		ck_assert_uint_eq(background_cleaner_step(memory_reclaim(&machine.memory)), BLOCK_BYTES);
	struct phys_addr placed[2];
	for (unsigned k = 0; k < 2; k++)
		ck_assert_int_eq(block_heap_alloc(blocks, &request, &placed[k]), STATUS_OK);
	for (unsigned k = 0; k < 2; k++)
		memory_blocks_free(&machine.memory, placed[k]);
	while (i > 0)
		memory_blocks_free(&machine.memory, taken[--i]);
	machine.volume.eviction.heap.demand_blocks = 0;
	check_and_stop();
}
END_TEST

/*
 * Of a cache that has nearly gone, no more than a third is expected to go again; meanwhile main's
 * misses change nothing.
 */
START_TEST(demand_has_a_limit_and_stops_the_target)
{
	struct page_heap *heap = &machine.volume.eviction.heap;
	const uint64_t key = page_key_make(machine.volume.node.id, DISK_BYTES / PAGE_BYTES);
	uint64_t target;

	machine_start();
	const uint32_t blocks = atomic_load(&heap->blocks);
	ck_assert_uint_ge(memory_drain(&machine.memory, (blocks - 4) * BLOCK_BYTES, false), blocks / 2 * BLOCK_BYTES);
	ck_assert_uint_le(heap->demand_blocks, blocks / 3);
	ck_assert_uint_ge(heap->demand_blocks, blocks / 3 - 1);
	while (heap->gone_blocks > 0)
		read_pages(HOT_PAGES, DISK_BYTES / PAGE_BYTES - HOT_PAGES);
	atomic_store(&heap->target, atomic_load(&heap->target) / 4);
	target = atomic_load(&heap->target);
	ghosts_add(&machine.pagecache.eviction.ghosts, key, QUEUE_MAIN);
	(void)replacement_admit(&machine.volume, key);
	ck_assert_uint_eq(atomic_load(&heap->target), target);
	heap->demand_blocks = 0;
	ghosts_add(&machine.pagecache.eviction.ghosts, key, QUEUE_MAIN);
	(void)replacement_admit(&machine.volume, key);
	ck_assert_uint_lt(atomic_load(&heap->target), target);
	check_and_stop();
}
END_TEST

/*
 * The pages of a block that is in the way of a run are moved where they are hot, and readers find
 * them.
 */
START_TEST(a_run_is_emptied_whatever_lies_in_it)
{
	const struct memory_request request = {
		.blocks = 12,
		.owner = &machine.pagecache.owner,
		.wait = MEMORY_WAIT_FOREVER,
	};
	struct phys_addr run;

	machine_start();
	read_pages(0, HOT_PAGES);
	read_pages(0, HOT_PAGES);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &run), STATUS_OK);
		memset(platform_virt(run), 0xbb, 12 * BLOCK_BYTES);
		read_pages(0, HOT_PAGES);
		memory_blocks_free(&machine.memory, run);
		read_pages(HOT_PAGES, 4 * PAGES_PER_BLOCK);
	}
	check_and_stop();
}
END_TEST

START_TEST(a_pinned_page_keeps_its_block)
{
	struct lookup lookup;
	struct page *page;

	machine_start();
	page = index_pin(&machine.pagecache.pages.index, page_key_make(machine.volume.node.id, 3), &lookup);
	ck_assert_ptr_nonnull(page);
	(void)memory_drain(&machine.memory, UINT64_MAX / 2, true);
	ck_assert(is_cached(3));
	ck_assert_int_eq(memcmp(page_memory(page), machine.model + PAGE(3), PAGE_BYTES), 0);
	page_unpin(page);
	check_and_stop();
}
END_TEST

START_TEST(a_cache_that_shrinks_and_grows_has_no_holes)
{
	const struct memory_request request = { .blocks = 1, .owner = &machine.pagecache.owner, .wait = MEMORY_WAIT_FOREVER };
	struct phys_addr blocks[18];
	struct random random;

	machine_start();
	random_seed(&random, 8);
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(&machine.memory), &request, 18, blocks), STATUS_OK);
		for (unsigned j = 0; j < 2000; j++)
			read_pages(random_below(&random, DISK_BYTES / PAGE_BYTES), 1);
		for (unsigned j = 0; j < 18; j++)
			memory_blocks_free(&machine.memory, blocks[j]);
		read_pages(HOT_PAGES, DISK_BYTES / PAGE_BYTES - HOT_PAGES);
		ck_assert(pagecache_is_valid(&machine.pagecache));
	}
	const struct pagecache_statistics statistics = *cache_machine_statistics(&machine);
	ck_assert_uint_ge(statistics.cached_pages * 200, statistics.blocks * PAGES_PER_BLOCK * 199);
	check_and_stop();
}
END_TEST

HOST_TEST_MAIN("replacement", a_scan_does_not_push_out_what_is_used, a_page_that_comes_back_soon_goes_to_main,
	       a_drain_keeps_what_is_hot, where_all_is_hot_a_drain_copies_nothing, a_hot_block_of_main_does_not_spoil_a_drain,
	       demand_has_a_limit_and_stops_the_target, probation_stays_as_large_as_what_was_taken_of_it,
	       what_is_wanted_goes_where_much_is_taken, the_background_cleaner_frees_the_next_places,
	       a_run_is_emptied_whatever_lies_in_it, a_pinned_page_keeps_its_block, a_cache_that_shrinks_and_grows_has_no_holes)
