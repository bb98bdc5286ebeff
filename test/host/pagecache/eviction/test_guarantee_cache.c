// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guarantee with the page cache as the donor: what is loaned still caches, and is there when it
 * is taken.
 */
#include <string.h>

#include "fake/cache_fixture.h"
#include "fake/guarantee_fixture.h"
#include "heap/dma/dma_quarantine.h"
#include "host/host_test.h"
#include "pagecache/eviction/cache_minimum.h"
#include "pagecache/eviction/evict.h"
#include "pagecache/eviction/loan.h"

static const struct device device = { .name = "camera", .dma_mask = UINT64_MAX };

static const struct dma_request piece_request = { .bytes = PIECE_BYTES, .segments_max = 1, .wait = MEMORY_WAIT_NEVER };

static void keep(struct cache_machine *machine)
{
	while (guarantee_refill(&machine->memory.guarantee))
		;
}

/* Every page is cached that fits, and all of the guarantee is on loan. */
static void fill_and_loan(struct cache_machine *machine)
{
	cache_machine_init_guarantee(machine, DISK_BYTES, false, &pieces_config);
	/* Each piece that is loaned leaves room for the cache to grow. */
	for (unsigned i = 0; i <= PIECES; i++) {
		cache_machine_fill(machine);
		keep(machine);
	}
	ck_assert_uint_ge(guarantee_statistics(&machine->memory.guarantee).loaned, PIECES);
	ck_assert(pagecache_is_valid(&machine->pagecache));
	ck_assert(memory_is_valid(&machine->memory));
}

START_TEST(what_is_loaned_still_caches)
{
	struct cache_machine machine;
	struct pagecache_statistics before, after;

	fill_and_loan(&machine);
	before = *cache_machine_statistics(&machine);
	for (uint64_t number = before.inserted_pages; number-- > 0;)
		cache_machine_read(&machine, number * PAGE_BYTES, PAGE_BYTES);
	after = *cache_machine_statistics(&machine);
	ck_assert_uint_eq(after.misses, before.misses);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(loaned_pages_that_are_written_move_out)
{
	struct cache_machine machine;
	struct random random;

	random_seed(&random, 2);
	fill_and_loan(&machine);
	for (unsigned i = 0; i < 4000; i++)
		cache_machine_write(&machine, &random, random_below(&random, DISK_BYTES - PAGE_BYTES), 100);
	keep(&machine);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert(memory_is_valid(&machine.memory));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(the_guarantee_is_taken_from_the_cache)
{
	struct cache_machine machine;
	struct dma_buffer *buffers[PIECES];

	fill_and_loan(&machine);
	platform_preempt_disable();
	for (unsigned i = 0; i < PIECES; i++) {
		ck_assert_int_eq(dma_alloc(memory_dma(&machine.memory), &device, &piece_request, &buffers[i]), STATUS_OK);
		memset(buffers[i]->memory, 0xa5, buffers[i]->bytes);
	}
	platform_preempt_enable();
	/* What was there is read again. */
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += MIB)
		cache_machine_read(&machine, offset, MIB);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(&machine.memory), &device), PIECES);
	keep(&machine);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert(memory_is_valid(&machine.memory));
	for (unsigned i = 0; i < PIECES; i++)
		dma_free(memory_dma(&machine.memory), buffers[i]);
	keep(&machine);
	ck_assert_uint_ge(guarantee_statistics(&machine.memory.guarantee).free +
				  guarantee_statistics(&machine.memory.guarantee).loaned,
			  PIECES);
	cache_machine_fini(&machine);
}
END_TEST

/* Pages of the volume that are cached and not loaned. */
static uint64_t own_pages(struct cache_machine *machine)
{
	return atomic_load(&machine->volume.counts.cached_pages) - atomic_load(&machine->volume.eviction.heap.loaned_pages);
}

/*
 * Neither a drain nor a loan takes the volume below what it keeps, also when each of them alone
 * would not.
 */
