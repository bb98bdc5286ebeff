/* The guarantee: against a model with a lender that only notes what it is told, then with the page cache as the lender. */
#include <stdlib.h>
#include <string.h>

#include "fake/cache_fixture.h"
#include "fake/heap_fixture.h"
#include "heap/dma_quarantine.h"
#include "heap/window.h"
#include "host/host_test.h"
#include "pagecache/evict.h"
#include "pagecache/keep.h"

#define PIECES      4
#define PIECE_BYTES (2 * BLOCK_BYTES)

static const struct guarantee_config config = { .bytes = PIECES * PIECE_BYTES, .piece_bytes = PIECE_BYTES };
static const struct block_constraints anywhere = { 0 };
static const struct device device = { .name = "camera", .dma_mask = UINT64_MAX };

static struct guarantee_statistics statistics_of(struct guarantee *guarantee)
{
	struct guarantee_statistics statistics;

	guarantee_statistics(guarantee, &statistics);
	return statistics;
}

/* A lender that notes what it is told -------------------------------------------------------------------------------------- */

#define LENDER_BLOCKS 64

enum note {
	OWN,
	LENT,
	REVOKED,
	FORGOTTEN,
};

struct noting_lender {
	struct guarantee_lender lender;
	struct memory *memory;
	struct owner owner;
	uint64_t start;
	unsigned turns;   /* that it takes to lend a piece */
	uint64_t work_ns; /* likewise, on a clock that is turned by hand */
	bool refuses;
	unsigned asked;
	enum note notes[LENDER_BLOCKS];
};

static enum note *note_of(struct guarantee_lender *self, struct phys_addr block)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);

	return &lender->notes[(block.value - lender->start) >> BLOCK_SHIFT];
}

static void note(struct guarantee_lender *self, struct phys_addr block, enum note before, enum note after)
{
	ck_assert_int_eq(*note_of(self, block), before);
	*note_of(self, block) = after;
}

/* Takes its blocks from the heap when they are wanted; above what is to be avoided. */
static bool noting_lend(struct guarantee_lender *self, const struct guarantee_wish *wish, struct phys_addr *start)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);
	const struct run_request request = {
		.blocks = 2,
		.constraints = { .lowest = { wish->avoid_last.value + 1 }, .alignment_bytes = PIECE_BYTES },
		.owner = &lender->owner,
	};

	lender->asked++;
	for (unsigned i = 0; i < lender->turns; i++)
		guarantee_turn(&lender->memory->guarantee);
	if (lender->work_ns > 0)
		host_clock_turn(lender->work_ns);
	if (lender->refuses || block_heap_alloc(&lender->memory->blocks, &request, start) != STATUS_OK)
		return false;
	for (unsigned i = 0; i < 2; i++)
		*note_of(self, (struct phys_addr){ start->value + i * BLOCK_BYTES }) = LENT;
	return true;
}

static unsigned noting_idle_percent(struct guarantee_lender *self, struct phys_addr block)
{
	ck_assert_int_eq(*note_of(self, block), LENT);
	return 0;
}

static void noting_take_back(struct guarantee_lender *self, struct phys_addr block)
{
	struct noting_lender *lender = container_of(self, struct noting_lender, lender);

	note(self, block, LENT, OWN);
	if (block.value % PIECE_BYTES == 0)
		memory_blocks_free(lender->memory, block);
}

static void noting_revoke(struct guarantee_lender *self, struct phys_addr block)
{
	note(self, block, LENT, REVOKED);
}

static void noting_settle(struct guarantee_lender *self, struct phys_addr block)
{
	note(self, block, REVOKED, FORGOTTEN);
}

static void noting_init(struct noting_lender *lender, struct machine *machine)
{
	*lender = (struct noting_lender){
		.lender = { noting_lend, noting_idle_percent, noting_take_back, noting_revoke, noting_settle },
		.memory = &machine->memory,
		.start = MACHINE_START,
	};
	owner_init(&lender->owner, "lender", true);
	guarantee_set_lender(&machine->memory.guarantee, &lender->lender);
}

