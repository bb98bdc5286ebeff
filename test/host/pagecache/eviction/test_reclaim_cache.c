// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reclaim from a real page cache: nothing allocates, a stalled disk holds up only its own writers,
 * dirtying has its price.
 */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/eviction/page_heap.h"
#include "pagecache/writeback/writeback.h"

/* Each allocation of a task that cleans fails, and is counted. */
struct strict {
	struct fault_injector fault;
	_Atomic unsigned asked;
};

static bool fails_while_cleaning(struct fault_injector *self, const char *where, uint64_t bytes)
{
	struct strict *strict = container_of(self, struct strict, fault);

	(void)where;
	(void)bytes;
	if (!platform_is_cleaning())
		return false;
	atomic_fetch_add(&strict->asked, 1);
	return true;
}

static struct pagecache_config config_with_reserve(void)
{
	struct pagecache_config config = cache_machine_config;

	config.migration_blocks = 2;
	return config;
}

/* Hot pages, and dirty ones, in all blocks. */
static void warm(struct cache_machine *machine, struct random *random)
{
	for (unsigned i = 0; i < 4000; i++) {
		cache_machine_read(machine, random_below(random, DISK_BYTES / PAGE_BYTES) * PAGE_BYTES, 1);
		if (i % 8 == 0)
			cache_machine_write(machine, random, random_below(random, DISK_BYTES / PAGE_BYTES) * PAGE_BYTES, 100);
	}
}

START_TEST(cleaning_needs_no_memory)
{
	const struct pagecache_config config = config_with_reserve();
	struct strict strict = { .fault = { fails_while_cleaning } };
	struct cache_machine machine;
	struct random random;

	cache_machine_init_config(&machine, DISK_BYTES, false, &config);
	random_seed(&random, 3);
	for (unsigned loop = 0; loop < 20; loop++) {
		cache_machine_fill(&machine);
		warm(&machine, &random);
		memory_set_fault_injector(&machine.memory, &strict.fault);
		ck_assert_uint_ge(memory_drain(&machine.memory, 12 * BLOCK_BYTES, true), 12 * BLOCK_BYTES);
		memory_set_fault_injector(&machine.memory, NULL);
		ck_assert_uint_ge(cache_machine_statistics(&machine)->cached_pages * PAGE_BYTES, KEEP_BYTES);
		migration_refill(&machine.pagecache);
	}
	ck_assert_uint_eq(atomic_load(&strict.asked), 0);
	ck_assert_uint_gt(cache_machine_statistics(&machine)->moved_pages, 0);
	cache_machine_fini(&machine);
}
END_TEST

/*
 * Blocks that cannot be moved take the end of memory, and what lies there, dirty or not, moves to
 * blocks that are free.
 */
START_TEST(places_are_emptied_without_a_loss)
{
	const struct memory_request request = { .blocks = 1, .owner = &(struct owner){ .name = "driver" } };
	struct cache_machine machine;
	struct phys_addr blocks[6];
	struct random random;

	cache_machine_init(&machine, DISK_BYTES, false);
	random_seed(&random, 4);
	for (unsigned loop = 0; loop < 20; loop++) {
		cache_machine_fill(&machine);
		warm(&machine, &random);
		/* More than is to stay free. */
		(void)memory_drain(&machine.memory, 16 * BLOCK_BYTES, true);
		const struct pagecache_statistics before = *cache_machine_statistics(&machine);
		for (unsigned i = 0; i < 6; i++)
			ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &blocks[i]), STATUS_OK);
		const struct pagecache_statistics after = *cache_machine_statistics(&machine);
		ck_assert_uint_eq(after.evicted_pages, before.evicted_pages);
		ck_assert_uint_eq(after.cached_pages, before.cached_pages);
		ck_assert_uint_eq(after.dirty_pages, before.dirty_pages);
		ck_assert(pagecache_is_valid(&machine.pagecache));
		for (unsigned i = 0; i < 6; i++)
			memory_blocks_free(&machine.memory, blocks[i]);
	}
	ck_assert_uint_gt(cache_machine_statistics(&machine)->moved_pages, 0);
	cache_machine_fini(&machine);
}
END_TEST