START_TEST(what_is_loaned_is_not_what_is_kept)
{
	static const struct reclaim_target everything = { .bytes = MEMORY_BYTES,
							  .highest = { UINT64_MAX },
							  .deadline_ns = PLATFORM_FOREVER };
	const uint64_t keep_pages = KEEP_BYTES / PAGE_BYTES;
	struct cache_machine machine;
	struct random random;
	uint64_t drained;

	random_seed(&random, 3);
	fill_and_loan(&machine);
	/* What moves out of loaned blocks leaves room in them. */
	for (unsigned i = 0; i < 2000; i++)
		cache_machine_write(&machine, &random, random_below(&random, DISK_BYTES - PAGE_BYTES), 100);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert(cache_minimum_claim(&machine.volume, KEEP_BYTES, 3 * PAGES_PER_BLOCK));
	drained = evict_blocks(&machine.volume, &everything, KEEP_BYTES);
	ck_assert_uint_gt(drained, 0);
	ck_assert_uint_ge(own_pages(&machine), keep_pages + 3 * PAGES_PER_BLOCK);
	ck_assert_uint_lt(own_pages(&machine), keep_pages + 4 * PAGES_PER_BLOCK);

	/* The refill task could have a piece more, but for the claim. */
	guarantee_recall(&machine.memory.guarantee, &machine.volume.eviction.heap.owner);
	ck_assert(cache_minimum_claim(&machine.volume, KEEP_BYTES, own_pages(&machine) - keep_pages - 5 * PAGES_PER_BLOCK));
	keep(&machine);
	ck_assert_uint_ge(own_pages(&machine), atomic_load(&machine.volume.eviction.claimed_pages) + keep_pages);
	cache_minimum_let_go(&machine.volume, atomic_load(&machine.volume.eviction.claimed_pages));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_device_at_work_keeps_its_pieces)
{
	struct cache_machine machine;
	struct memory *memory = &machine.memory;
	struct dma_buffer *buffer = NULL;
	uint64_t bytes = 0;

	fill_and_loan(&machine);
	for (; guarantee_statistics(&memory->guarantee).out < 2; bytes += PIECE_BYTES) {
		platform_preempt_disable();
		ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &piece_request, &buffer), STATUS_OK);
		platform_preempt_enable();
	}
	ck_assert_uint_eq(dma_quarantine(memory_dma(memory), &device), bytes);
	dma_free(memory_dma(memory), buffer);
	ck_assert_uint_eq(dma_device_leaks(memory_dma(memory), &device), 0);
	ck_assert_uint_eq(dma_quarantine_bytes(memory_dma(memory), &device), bytes);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, 2);
	ck_assert_uint_eq(dma_quarantine_end(memory_dma(memory), &device), bytes);
	ck_assert_uint_eq(guarantee_statistics(&memory->guarantee).out, 0);
	keep(&machine);
	ck_assert(memory_is_valid(memory));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_detached_volume_gets_back_what_it_loaned)
{
	struct cache_machine machine;
	struct dma_buffer *buffer;

	fill_and_loan(&machine);
	platform_preempt_disable();
	ck_assert_int_eq(dma_alloc(memory_dma(&machine.memory), &device, &piece_request, &buffer), STATUS_OK);
	platform_preempt_enable();
	ck_assert_int_eq(volume_detach(&machine.volume, false), STATUS_OK);
	ck_assert(memory_is_valid(&machine.memory));
	dma_free(memory_dma(&machine.memory), buffer);
	keep(&machine);
	cache_machine_free(&machine);
}
END_TEST

/* Once round while the cache turns over, and no faster. */
START_TEST(the_cold_end_moves_on)
{
	const uint64_t turns = 6;
	struct cache_machine machine;
	uint64_t exchanged;

	fill_and_loan(&machine);
	exchanged = guarantee_statistics(&machine.memory.guarantee).exchanged;
	for (uint64_t read = 0; read < turns * MEMORY_BYTES; read += MIB) {
		cache_machine_read(&machine, read % DISK_BYTES, MIB);
		(void)guarantee_refill(&machine.memory.guarantee);
	}
	exchanged = guarantee_statistics(&machine.memory.guarantee).exchanged - exchanged;
	ck_assert_uint_gt(exchanged, 10);
	ck_assert_uint_ge(exchanged, (turns - 1) * PIECES);
	ck_assert_uint_le(exchanged, (turns + 1) * PIECES);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}
END_TEST

/* Asks the cache for a piece as the refill task does. */
static bool loan(struct cache_machine *machine, const struct loan_request *wanted, struct phys_addr *start)
{
	struct guarantee_donor *donor = &machine->pagecache.eviction.donor;
	bool loaned;

	mutex_lock(&machine->memory.guarantee.refill);
	loaned = donor->loan(donor, wanted, start);
	mutex_unlock(&machine->memory.guarantee.refill);
	return loaned;
}