static void machine_with_guarantee(struct machine *machine, uint64_t blocks)
{
	machine_init(machine, MACHINE_START, blocks, 0, 0);
	ck_assert_int_eq(guarantee_init(&machine->memory.guarantee, &machine->memory, &config), STATUS_OK);
}

/* Takes until nothing is left, and says how many there were. */
static unsigned take_all(struct guarantee *guarantee, struct guarantee_slot *slots[PIECES + 1])
{
	unsigned taken = 0;

	while (taken <= PIECES && (slots[taken] = guarantee_take(guarantee, &anywhere, PIECE_BYTES, &device)) != NULL)
		taken++;
	return taken;
}

START_TEST(all_that_is_guaranteed_is_there_at_any_moment)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	struct guarantee_slot *slots[PIECES + 1];
	struct noting_lender lender;
	struct random random;
	unsigned out = 0;

	random_seed(&random, 1);
	machine_with_guarantee(&machine, LENDER_BLOCKS);
	noting_init(&lender, &machine);
	for (unsigned i = 0; i < 200000; i++) {
		const uint64_t what = random_below(&random, 10);

		if (what < 4 && out < PIECES) {
			slots[out] = guarantee_take(guarantee, &anywhere, PIECE_BYTES, &device);
			ck_assert_ptr_nonnull(slots[out]);
			memset(platform_virt(guarantee_start(slots[out])), 0, 64);
			out++;
		} else if (what < 7 && out > 0) {
			const uint64_t which = random_below(&random, out);

			guarantee_give(guarantee, slots[which]);
			slots[which] = slots[--out];
		} else if (what == 7) {
			guarantee_turn(guarantee);
		} else if (what == 8) {
			/* As the cache does when it grows: nothing is free. */
			machine.memory.config.low_bytes = random_below(&random, 2) * LENDER_BLOCKS * BLOCK_BYTES;
		} else {
			(void)guarantee_keep(guarantee);
			ck_assert(i % 16 != 0 || memory_is_valid(&machine.memory));
		}
	}
	while (out > 0)
		guarantee_give(guarantee, slots[--out]);
	ck_assert_uint_gt(statistics_of(guarantee).exchanged, 1000);
	guarantee_clear_lender(guarantee, &lender.lender);
	ck_assert_uint_eq(lender.owner.blocks, 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(no_more_than_is_guaranteed_counts)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	struct guarantee_slot *slots[PIECES + 1];
	unsigned taken;

	machine_with_guarantee(&machine, LENDER_BLOCKS);
	taken = take_all(guarantee, slots);
	ck_assert_uint_eq(taken, PIECES + 1); /* the one in reserve, too */
	ck_assert_uint_eq(statistics_of(guarantee).refused, 0);
	ck_assert_ptr_null(guarantee_take(guarantee, &anywhere, 64, &device));
	ck_assert_uint_eq(statistics_of(guarantee).refused, 1);
	ck_assert_int_eq(memory_fini(&machine.memory), STATUS_BUSY);
	guarantee_give(guarantee, slots[2]);
	ck_assert_ptr_eq(guarantee_take(guarantee, &anywhere, 64, &device), slots[2]);
	while (taken > 0)
		guarantee_give(guarantee, slots[--taken]);
	machine_fini(&machine);
}
END_TEST