/* Reads `pages` more, each once, so that nothing is hot. */
static void scan(struct cache_machine *machine, uint64_t *next, uint64_t pages)
{
	for (; pages > 0; pages--, ++*next)
		cache_machine_read(machine, *next % (DISK_BYTES / PAGE_BYTES) * PAGE_BYTES, 1);
}

/*
 * Where nothing is hot, what lies in the place of a run goes, rather than move to where a block
 * went elsewhere: each block of the run is the wanted one in its turn, and the cursor's block does
 * not stay in the way. A tenth is for the first takes, when nothing tells yet how much is taken at
 * a time.
 */
START_TEST(runs_take_the_places_of_cold_blocks_without_copies)
{
	struct memory_request request = { .owner = &(struct owner){ .name = "driver" } };
	struct cache_machine machine;
	struct phys_addr runs[3];
	uint64_t next = 0, taken = 0;
	struct random random;

	cache_machine_init(&machine, DISK_BYTES, false);
	random_seed(&random, 5);
	cache_machine_fill(&machine);
	for (unsigned loop = 0; loop < 100; loop++) {
		scan(&machine, &next, random_below(&random, 12 * PAGES_PER_BLOCK));
		request.blocks = 1 + random_below(&random, 4);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &runs[i]), STATUS_OK);
		for (unsigned i = 0; i < 3; i++)
			memory_blocks_free(&machine.memory, runs[i]);
		taken += 3 * request.blocks;
	}
	ck_assert_uint_le(cache_machine_statistics(&machine)->moved_pages, taken * PAGES_PER_BLOCK / 10);
	cache_machine_fini(&machine);
}
END_TEST

#define RUN_BLOCKS 16

/* Makes 40% of every eighth block dirty: too many for a block, few for a run. */
static void dirty_some_blocks(struct cache_machine *machine, struct random *random)
{
	const uint64_t pages = cache_machine_statistics(machine)->cached_pages; /* the first ones of the volume */

	for (uint64_t page = 0; page < pages; page++)
		if (cache_machine_block(machine, page) / BLOCK_BYTES % 8 == 0 && page % 5 < 2)
			cache_machine_write(machine, random, page * PAGE_BYTES, 1);
}

/* A run that has some blocks with many dirty pages is given, without a write. */
START_TEST(a_window_is_worth_some_moves)
{
	const struct memory_request request = { .blocks = RUN_BLOCKS, .owner = &(struct owner){ .name = "driver" } };
	struct cache_machine machine;
	struct phys_addr run;
	struct random random;

	cache_machine_init(&machine, DISK_BYTES, false);
	random_seed(&random, 7);
	cache_machine_fill(&machine);
	dirty_some_blocks(&machine, &random);
	const struct pagecache_statistics before = *cache_machine_statistics(&machine);
	ck_assert_uint_gt(before.dirty_pages, PAGES_PER_BLOCK);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &request, &run), STATUS_OK);
	const struct pagecache_statistics after = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(after.dirty_pages, before.dirty_pages);
	ck_assert_uint_le(before.cached_pages - after.cached_pages, RUN_BLOCKS * PAGES_PER_BLOCK);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	memory_blocks_free(&machine.memory, run);
	cache_machine_fini(&machine);
}
END_TEST

#define TAKERS 4

static void take_runs(void *context, unsigned index)
{
	struct cache_machine *machine = context;
	struct owner owner = { .name = "driver" };
	struct memory_request request = { .owner = &owner, .wait = MEMORY_WAIT_FOREVER };
	struct random random;
	struct phys_addr run;

	random_seed(&random, 6 + index);
	for (unsigned i = 0; i < 1000; i++) {
		request.blocks = 1 + random_below(&random, 4);
		ck_assert_int_eq(memory_blocks_alloc(&machine->memory, &request, &run), STATUS_OK);
		cache_machine_read(machine, random_below(&random, DISK_BYTES / PAGE_BYTES - 64) * PAGE_BYTES, 64 * PAGE_BYTES);
		memory_blocks_free(&machine->memory, run);
	}
}