static void recall(struct cache_machine *machine, struct phys_addr start)
{
	struct guarantee_donor *donor = &machine->pagecache.eviction.donor;

	for (uint64_t at = start.value; at < start.value + PIECE_BYTES; at += BLOCK_BYTES)
		donor->recall(donor, (struct phys_addr){ at });
}

static const struct loan_request any_piece = {
	.avoid_first = { 1 },
	.deadline_ns = PLATFORM_FOREVER,
};

START_TEST(nothing_is_loaned_after_the_deadline)
{
	struct loan_request late = any_piece;
	struct cache_machine machine;
	struct phys_addr start;

	fill_and_loan(&machine);
	late.deadline_ns = platform_now_ns();
	ck_assert(!loan(&machine, &late, &start));
	ck_assert(loan(&machine, &any_piece, &start));
	recall(&machine, start);
	cache_machine_fini(&machine);
}
END_TEST

/* However many blocks are colder that must not be. */
START_TEST(what_is_colder_but_outside_of_the_limits_is_passed_by)
{
	struct cache_machine machine;
	struct phys_addr start;
	uint64_t lowest = UINT64_MAX, highest = 0;

	cache_machine_init_sized(&machine, 120 * BLOCK_BYTES, 120 * BLOCK_BYTES, &pieces_config);
	cache_machine_fill(&machine);
	const uint64_t pages = cache_machine_statistics(&machine)->cached_pages;
	for (uint64_t number = 0; number < pages; number += PAGES_PER_BLOCK) {
		lowest = MIN(lowest, cache_machine_block(&machine, number));
		highest = MAX(highest, cache_machine_block(&machine, number));
	}
	struct loan_request wanted = any_piece;
	wanted.avoid_first.value = lowest;
	wanted.avoid_last.value = highest - 8 * BLOCK_BYTES - 1;
	for (uint64_t number = 0; number < pages; number++)
		for (unsigned i = 0; cache_machine_block(&machine, number) > wanted.avoid_last.value && i < 3; i++)
			cache_machine_read(&machine, number * PAGE_BYTES, PAGE_BYTES);
	ck_assert(loan(&machine, &wanted, &start));
	ck_assert_uint_gt(start.value, wanted.avoid_last.value);
	recall(&machine, start);
	cache_machine_fini(&machine);
}
END_TEST

/* What handlers take of it may be loaned again at once: it says nothing about the next drain. */
START_TEST(only_what_drains_take_is_demand)
{
	struct phys_addr pieces[PIECES];
	struct cache_machine machine;
	const struct page_heap *heap = &machine.volume.eviction.heap;

	fill_and_loan(&machine);
	for (unsigned i = 0; i < PIECES; i++)
		ck_assert(guarantee_piece_take(&machine.memory.guarantee, &pieces[i]));
	keep(&machine);
	ck_assert_uint_gt(heap->gone_blocks, 1);
	ck_assert_uint_eq(heap->demand_blocks, 0);
	ck_assert_uint_eq(memory_drain(&machine.memory, BLOCK_BYTES, false), BLOCK_BYTES);
	ck_assert_uint_eq(heap->demand_blocks, 1);
	for (unsigned i = 0; i < PIECES; i++)
		guarantee_give(&machine.memory.guarantee, pieces[i]);
	cache_machine_fini(&machine);
}
END_TEST

/* Of a block that is loaned, one that is cached. */
static struct page *loaned_page(struct cache_machine *machine)
{
	const struct pageblock_table *table = &machine->pagecache.pages.table;

	for (uint64_t i = 0; i < table->count; i++)
		for (uint32_t j = 0; table->blocks[i] && pageblock_is_loaned(table->blocks[i]) && j < PAGES_PER_BLOCK; j++)
			if (page_is_idle(page_state(&table->blocks[i]->pages[j])))
				return &table->blocks[i]->pages[j];
	ck_abort_msg("no page is on loan");
	return NULL;
}

/*
 * What index_pin does to a page of a loaned block before it lets it go again; its task may be
 * preempted in between for long.
 */
static struct page *pin_in_passing(struct cache_machine *machine)
{
	struct page *page = loaned_page(machine);
	uint32_t state = page_state(page);

	ck_assert(page_try_change(page, &state, state + 1));
	return page;
}