/* Where everything is dirty, a block is filled with what was moved away for each one that is lent. */
START_TEST(lending_asks_for_no_more_lending)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	struct noting_lender lender;
	uint64_t exchanged;

	machine_with_guarantee(&machine, LENDER_BLOCKS);
	noting_init(&lender, &machine);
	machine.memory.config.low_bytes = LENDER_BLOCKS * BLOCK_BYTES;
	for (unsigned i = 0; i < 2 * PIECES; i++)
		(void)guarantee_keep(guarantee);
	lender.turns = 8;
	exchanged = statistics_of(guarantee).exchanged;
	/* One block in two: with each piece twice as many turns. */
	for (uint64_t turn = 0; turn < 2 * guarantee->piece_blocks; turn++) {
		ck_assert_uint_eq(statistics_of(guarantee).exchanged, exchanged);
		guarantee_turn(guarantee);
		(void)guarantee_keep(guarantee);
	}
	for (unsigned i = 0; i < 10; i++)
		(void)guarantee_keep(guarantee);
	ck_assert_uint_eq(statistics_of(guarantee).exchanged, exchanged + 1);
	guarantee_clear_lender(guarantee, &lender.lender);
	machine_fini(&machine);
}
END_TEST

START_TEST(limits_are_kept)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	const struct block_constraints below = { .highest = { MACHINE_START - 1 } };
	const struct block_constraints above = { .lowest = { MACHINE_START + LENDER_BLOCKS * BLOCK_BYTES } };
	const struct block_constraints coarse = { .alignment_bytes = 2 * LENDER_BLOCKS * BLOCK_BYTES };
	struct guarantee_slot *slot;

	machine_with_guarantee(&machine, LENDER_BLOCKS);
	ck_assert_ptr_null(guarantee_take(guarantee, &below, 64, &device));
	ck_assert_ptr_null(guarantee_take(guarantee, &above, 64, &device));
	ck_assert_ptr_null(guarantee_take(guarantee, &anywhere, PIECE_BYTES + 1, &device));
	ck_assert_uint_le(statistics_of(guarantee).steps_max, 2 * (PIECES + 2));
	slot = guarantee_take(guarantee, &coarse, 64, &device);
	ck_assert(!slot || guarantee_start(slot).value % coarse.alignment_bytes == 0);
	if (slot)
		guarantee_give(guarantee, slot);
	machine_fini(&machine);
}
END_TEST

START_TEST(impossible_configs_are_refused)
{
	static struct machine machine;
	struct guarantee guarantee;

	machine_init(&machine, MACHINE_START, LENDER_BLOCKS, 0, 0);
	ck_assert_int_eq(guarantee_init(&guarantee, &machine.memory,
					&(struct guarantee_config){ .bytes = GIB, .piece_bytes = BLOCK_BYTES }),
			 STATUS_INVALID);
	ck_assert_int_eq(
		guarantee_init(&guarantee, &machine.memory, &(struct guarantee_config){ .bytes = MIB, .piece_bytes = MIB }),
		STATUS_INVALID);
	ck_assert_int_eq(guarantee_init(&guarantee, &machine.memory,
					&(struct guarantee_config){ .bytes = MIB, .piece_bytes = 3 * BLOCK_BYTES }),
			 STATUS_INVALID);
	machine_fini(&machine);
}
END_TEST

START_TEST(a_run_through_it_moves_it_away)
{
	static struct machine machine;
	struct owner owner;
	const uint64_t half = LENDER_BLOCKS / 2;
	const struct memory_request block = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct memory_request run = block;
	struct phys_addr top, bottom;

	machine_with_guarantee(&machine, LENDER_BLOCKS);
	owner_init(&owner, "run", false);
	run.blocks = half;
	run.constraints.alignment_bytes = half * BLOCK_BYTES;
	/* The pieces lie in the lower half; the upper one has something that cannot be moved. */
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &block, &top), STATUS_OK);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &run, &bottom), STATUS_OK);
	ck_assert_uint_eq(bottom.value, MACHINE_START);
	ck_assert_uint_ge(statistics_of(&machine.memory.guarantee).free, PIECES);
	ck_assert(memory_is_valid(&machine.memory));
	memory_blocks_free(&machine.memory, top);
	memory_blocks_free(&machine.memory, bottom);
	machine_fini(&machine);
}
END_TEST

/*
 * Both windows have something in them that nobody gives, and when one is tried, the pieces go to the other. That is no
 * progress: the request sleeps between its rounds, or the clock would stand still for ever.
 */