/* No two requests empty their places into each other's without end. */
START_TEST(threads_empty_their_places_beside_each_other)
{
	struct cache_machine machine;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_fill(&machine);
	host_threads_run(TAKERS, take_runs, &machine);
	ck_assert_uint_gt(cache_machine_statistics(&machine)->moved_pages, 0);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}
END_TEST

static uint32_t reserve_blocks(struct cache_machine *machine)
{
	return machine->pagecache.eviction.migration.count;
}

/*
 * The reserve serves moves alone: readers who take all the memory there is do not get it, and it is
 * fetched anew.
 */
START_TEST(the_migration_reserve_is_there_for_moves)
{
	const struct pagecache_config config = config_with_reserve();
	struct page *pages[2 * PAGES_PER_BLOCK];
	struct cache_machine machine;
	struct page_heap *heap;
	uint32_t blocks, taken = 0;

	cache_machine_init_config(&machine, DISK_BYTES, false, &config);
	heap = &machine.volume.eviction.heap;
	cache_machine_fill(&machine);
	ck_assert_uint_eq(reserve_blocks(&machine), 2);
	blocks = atomic_load(&heap->blocks);
	(void)platform_set_cleaning(true);
	ck_assert(migration_open(&machine.volume));
	while (taken < PAGES_PER_BLOCK) {
		pages[taken] = page_heap_take(&machine.volume, QUEUE_MAIN);
		ck_assert_ptr_nonnull(pages[taken]);
		ck_assert_ptr_eq(pageblock_of(pages[taken]), pageblock_of(pages[0]));
		taken++;
	}
	ck_assert(migration_open(&machine.volume));
	ck_assert(!migration_open(&machine.volume));
	(void)platform_set_cleaning(false);
	ck_assert_uint_eq(atomic_load(&heap->blocks), blocks + 2);
	ck_assert_uint_eq(machine.pagecache.eviction.migration.owner.blocks, 0);
	while (taken > 0)
		page_set(pages[--taken], page_state_make(PAGE_FREE, 0));
	migration_refill(&machine.pagecache);
	ck_assert_uint_eq(reserve_blocks(&machine), 2);
	ck_assert_uint_eq(machine.pagecache.eviction.migration.owner.blocks, 2);
	cache_machine_fini(&machine);
}
END_TEST

/* A silent disk -------------------------------------------------------------------------------- */

#define STUCK 10 /* more readers than there are I/O objects for all */

struct two_disks {
	struct cache_machine silent;
	struct fake_block disk;
	struct volume volume;
	_Atomic bool flushing;
};

static void two_disks_init(struct two_disks *two)
{
	const struct volume_config config = { .preference = 50 };

	cache_machine_init(&two->silent, DISK_BYTES, true);
	fake_block_init(&two->disk, DISK_BYTES, true);
	ck_assert_int_eq(
		volume_attach(&two->volume, &two->silent.pagecache, &two->disk.device, "other", 0, DISK_BYTES, &config),
		STATUS_OK);
	two->flushing = false;
}

static void two_disks_fini(struct two_disks *two)
{
	ck_assert_int_eq(volume_detach(&two->volume, false), STATUS_OK);
	fake_block_fini(&two->disk);
	cache_machine_fini(&two->silent);
}

static void read_silent_or_other(void *context, unsigned index)
{
	struct two_disks *two = context;
	static char buffer[MIB];
	char byte = 1;

	if (index < STUCK) {
		cache_machine_read(&two->silent, index * 4 * MIB, 1);
		return;
	}
	while (atomic_load(&two->silent.pagecache.pages.requests_used) < two->silent.pagecache.config.requests)
		platform_yield();
	ck_assert_int_eq(node_read(&two->volume.node, 0, buffer, sizeof(buffer)), STATUS_OK);
	ck_assert_int_eq(node_write(&two->volume.node, 77, &byte, 1), STATUS_OK);
	ck_assert_int_eq(volume_flush(&two->volume), STATUS_OK);
	fake_block_hold(&two->silent.disk, false);
}