START_TEST(a_pin_in_passing_keeps_no_reader_waiting)
{
	struct cache_machine machine;
	struct lookup lookup;

	fill_and_loan(&machine);
	struct page *page = pin_in_passing(&machine);
	const uint64_t key = page_key(page);
	const uint64_t loaned_pages = atomic_load(&machine.volume.eviction.heap.loaned_pages);
	struct page *moved = page_pin(&machine.volume, key, &lookup);

	ck_assert_ptr_nonnull(moved);
	ck_assert_ptr_ne(moved, page);
	ck_assert_int_eq(memcmp(page_memory(moved), machine.model + page_key_number(key) * PAGE_BYTES, PAGE_BYTES), 0);
	page_unpin(moved);
	ck_assert_uint_eq(atomic_load(&machine.volume.eviction.heap.loaned_pages), loaned_pages - 1);
	ck_assert_uint_eq(page_content(page_state(page)), PAGE_GONE);
	page_unpin(page);
	ck_assert_uint_eq(page_state(page), page_state_make(PAGE_FREE, 0));
	cache_machine_fini(&machine);
}
END_TEST

/*
 * The block goes to the device, back to the memory, and to the cache again, while the pin is still
 * there.
 */
START_TEST(a_pin_in_passing_keeps_no_piece_from_being_reaped)
{
	struct phys_addr pieces[PIECES];
	struct cache_machine machine;
	unsigned taken = 0;

	fill_and_loan(&machine);
	struct guarantee *guarantee = &machine.memory.guarantee;
	struct page *page = pin_in_passing(&machine);
	while (pageblock_is_loaned(pageblock_of(page)) && taken < PIECES)
		ck_assert(guarantee_piece_take(guarantee, &pieces[taken++]));
	ck_assert(!pageblock_is_loaned(pageblock_of(page)));
	keep(&machine);
	ck_assert_ptr_null(atomic_load(&pageblock_of(page)->volume));
	ck_assert_uint_eq(page_content(page_state(page)), PAGE_GONE);
	while (taken > 0)
		guarantee_give(guarantee, pieces[--taken]);
	for (uint64_t read = 0; read < 2 * MEMORY_BYTES; read += MIB) {
		cache_machine_read(&machine, read % DISK_BYTES, MIB);
		(void)guarantee_refill(guarantee);
	}
	ck_assert_uint_eq(page_content(page_state(page)), PAGE_GONE);
	page_unpin(page);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}
END_TEST

/* Of all that the cache has: blocks that are loaned, or just being refilled, included. */
static uint64_t empty_frames(struct cache_machine *machine)
{
	const uint64_t frames = atomic_load(&machine->volume.eviction.heap.blocks) * PAGES_PER_BLOCK;

	return frames - cache_machine_statistics(machine)->cached_pages;
}

/* The cursors come by everywhere, though what is loaned comes back where they go on. */
START_TEST(what_has_lost_pages_is_filled_again)
{
	struct cache_machine machine;
	uint64_t cached_bytes;

	fill_and_loan(&machine);
	cached_bytes = cache_machine_statistics(&machine)->cached_pages * PAGE_BYTES;
	for (uint64_t number = 0; number < cached_bytes / PAGE_BYTES / 2; number++)
		(void)node_evict_page(&machine.volume.node, number);
	ck_assert_uint_gt(empty_frames(&machine), cached_bytes / PAGE_BYTES / 4);
	for (uint64_t read = 0; read < 2 * cached_bytes; read += MIB) {
		cache_machine_read(&machine, (cached_bytes + read) % DISK_BYTES, MIB);
		(void)guarantee_refill(&machine.memory.guarantee);
	}
	ck_assert_uint_le(empty_frames(&machine), 2 * PAGES_PER_BLOCK);
	cache_machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("guarantee_cache", what_is_loaned_still_caches, loaned_pages_that_are_written_move_out,
	       the_guarantee_is_taken_from_the_cache, what_is_loaned_is_not_what_is_kept, a_device_at_work_keeps_its_pieces,
	       a_detached_volume_gets_back_what_it_loaned, the_cold_end_moves_on, nothing_is_loaned_after_the_deadline,
	       only_what_drains_take_is_demand, what_is_colder_but_outside_of_the_limits_is_passed_by,
	       what_has_lost_pages_is_filled_again, a_pin_in_passing_keeps_no_reader_waiting,
	       a_pin_in_passing_keeps_no_piece_from_being_reaped)