START_TEST(pieces_do_not_move_to_and_fro_without_end)
{
	static struct machine machine;
	struct owner stubborn, owner;
	const uint64_t half = LENDER_BLOCKS / 2;
	struct memory_request run = {
		.blocks = half,
		.constraints.alignment_bytes = half * BLOCK_BYTES,
		.owner = &owner,
		.wait = MEMORY_WAIT_DEADLINE,
	};
	struct phys_addr in_the_way[2], address;

	host_clock_set(HOST_CLOCK_ALONE);
	/* The highest window is not for movable ones: the general heap has a block there. */
	machine_with_guarantee(&machine, 3 * half);
	owner_init(&stubborn, "stubborn", true);
	owner_init(&owner, "run", false);
	for (unsigned i = 0; i < 2; i++) {
		const struct run_request block = {
			.blocks = 1,
			.constraints.lowest = { MACHINE_START + i * half * BLOCK_BYTES },
			.owner = &stubborn,
		};

		ck_assert_int_eq(block_heap_alloc(&machine.memory.blocks, &block, &in_the_way[i]), STATUS_OK);
	}
	run.deadline_ns = platform_now_ns() + NS_PER_S;
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &run, &address), STATUS_TIMEOUT);
	ck_assert_uint_gt(statistics_of(&machine.memory.guarantee).exchanged, PIECES);
	ck_assert_uint_ge(statistics_of(&machine.memory.guarantee).free, PIECES);
	for (unsigned i = 0; i < 2; i++)
		memory_blocks_free(&machine.memory, in_the_way[i]);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &run, &address), STATUS_OK);
	memory_blocks_free(&machine.memory, address);
	machine_fini(&machine);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/* All pieces are lent, in the lowest blocks of the machine, which are to be emptied. */
#define LOWEST_BLOCKS (2 * (PIECES + 1) * 2)

static void lend_lowest(struct machine *machine, struct noting_lender *lender, struct reclaim_target *target)
{
	machine_with_guarantee(machine, LENDER_BLOCKS);
	noting_init(lender, machine);
	machine->memory.config.low_bytes = LENDER_BLOCKS * BLOCK_BYTES;
	for (unsigned i = 0; i < 2 * PIECES; i++)
		(void)guarantee_keep(&machine->memory.guarantee);
	ck_assert_uint_ge(statistics_of(&machine->memory.guarantee).lent, PIECES);
	lender->asked = 0;
	target->bytes = LOWEST_BLOCKS * BLOCK_BYTES;
	target->lowest.value = MACHINE_START;
	target->highest.value = MACHINE_START + LOWEST_BLOCKS * BLOCK_BYTES - 1;
	target->deadline_ns = PLATFORM_FOREVER;
}

static void lowest_end(struct machine *machine, struct noting_lender *lender)
{
	window_avoid_nothing(&machine->memory.blocks);
	guarantee_clear_lender(&machine->memory.guarantee, &lender->lender);
	machine_fini(machine);
}

/* Who cannot clear a window does not go on trying, and says what is in the way, so that others lose nothing for it. */
START_TEST(a_piece_that_cannot_move_is_in_the_way)
{
	static struct machine machine;
	struct noting_lender lender;
	uint32_t obstacles = 0;
	struct reclaim_target target = { .obstacles = &obstacles };
	struct window window;

	lend_lowest(&machine, &lender, &target);
	struct guarantee *const guarantee = &machine.memory.guarantee;
	const struct run_request run = {
		.blocks = LOWEST_BLOCKS,
		.constraints.highest = target.highest,
		.owner = &guarantee->owner,
	};
	/* What is free is no place for a piece, either: memory is short. */
	machine.memory.config.min_bytes = LENDER_BLOCKS * BLOCK_BYTES;
	lender.refuses = true;
	ck_assert(window_find(&machine.memory.blocks, &run, &window));
	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	ck_assert_uint_eq(obstacles, 1);
	ck_assert_uint_eq(lender.asked, 1);
	ck_assert(!window_find(&machine.memory.blocks, &run, &window));
	ck_assert(guarantee_is_valid(guarantee));
	lowest_end(&machine, &lender);
}
END_TEST