START_TEST(threads_use_another_disk_while_one_is_silent)
{
	struct two_disks two;

	two_disks_init(&two);
	fake_block_hold(&two.silent.disk, true);
	host_threads_run(STUCK + 1, read_silent_or_other, &two);
	two_disks_fini(&two);
}
END_TEST

/* While a flush of all waits for the silent disk, others find, attach and list volumes. */
static void flush_or_look(void *context, unsigned index)
{
	struct two_disks *two = context;
	struct pagecache_statistics statistics;

	if (index == 0) {
		atomic_store(&two->flushing, true);
		ck_assert_int_eq(pagecache_flush(&two->silent.pagecache), STATUS_OK);
		return;
	}
	while (!atomic_load(&two->flushing) || fake_block_hold(&two->silent.disk, true) == 0)
		platform_yield();
	ck_assert_ptr_eq(volume_find(&two->silent.pagecache, "other"), &two->volume);
	pagecache_statistics(&two->silent.pagecache, &statistics);
	pagecache_writeback_step(&two->silent.pagecache);
	fake_block_hold(&two->silent.disk, false);
}

START_TEST(threads_do_not_wait_for_a_flush_of_another_disk)
{
	struct two_disks two;
	struct random random;

	two_disks_init(&two);
	random_seed(&random, 1);
	cache_machine_write(&two.silent, &random, 0, MIB);
	fake_block_hold(&two.silent.disk, true);
	host_threads_run(2, flush_or_look, &two);
	two_disks_fini(&two);
}
END_TEST

/* Everything dirty, and the disk says nothing: the time is kept, and nothing is lost. */
START_TEST(a_deadline_is_kept_on_a_silent_disk)
{
	struct pagecache_config config = cache_machine_config;
	struct phys_addr runs[36];
	struct cache_machine machine;
	struct random random;
	struct owner owner;
	uint64_t number = 0;

	config.dirty_background_percent = 40;
	config.dirty_max_percent = 60;
	cache_machine_init_config(&machine, DISK_BYTES, true, &config);
	host_log_level(LOG_ERROR);
	random_seed(&random, 8);
	owner_init(&owner, "driver", false);
	cache_machine_fill(&machine);
	host_clock_set(HOST_CLOCK_SKIPPING);
	/* Too much of each block to be moved. */
	while (cache_machine_statistics(&machine)->dirty_pages < writeback_limits(&machine.volume).background)
		cache_machine_write(&machine, &random, 3 * number++ * PAGE_BYTES, PAGE_BYTES);
	fake_block_hold(&machine.disk, true);
	for (uint64_t wait_ms = 1; wait_ms <= 1000; wait_ms *= 10) {
		const struct memory_request request = {
			.blocks = 1,
			.owner = &owner,
			.wait = MEMORY_WAIT_DEADLINE,
			.deadline_ns = platform_now_ns() + wait_ms * NS_PER_MS,
		};

		ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(&machine.memory), &request, 36, runs), STATUS_TIMEOUT);
		ck_assert_uint_eq(owner.blocks, 0);
		ck_assert_uint_eq(atomic_load(&machine.memory.reclaim.pending_blocks), 0);
	}
	ck_assert_uint_le(machine.memory.reclaim.statistics.late_ns_max, NS_PER_MS);
	fake_block_hold(&machine.disk, false);
	host_clock_set(HOST_CLOCK_REAL);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK); /* what was held is under way */
	cache_machine_fini(&machine);
}
END_TEST

/* Writing -------------------------------------------------------------------------------------- */

