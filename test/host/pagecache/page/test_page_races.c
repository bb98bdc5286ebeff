// SPDX-License-Identifier: BSD-2-Clause
/* Interleavings that threads meet once in a million, step by step. */
#include "fake/cache_fixture.h"
#include "host/host_test.h"
#include "pagecache/eviction/evict.h"
#include "pagecache/eviction/replacement.h"
#include "pagecache/page/exclusive.h"

/* A frame of an isolated block, with a page that can be dropped. */
static struct page *cached_page(struct pageblock *pageblock)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		if (page_is(page_state(&pageblock->pages[i]), PAGE_CLEAN))
			return &pageblock->pages[i];
	platform_panic("no page in the block");
}

/*
 * The cursor has come to a frame before its block was isolated, looks at it after a drain has
 * dropped the page, and wins it.
 */
START_TEST(a_frame_that_was_dropped_under_the_cursor_has_no_entry)
{
	const struct reclaim_target everywhere = { .highest = { UINT64_MAX } };
	struct cache_machine machine;
	struct page_counts counts;
	struct pageblock *pageblock;
	struct page *page;

	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 2 * BLOCK_BYTES);
	pageblock = page_heap_isolate(&machine.volume, &everywhere, true, &counts);
	ck_assert_ptr_nonnull(pageblock);
	page = cached_page(pageblock);
	ck_assert(page_drop(&machine.volume, page));
	ck_assert(replacement_visit(&machine.volume, page, QUEUE_PROBATION));
	page_heap_put_back(&machine.volume.eviction.heap, pageblock);
	ck_assert_uint_eq(atomic_load(&page->generation), 0);
	ck_assert(page_insert(&machine.volume.node, page, QUEUE_PROBATION, 10000, page_state_make(PAGE_WRITING, 1)));
	page_discard(&machine.volume, page);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}
END_TEST

/* A flush that has found the page in another task's hands sleeps until `progress` changes. */
START_TEST(forgetting_a_dirty_page_wakes_flushes)
{
	struct cache_machine machine;
	struct page *page = NULL;
	static char buffer[PAGE_BYTES];
	uint32_t before;

	cache_machine_init(&machine, DISK_BYTES, false);
	ck_assert_int_eq(node_write(&machine.volume.node, 0, buffer, sizeof(buffer)), STATUS_OK);
	ck_assert_int_eq(page_lock_writing(&machine.volume.node, 0, true, &page), STATUS_OK);
	before = atomic_load(&machine.volume.writeback.progress);
	page_discard(&machine.volume, page);
	ck_assert_uint_ne(atomic_load(&machine.volume.writeback.progress), before);
	ck_assert_uint_eq(cache_machine_statistics(&machine)->dirty_pages, 0);
	cache_machine_fini(&machine);
}
END_TEST

/* What the background writer does with a block that it has looked up some time ago. */
START_TEST(a_block_that_went_to_another_volume_is_not_held)
{
	const struct volume_config config = { .preference = 10 };
	const struct reclaim_target everywhere = { .highest = { UINT64_MAX } };
	struct cache_machine machine;
	struct page_counts counts;
	struct pageblock *pageblock;
	struct fake_block disk;
	struct volume other;

	cache_machine_init(&machine, DISK_BYTES, false);
	fake_block_init(&disk, DISK_BYTES, false);
	ck_assert_int_eq(volume_attach(&other, &machine.pagecache, &disk.device, "other", 0, DISK_BYTES, &config), STATUS_OK);
	cache_machine_read(&machine, 0, PAGE_BYTES);
	pageblock =
		pageblock_table_block(&machine.pagecache.pages.table, (struct phys_addr){ cache_machine_block(&machine, 0) });
	ck_assert(!page_heap_hold(&other, pageblock));
	ck_assert(page_heap_hold(&machine.volume, pageblock));
	ck_assert_uint_eq(volume_drop(&machine.volume), 1); /* the page goes, the block does not */
	ck_assert_uint_eq(atomic_load(&machine.volume.eviction.heap.blocks), 1);
	page_heap_let_go(&machine.volume, pageblock);
	ck_assert_ptr_eq(page_heap_isolate(&machine.volume, &everywhere, true, &counts), pageblock);
	ck_assert(!page_heap_hold(&machine.volume, pageblock));
	ck_assert(page_heap_release(&machine.volume, pageblock));
	ck_assert(!page_heap_hold(&machine.volume, pageblock));
	ck_assert_int_eq(volume_detach(&other, false), STATUS_OK);
	fake_block_fini(&disk);
	cache_machine_fini(&machine);
}
END_TEST

#define PAGES 8

struct passing {
	struct cache_machine machine;
	struct page *page; /* the last one that is cached, pinned */
};

/*
 * One task detaches the volume; another one has found the page on a stale way, and has been
 * preempted since.
 */
static void detach_or_unpin(void *context, unsigned index)
{
	struct passing *passing = context;

	if (index == 0) {
		ck_assert_int_eq(volume_detach(&passing->machine.volume, false), STATUS_OK);
		return;
	}
	while (atomic_load(&passing->machine.volume.counts.cached_pages) > 1)
		platform_yield();
	page_unpin(passing->page);
}

START_TEST(a_detach_waits_for_pins_in_passing)
{
	static struct passing passing;
	struct cache_machine *machine = &passing.machine;
	uint32_t state;

	cache_machine_init(machine, DISK_BYTES, false);
	cache_machine_read(machine, 0, (uint64_t)PAGES * PAGE_BYTES);
	passing.page = index_find(&machine->pagecache.pages.index, page_key_make(machine->volume.node.id, PAGES - 1), &state);
	ck_assert_ptr_nonnull(passing.page);
	ck_assert(page_try_change(passing.page, &state, state + 1));
	host_threads_run(2, detach_or_unpin, &passing);
	cache_machine_free(machine);
}
END_TEST