struct busy_keeper {
	struct guarantee *guarantee;
	struct reclaim_target target;
	_Atomic bool busy, over;
};

/* One has the keeper's lock until the other has been there. */
static void keep_or_clean(void *context, unsigned index)
{
	struct busy_keeper *keeper = context;
	struct guarantee *guarantee = keeper->guarantee;

	if (index == 0) {
		mutex_lock(&guarantee->keeper);
		atomic_store(&keeper->busy, true);
		while (!atomic_load(&keeper->over))
			platform_yield();
		mutex_unlock(&guarantee->keeper);
		return;
	}
	while (!atomic_load(&keeper->busy))
		platform_yield();
	ck_assert_uint_eq(guarantee->cleaner.clean(&guarantee->cleaner, &keeper->target), 0);
	atomic_store(&keeper->over, true);
}

START_TEST(who_is_late_does_not_wait_for_the_keeper)
{
	static struct machine machine;
	struct noting_lender lender;
	struct busy_keeper keeper = { .guarantee = &machine.memory.guarantee };

	lend_lowest(&machine, &lender, &keeper.target);
	keeper.target.deadline_ns = platform_now_ns() + NS_PER_MS;
	host_threads_run(2, keep_or_clean, &keeper);
	ck_assert_uint_eq(lender.asked, 0);
	lowest_end(&machine, &lender);
}
END_TEST

/* Lending a piece is as much work as a block is. */
START_TEST(pieces_move_until_the_deadline)
{
	static struct machine machine;
	struct noting_lender lender;
	uint32_t obstacles = 0;
	struct reclaim_target target = { .obstacles = &obstacles };

	lend_lowest(&machine, &lender, &target);
	struct guarantee *const guarantee = &machine.memory.guarantee;
	host_clock_set(HOST_CLOCK_MANUAL);
	lender.work_ns = NS_PER_MS;
	target.deadline_ns = platform_now_ns() + 5 * NS_PER_MS / 2;
	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	ck_assert_uint_eq(lender.asked, 3);
	ck_assert_uint_eq(obstacles, 0);
	host_clock_set(HOST_CLOCK_REAL);
	lowest_end(&machine, &lender);
}
END_TEST

/* With the page cache ------------------------------------------------------------------------------------------------------ */

static const struct dma_request piece_request = { .bytes = PIECE_BYTES, .segments_max = 1, .wait = MEMORY_WAIT_NEVER };

static void keep(struct cache_machine *machine)
{
	while (guarantee_keep(&machine->memory.guarantee))
		;
}

/* Every page is cached that fits, and all of the guarantee is lent. */
static void fill_and_lend(struct cache_machine *machine)
{
	cache_machine_init_guarantee(machine, DISK_BYTES, false, &config);
	/* Each piece that is lent leaves room for the cache to grow. */
	for (unsigned i = 0; i <= PIECES; i++) {
		cache_machine_fill(machine);
		keep(machine);
	}
	ck_assert_uint_ge(statistics_of(&machine->memory.guarantee).lent, PIECES);
	ck_assert(pagecache_is_valid(&machine->pagecache));
	ck_assert(memory_is_valid(&machine->memory));
}