START_TEST(a_block_is_written_in_the_order_of_the_disk)
{
	struct cache_machine machine;
	struct random random;
	struct pageblock *pageblock;
	uint64_t last = 0;

	cache_machine_init(&machine, DISK_BYTES, true);
	random_seed(&random, 5);
	/* One block, whose pages lie anywhere on the disk. */
	for (unsigned i = 0; i < PAGES_PER_BLOCK / 2; i++)
		cache_machine_write(&machine, &random, random_below(&random, DISK_BYTES / PAGE_BYTES) * PAGE_BYTES, PAGE_BYTES);
	pageblock = machine.volume.eviction.heap.open[QUEUE_PROBATION];
	fake_block_log(&machine.disk);
	ck_assert(page_heap_hold(&machine.volume, pageblock));
	while (cache_machine_statistics(&machine)->dirty_pages > 0)
		(void)pageout_write_block(&machine.volume, pageblock);
	page_heap_let_go(&machine.volume, pageblock);
	ck_assert_uint_gt(fake_block_log_count(&machine.disk), 100);
	for (size_t i = 0; i < machine.disk.log_count; i++) {
		ck_assert_uint_gt(machine.disk.log[i].offset_bytes + 1, last);
		last = machine.disk.log[i].offset_bytes;
	}
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(the_rate_grows_without_a_step)
{
	const uint64_t background = 1000, max = 2000;
	uint32_t before = 0;

	for (uint64_t dirty = 0; dirty <= 3000; dirty++) {
		const uint32_t rate = writeback_rate(dirty, background, max);

		ck_assert_uint_ge(rate, before);
		ck_assert_uint_le(rate - before, 2);
		ck_assert(rate == 0 || dirty > 1500);
		before = rate;
	}
	/* Where pages are written as fast as they come lies before the limit. */
	ck_assert_uint_ge(writeback_rate(1800, background, max), RATE_PAGE);
	ck_assert_uint_eq(before, 2 * RATE_PAGE);
}
END_TEST

/*
 * Nothing can be written, so who pays does not wait; but the rate is that of a page just below the
 * limit.
 */
#define WRITERS 3
#define CHARGES 100000

static void dirty_often(void *context, unsigned index)
{
	struct volume *volume = context;

	(void)index;
	for (unsigned i = 0; i < CHARGES; i++) {
		spinlock_lock(&volume->writeback.lock);
		writeback_dirtied(volume);
		atomic_fetch_sub(&volume->counts.dirty_pages, 1);
		atomic_fetch_sub(&volume->pagecache->writeback.dirty_pages, 1);
		spinlock_unlock(&volume->writeback.lock);
		ck_assert_int_eq(writeback_throttle(&volume->node, 0, 1), STATUS_OK);
	}
}

START_TEST(threads_pay_what_they_owe)
{
	struct cache_machine machine;
	struct volume *const volume = &machine.volume;

	cache_machine_init(&machine, DISK_BYTES, false);
	const struct dirty_limits limits = writeback_limits(volume);
	const uint64_t dirty = limits.max - 1;
	const uint64_t rate = writeback_rate(dirty, limits.background, limits.max);
	atomic_store(&volume->counts.dirty_pages, dirty - 1);
	atomic_store(&machine.pagecache.writeback.dirty_pages, dirty - 1);
	host_threads_run(WRITERS, dirty_often, volume);
	atomic_store(&volume->counts.dirty_pages, 0);
	atomic_store(&machine.pagecache.writeback.dirty_pages, 0);
	ck_assert_uint_eq(atomic_load(&volume->writeback.paid_pages) * RATE_PAGE + atomic_load(&volume->writeback.balance),
			  WRITERS * CHARGES * rate);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("reclaim_cache", cleaning_needs_no_memory, places_are_emptied_without_a_loss,
	       runs_take_the_places_of_cold_blocks_without_copies, a_window_is_worth_some_moves,
	       threads_empty_their_places_beside_each_other, the_migration_reserve_is_there_for_moves,
	       threads_use_another_disk_while_one_is_silent, threads_do_not_wait_for_a_flush_of_another_disk,
	       a_deadline_is_kept_on_a_silent_disk, a_block_is_written_in_the_order_of_the_disk, the_rate_grows_without_a_step,
	       threads_pay_what_they_owe)