/*
 * A move is under way: the page is in its old frame no more, and not in the new one yet. A discard
 * of all comes by; it may end only after the move, and without the page. The yields are for one
 * that does not wait.
 */
#define YIELDS 1000

struct discarding {
	struct cache_machine machine;
	_Atomic int stage; /* 1: the move has begun; 2: the discard is over */
};

static void move_slowly(struct discarding *discarding)
{
	struct volume *volume = &discarding->machine.volume;
	struct index *index = &volume->pagecache->pages.index;
	uint32_t state;
	struct page *from = index_find(index, page_key_make(volume->node.id, 0), &state);
	struct page *to = page_heap_take(volume, QUEUE_MAIN);
	struct index_stripe *stripe;

	ck_assert(from && to);
	stripe = index_lock_page(index, from);
	spinlock_lock(&volume->writeback.lock);
	ck_assert(page_try_change(from, &state, page_state_make(PAGE_TAKEN, 0)));
	volume->node.moves++;
	atomic_store(&discarding->stage, 1);
	for (unsigned i = 0; i < YIELDS && atomic_load(&discarding->stage) != 2; i++)
		platform_yield();
	index_replace_locked(index, from, to);
	page_set(to, state);
	spinlock_unlock(&volume->writeback.lock);
	spinlock_unlock(&stripe->lock);
	page_set_free(from);
}

static void move_or_discard(void *context, unsigned index)
{
	struct discarding *discarding = context;

	if (index == 0) {
		move_slowly(discarding);
		return;
	}
	host_wait_for(&discarding->stage, 1);
	ck_assert_int_eq(node_discard(&discarding->machine.volume.node, 0, DISK_BYTES), STATUS_OK);
	atomic_store(&discarding->stage, 2);
}

START_TEST(a_discard_of_what_is_being_moved_waits_for_the_move)
{
	static struct discarding discarding;

	cache_machine_init(&discarding.machine, DISK_BYTES, false);
	cache_machine_read(&discarding.machine, 0, PAGE_BYTES);
	host_threads_run(2, move_or_discard, &discarding);
	ck_assert_uint_eq(cache_machine_statistics(&discarding.machine)->cached_pages, 0);
	cache_machine_fini(&discarding.machine);
}
END_TEST

/* What evict_blocks takes of a block. */
static uint64_t evict_block(struct cache_machine *machine, const struct pageblock *pageblock, bool exchange)
{
	uint32_t unmovable = 0;
	const struct reclaim_target target = {
		.bytes = BLOCK_BYTES,
		.lowest = pageblock->block,
		.highest = { pageblock->block.value + BLOCK_BYTES - 1 },
		.unmovable = &unmovable,
		.exchange = exchange,
		.deadline_ns = PLATFORM_FOREVER,
	};

	return evict_blocks(&machine->volume, &target, 0);
}

#define OTHERS_MAX 512

/* Takes all free blocks but this one; returns how many. */
static unsigned take_others(struct cache_machine *machine, struct owner *owner, struct phys_addr block,
			    struct phys_addr taken[OTHERS_MAX])
{
	const struct run_request request = { .blocks = 1, .owner = owner };
	unsigned count = 0;

	while (block_heap_alloc(&machine->memory.blocks, &request, &taken[count]) == STATUS_OK)
		if (taken[count].value != block.value)
			count++;
	memory_blocks_free(&machine->memory, block);
	return count;
}

/*
 * A reader without a pin stands still in the middle of its copy, while its page is dropped with its
 * block, and the block comes back with pages that are moved to it.
 */
START_TEST(a_copy_does_not_count_after_an_exchange_into_its_frame)
{
	struct cache_machine machine;
	struct page_snapshot snapshot, other;
	struct phys_addr taken[OTHERS_MAX];
	struct owner owner;
	unsigned count;
	struct index *index = &machine.pagecache.pages.index;

	owner_init(&owner, "others", false);
	cache_machine_init(&machine, DISK_BYTES, false);
	cache_machine_read(&machine, 0, 4 * BLOCK_BYTES);
	ck_assert_ptr_nonnull(index_snapshot(index, page_key_make(machine.volume.node.id, 0), &snapshot));
	ck_assert_ptr_nonnull(index_snapshot(index, page_key_make(machine.volume.node.id, 2 * PAGES_PER_BLOCK), &other));
	ck_assert_ptr_ne(snapshot.pageblock, other.pageblock);
	ck_assert(page_snapshot_is_whole(&snapshot));
	ck_assert_uint_eq(evict_block(&machine, snapshot.pageblock, false), BLOCK_BYTES);
	count = take_others(&machine, &owner, snapshot.pageblock->block, taken);
	ck_assert_uint_eq(evict_block(&machine, other.pageblock, true), BLOCK_BYTES);
	ck_assert(page_is(page_state(snapshot.page), PAGE_CLEAN));
	ck_assert(!page_snapshot_is_whole(&snapshot));
	while (count > 0)
		memory_blocks_free(&machine.memory, taken[--count]);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("page races", a_copy_does_not_count_after_an_exchange_into_its_frame,
	       a_block_that_went_to_another_volume_is_not_held, forgetting_a_dirty_page_wakes_flushes,
	       a_frame_that_was_dropped_under_the_cursor_has_no_entry, a_detach_waits_for_pins_in_passing,
	       a_discard_of_what_is_being_moved_waits_for_the_move)