START_TEST(what_is_lent_still_caches)
{
	struct cache_machine machine;
	struct pagecache_statistics before, after;

	fill_and_lend(&machine);
	before = cache_machine_statistics(&machine);
	for (uint64_t number = before.inserted_pages; number-- > 0;)
		cache_machine_read(&machine, number * PAGE_BYTES, PAGE_BYTES);
	after = cache_machine_statistics(&machine);
	ck_assert_uint_eq(after.misses, before.misses);
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(lent_pages_that_are_written_move_out)
{
	struct cache_machine machine;
	struct random random;

	random_seed(&random, 2);
	fill_and_lend(&machine);
	for (unsigned i = 0; i < 4000; i++)
		cache_machine_write(&machine, &random, random_below(&random, DISK_BYTES - PAGE_BYTES), 100);
	keep(&machine);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert(memory_is_valid(&machine.memory));
	cache_machine_fini(&machine);
}
END_TEST

/* In a handler, perhaps: no lock, no wait; nor can the test framework be called. */
static void take_one(void *context)
{
	struct cache_machine *machine = context;
	struct dma_buffer *buffer;

	if (platform_may_sleep())
		abort();
	if (dma_alloc(&machine->memory, &device, &piece_request, &buffer) != STATUS_OK)
		return;
	memset(buffer->memory, 0xa5, buffer->bytes);
	dma_free(&machine->memory, buffer);
}

START_TEST(the_guarantee_is_taken_from_the_cache)
{
	struct cache_machine machine;
	struct dma_buffer *buffers[PIECES];

	fill_and_lend(&machine);
	platform_preempt_disable();
	for (unsigned i = 0; i < PIECES; i++) {
		ck_assert_int_eq(dma_alloc(&machine.memory, &device, &piece_request, &buffers[i]), STATUS_OK);
		memset(buffers[i]->memory, 0xa5, buffers[i]->bytes);
	}
	platform_preempt_enable();
	/* What was there is read again. */
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += MIB)
		cache_machine_read(&machine, offset, MIB);
	ck_assert_uint_eq(dma_device_leaks(&machine.memory, &device), PIECES);
	keep(&machine);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	ck_assert(memory_is_valid(&machine.memory));
	for (unsigned i = 0; i < PIECES; i++)
		dma_free(&machine.memory, buffers[i]);
	keep(&machine);
	ck_assert_uint_ge(statistics_of(&machine.memory.guarantee).free + statistics_of(&machine.memory.guarantee).lent,
			  PIECES);
	cache_machine_fini(&machine);
}
END_TEST

/* Pages of the volume that are cached and not lent. */
static uint64_t own_pages(struct cache_machine *machine)
{
	return atomic_load(&machine->volume.counts.cached_pages) - page_heap_lent_pages(&machine->volume.heap);
}

/* Neither a drain nor a loan takes the volume below what it keeps, also when each of them alone would not. */
START_TEST(what_is_lent_is_not_what_is_kept)
{
	static const struct reclaim_target everything = { .bytes = MEMORY_BYTES,
							  .highest = { UINT64_MAX },
							  .deadline_ns = PLATFORM_FOREVER };
	const uint64_t keep_pages = KEEP_BYTES / PAGE_BYTES;
	struct cache_machine machine;
	struct random random;
	uint64_t drained;

	random_seed(&random, 3);
	fill_and_lend(&machine);
	/* What moves out of lent blocks leaves room in them. */
	for (unsigned i = 0; i < 2000; i++)
		cache_machine_write(&machine, &random, random_below(&random, DISK_BYTES - PAGE_BYTES), 100);
	ck_assert_int_eq(volume_flush(&machine.volume), STATUS_OK);
	ck_assert(keep_claim(&machine.volume, KEEP_BYTES, 3 * PAGES_PER_BLOCK));
	drained = evict_blocks(&machine.volume, &everything, KEEP_BYTES);
	ck_assert_uint_gt(drained, 0);
	ck_assert_uint_ge(own_pages(&machine), keep_pages + 3 * PAGES_PER_BLOCK);
	ck_assert_uint_lt(own_pages(&machine), keep_pages + 4 * PAGES_PER_BLOCK);

	/* The keeper could have a piece more, but for the claim. */
	guarantee_recall(&machine.memory.guarantee, &machine.volume.heap.owner);
	ck_assert(keep_claim(&machine.volume, KEEP_BYTES, own_pages(&machine) - keep_pages - 5 * PAGES_PER_BLOCK));
	keep(&machine);
	ck_assert_uint_ge(own_pages(&machine), atomic_load(&machine.volume.claimed_pages) + keep_pages);
	keep_let_go(&machine.volume, atomic_load(&machine.volume.claimed_pages));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_device_at_work_keeps_its_pieces)
{
	struct cache_machine machine;
	struct memory *memory = &machine.memory;
	struct dma_buffer *buffer = NULL;
	uint64_t bytes = 0;

	fill_and_lend(&machine);
	for (; statistics_of(&memory->guarantee).out < 2; bytes += PIECE_BYTES) {
		platform_preempt_disable();
		ck_assert_int_eq(dma_alloc(memory, &device, &piece_request, &buffer), STATUS_OK);
		platform_preempt_enable();
	}
	ck_assert_uint_eq(dma_quarantine(memory, &device), bytes);
	dma_free(memory, buffer);
	ck_assert_uint_eq(dma_device_leaks(memory, &device), 0);
	ck_assert_uint_eq(dma_quarantine_bytes(memory, &device), bytes);
	ck_assert_uint_eq(statistics_of(&memory->guarantee).out, 2);
	ck_assert_uint_eq(dma_quarantine_end(memory, &device), bytes);
	ck_assert_uint_eq(statistics_of(&memory->guarantee).out, 0);
	keep(&machine);
	ck_assert(memory_is_valid(memory));
	cache_machine_fini(&machine);
}
END_TEST

START_TEST(a_detached_volume_gets_back_what_it_lent)
{
	struct cache_machine machine;
	struct dma_buffer *buffer;

	fill_and_lend(&machine);
	platform_preempt_disable();
	ck_assert_int_eq(dma_alloc(&machine.memory, &device, &piece_request, &buffer), STATUS_OK);
	platform_preempt_enable();
	ck_assert_int_eq(volume_detach(&machine.volume, false), STATUS_OK);
	ck_assert(memory_is_valid(&machine.memory));
	dma_free(&machine.memory, buffer);
	keep(&machine);
	cache_machine_free(&machine);
}
END_TEST

START_TEST(the_cold_end_moves_on)
{
	struct cache_machine machine;
	uint64_t exchanged;

	fill_and_lend(&machine);
	exchanged = statistics_of(&machine.memory.guarantee).exchanged;
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += MIB) {
		cache_machine_read(&machine, offset, MIB);
		(void)guarantee_keep(&machine.memory.guarantee);
	}
	ck_assert_uint_gt(statistics_of(&machine.memory.guarantee).exchanged, exchanged + 10);
	ck_assert(pagecache_is_valid(&machine.pagecache));
	cache_machine_fini(&machine);
}
END_TEST

/* Of all that the cache has: blocks that are lent, or just being refilled, included. */
static uint64_t empty_frames(struct cache_machine *machine)
{
	const uint64_t frames = atomic_load(&machine->volume.heap.blocks) * PAGES_PER_BLOCK;

	return frames - cache_machine_statistics(machine).cached_pages;
}

/* The cursors come by everywhere, though what is lent comes back where they go on. */
START_TEST(what_has_lost_pages_is_filled_again)
{
	struct cache_machine machine;
	uint64_t cached_bytes;

	fill_and_lend(&machine);
	cached_bytes = cache_machine_statistics(&machine).cached_pages * PAGE_BYTES;
	for (uint64_t number = 0; number < cached_bytes / PAGE_BYTES / 2; number++)
		(void)node_evict_page(&machine.volume.node, number);
	ck_assert_uint_gt(empty_frames(&machine), cached_bytes / PAGE_BYTES / 4);
	for (uint64_t read = 0; read < 2 * cached_bytes; read += MIB) {
		cache_machine_read(&machine, (cached_bytes + read) % DISK_BYTES, MIB);
		(void)guarantee_keep(&machine.memory.guarantee);
	}
	ck_assert_uint_le(empty_frames(&machine), 2 * PAGES_PER_BLOCK);
	cache_machine_fini(&machine);
}
END_TEST

/* Everybody at once -------------------------------------------------------------------------------------------------------- */

enum role {
	KEEPER,
	BACKGROUND_WRITER,
	READER,
	SECOND_READER,
	WRITER,
	TAKER,
	HANDLERS, /* interrupts all others */
	ROLES,
};

#define CROWD_ROUNDS 300

struct crowd {
	struct cache_machine machine;
	_Atomic unsigned running;
};

/* Readers compare with the first half of the disk, which nobody writes to. */
static void crowd_work(struct crowd *crowd, enum role role, struct random *random)
{
	struct cache_machine *machine = &crowd->machine;
	struct guarantee_slot *slot;

	switch (role) {
	case READER:
	case SECOND_READER:
		cache_machine_read(machine, random_below(random, DISK_BYTES / 2 - MIB), random_below(random, MIB));
		break;
	case WRITER:
		cache_machine_write(machine, random, DISK_BYTES / 2 + random_below(random, DISK_BYTES / 2 - MIB), 30000);
		break;
	case TAKER:
		slot = guarantee_take(&machine->memory.guarantee, &anywhere, PIECE_BYTES, &device);
		if (slot) {
			memset(platform_virt(guarantee_start(slot)), 0x5a, PIECE_BYTES);
			platform_yield();
			guarantee_give(&machine->memory.guarantee, slot);
		}
		break;
	default:
		platform_run_on_all_cpus(take_one, machine);
	}
}

static void crowd_member(void *context, unsigned index)
{
	struct crowd *crowd = context;
	struct random random;

	random_seed(&random, index);
	if (index == KEEPER) {
		guarantee_run(&crowd->machine.memory.guarantee);
	} else if (index == BACKGROUND_WRITER) {
		pagecache_writeback_run(&crowd->machine.pagecache);
	} else {
		for (unsigned i = 0; i < CROWD_ROUNDS; i++)
			crowd_work(crowd, (enum role)index, &random);
		if (atomic_fetch_sub(&crowd->running, 1) == 1) {
			guarantee_stop(&crowd->machine.memory.guarantee);
			pagecache_stop(&crowd->machine.pagecache);
		}
	}
}

static void crowd_run(unsigned roles)
{
	static struct crowd crowd;

	cache_machine_init_guarantee(&crowd.machine, DISK_BYTES, true, &config);
	cache_machine_fill(&crowd.machine);
	crowd.running = roles - 2;
	host_threads_run(roles, crowd_member, &crowd);
	ck_assert_uint_gt(statistics_of(&crowd.machine.memory.guarantee).taken, 0);
	cache_machine_fini(&crowd.machine);
}

START_TEST(threads_never_see_what_a_device_wrote)
{
	crowd_run(ROLES - 1);
}
END_TEST

/* The thread sanitizer does not know what a signal orders. */
START_TEST(nor_do_they_beside_handlers)
{
	crowd_run(ROLES);
}
END_TEST

HOST_TEST_MAIN("guarantee", all_that_is_guaranteed_is_there_at_any_moment, no_more_than_is_guaranteed_counts,
	       lending_asks_for_no_more_lending, limits_are_kept, a_piece_that_cannot_move_is_in_the_way,
	       pieces_move_until_the_deadline, who_is_late_does_not_wait_for_the_keeper,
	       pieces_do_not_move_to_and_fro_without_end, impossible_configs_are_refused, a_run_through_it_moves_it_away,
	       what_is_lent_still_caches, lent_pages_that_are_written_move_out, the_guarantee_is_taken_from_the_cache,
	       what_is_lent_is_not_what_is_kept, a_device_at_work_keeps_its_pieces, a_detached_volume_gets_back_what_it_lent,
	       the_cold_end_moves_on, what_has_lost_pages_is_filled_again, threads_never_see_what_a_device_wrote,
	       nor_do_they_beside_handlers)
