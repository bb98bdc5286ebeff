// SPDX-License-Identifier: BSD-2-Clause
/* Windows through the guarantee: its pieces move out of the way, or are in the way. */
#include "fake/guarantee_fixture.h"
#include "fake/heap_fixture.h"
#include "fake/noting_donor.h"
#include "heap/block/window.h"
#include "host/host_test.h"

START_TEST(a_run_through_it_moves_it_away)
{
	static struct machine machine;
	struct owner owner;
	const uint64_t half = DONOR_BLOCKS / 2;
	const struct memory_request block = { .blocks = 1, .owner = &owner, .wait = MEMORY_WAIT_NEVER };
	struct memory_request run = block;
	struct phys_addr top, bottom;

	machine_with_guarantee(&machine, DONOR_BLOCKS);
	owner_init(&owner, "run", false);
	run.blocks = half;
	run.constraints.alignment_bytes = half * BLOCK_BYTES;
	/* The pieces lie in the lower half; the upper one has something that cannot be moved. */
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &block, &top), STATUS_OK);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &run, &bottom), STATUS_OK);
	ck_assert_uint_eq(bottom.value, MACHINE_START);
	ck_assert_uint_ge(guarantee_statistics(&machine.memory.guarantee).free, PIECES);
	ck_assert(memory_is_valid(&machine.memory));
	memory_blocks_free(&machine.memory, top);
	memory_blocks_free(&machine.memory, bottom);
	machine_fini(&machine);
}
END_TEST

/*
 * Both windows have something in them that no cleaner gives, and when one is tried, the pieces go
 * to the other. That is no progress: the request sleeps between its rounds, or the clock would
 * stand still for ever.
 */
START_TEST(pieces_do_not_move_to_and_fro_without_end)
{
	static struct machine machine;
	struct owner stubborn, owner;
	const uint64_t half = DONOR_BLOCKS / 2;
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
	ck_assert_uint_gt(guarantee_statistics(&machine.memory.guarantee).exchanged, PIECES);
	ck_assert_uint_ge(guarantee_statistics(&machine.memory.guarantee).free, PIECES);
	for (unsigned i = 0; i < 2; i++)
		memory_blocks_free(&machine.memory, in_the_way[i]);
	ck_assert_int_eq(memory_blocks_alloc(&machine.memory, &run, &address), STATUS_OK);
	memory_blocks_free(&machine.memory, address);
	machine_fini(&machine);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

/* All pieces are loaned, in the lowest blocks of the machine, which are to be emptied. */
#define LOWEST_BLOCKS (2 * (PIECES + 1) * 2)

static void loan_lowest(struct machine *machine, struct noting_donor *donor, struct reclaim_target *target)
{
	machine_with_guarantee(machine, DONOR_BLOCKS);
	noting_init(donor, machine);
	machine->memory.reclaim.watermarks.low_bytes = DONOR_BLOCKS * BLOCK_BYTES;
	for (unsigned i = 0; i < 2 * PIECES; i++)
		(void)guarantee_refill(&machine->memory.guarantee);
	ck_assert_uint_ge(guarantee_statistics(&machine->memory.guarantee).loaned, PIECES);
	donor->asked = 0;
	target->bytes = LOWEST_BLOCKS * BLOCK_BYTES;
	target->lowest.value = MACHINE_START;
	target->highest.value = MACHINE_START + LOWEST_BLOCKS * BLOCK_BYTES - 1;
	target->deadline_ns = PLATFORM_FOREVER;
}

static void lowest_end(struct machine *machine, struct noting_donor *donor)
{
	window_exclude_none(&machine->memory.blocks);
	guarantee_clear_donor(&machine->memory.guarantee, &donor->base);
	machine_fini(machine);
}

/*
 * A request that cannot clear a window gives up, and says what is in the way, so that others lose
 * nothing for it.
 */
START_TEST(a_piece_that_cannot_move_is_in_the_way)
{
	static struct machine machine;
	struct noting_donor donor;
	uint32_t unmovable = 0;
	struct reclaim_target target = { .unmovable = &unmovable };
	struct window window;

	loan_lowest(&machine, &donor, &target);
	struct guarantee *const guarantee = &machine.memory.guarantee;
	const struct run_request run = {
		.blocks = LOWEST_BLOCKS,
		.constraints.highest = target.highest,
		.owner = &guarantee->owner,
	};
	/* What is free is no place for a piece, either: memory is short. */
	machine.memory.reclaim.watermarks.min_bytes = DONOR_BLOCKS * BLOCK_BYTES;
	donor.refuses = true;
	ck_assert(window_find(&machine.memory.blocks, &run, &window));
	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	ck_assert_uint_eq(unmovable, guarantee_statistics(guarantee).loaned);
	ck_assert_uint_eq(unmovable, PIECES);
	ck_assert_uint_eq(donor.asked, 1);
	ck_assert(!window_find(&machine.memory.blocks, &run, &window));
	ck_assert(guarantee_is_valid(guarantee));
	lowest_end(&machine, &donor);
}
END_TEST

struct busy_refill {
	struct guarantee *guarantee;
	struct reclaim_target target;
	_Atomic bool busy, over;
};

/* One has the lock of the refill task until the other has been there. */
static void refill_or_clean(void *context, unsigned index)
{
	struct busy_refill *refilling = context;
	struct guarantee *guarantee = refilling->guarantee;

	if (index == 0) {
		mutex_lock(&guarantee->refill);
		atomic_store(&refilling->busy, true);
		while (!atomic_load(&refilling->over))
			platform_yield();
		mutex_unlock(&guarantee->refill);
		return;
	}
	while (!atomic_load(&refilling->busy))
		platform_yield();
	ck_assert_uint_eq(guarantee->cleaner.clean(&guarantee->cleaner, &refilling->target), 0);
	atomic_store(&refilling->over, true);
}

START_TEST(who_is_late_does_not_wait_for_the_refill_task)
{
	static struct machine machine;
	struct noting_donor donor;
	struct busy_refill refilling = { .guarantee = &machine.memory.guarantee };

	loan_lowest(&machine, &donor, &refilling.target);
	refilling.target.deadline_ns = platform_now_ns() + NS_PER_MS;
	host_threads_run(2, refill_or_clean, &refilling);
	ck_assert_uint_eq(donor.asked, 0);
	lowest_end(&machine, &donor);
}
END_TEST

/* The range of the oldest loan, which is taken first. */
static void aim_at_loan(struct guarantee *guarantee, struct reclaim_target *target)
{
	const struct guarantee_slot *slot = container_of(list_first(&guarantee->loaned), struct guarantee_slot, link);

	target->bytes = PIECE_BYTES;
	target->lowest = slot->start;
	target->highest.value = target->lowest.value + PIECE_BYTES - 1;
}

/*
 * A device takes a piece while another one comes in for it: then there is one too many, which has
 * to go before others can.
 */
START_TEST(a_piece_that_is_taken_while_it_moves_makes_room_later)
{
	static struct machine machine;
	struct noting_donor donor;
	uint32_t unmovable = 0;
	struct reclaim_target target = { .unmovable = &unmovable };

	loan_lowest(&machine, &donor, &target);
	struct guarantee *const guarantee = &machine.memory.guarantee;
	aim_at_loan(guarantee, &target);
	donor.steals = true;
	ck_assert_uint_eq(guarantee->cleaner.clean(&guarantee->cleaner, &target), 0);
	ck_assert(donor.stolen);
	ck_assert_uint_eq(unmovable, 1);
	guarantee_give(guarantee, donor.stolen_piece);

	unmovable = 0;
	window_exclude_none(&machine.memory.blocks);
	aim_at_loan(guarantee, &target);
	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	ck_assert_uint_eq(unmovable, 0);
	ck_assert_int_ne(*note_of(&donor.base, target.lowest), LOANED);
	lowest_end(&machine, &donor);
}
END_TEST

/*
 * Until the refill task comes by, a window takes the blocks of a piece that was loaned and has been
 * taken for movable.
 */
START_TEST(a_piece_that_is_out_is_in_the_way)
{
	static struct machine machine;
	struct noting_donor donor;
	uint32_t unmovable = 0;
	struct reclaim_target target = { .unmovable = &unmovable };
	struct phys_addr piece;

	loan_lowest(&machine, &donor, &target);
	struct guarantee *const guarantee = &machine.memory.guarantee;
	ck_assert(guarantee_piece_take(guarantee, &piece));
	ck_assert_uint_eq(guarantee->cleaner.clean(&guarantee->cleaner, &target), 0);
	ck_assert_uint_eq(unmovable, 1);
	ck_assert_uint_eq(donor.asked, 0);
	guarantee_give(guarantee, piece);
	lowest_end(&machine, &donor);
}
END_TEST

/* A loan takes as long as the emptying of a block. */
START_TEST(pieces_move_until_the_deadline)
{
	static struct machine machine;
	struct noting_donor donor;
	uint32_t unmovable = 0;
	struct reclaim_target target = { .unmovable = &unmovable };

	loan_lowest(&machine, &donor, &target);
	struct guarantee *const guarantee = &machine.memory.guarantee;
	host_clock_set(HOST_CLOCK_MANUAL);
	donor.work_ns = NS_PER_MS;
	target.deadline_ns = platform_now_ns() + 5 * NS_PER_MS / 2;
	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	ck_assert_uint_eq(donor.asked, 3);
	ck_assert_uint_eq(unmovable, 0);
	host_clock_set(HOST_CLOCK_REAL);
	lowest_end(&machine, &donor);
}
END_TEST

/* One takes pieces and gives them back, the other clears one half of the memory after the other. */
#define CLEARINGS 50000

struct clearing {
	struct machine machine;
	_Atomic bool over;
};

static void clear_half(struct machine *machine, unsigned half)
{
	struct guarantee *guarantee = &machine->memory.guarantee;
	const uint64_t blocks = DONOR_BLOCKS / 2;
	uint32_t unmovable = 0;
	const struct reclaim_target target = {
		.bytes = blocks * BLOCK_BYTES,
		.lowest = { MACHINE_START + half * blocks * BLOCK_BYTES },
		.highest = { MACHINE_START + (half + 1) * blocks * BLOCK_BYTES - 1 },
		.unmovable = &unmovable,
		.deadline_ns = PLATFORM_FOREVER,
	};

	block_heap_isolate(&machine->memory.blocks, target.lowest, blocks);
	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	block_heap_isolate(&machine->memory.blocks, target.lowest, 0);
	window_exclude_none(&machine->memory.blocks);
	(void)guarantee_refill(guarantee);
}

static void clear_or_take(void *context, unsigned index)
{
	struct clearing *clearing = context;
	struct guarantee *guarantee = &clearing->machine.memory.guarantee;

	for (unsigned i = 0; index == 0 && i < CLEARINGS; i++)
		clear_half(&clearing->machine, i % 2);
	if (index == 0)
		atomic_store(&clearing->over, true);
	while (!atomic_load(&clearing->over)) {
		struct phys_addr piece;

		if (guarantee_piece_take(guarantee, &piece))
			guarantee_give(guarantee, piece);
	}
}

START_TEST(threads_take_pieces_while_windows_are_cleared)
{
	static struct clearing clearing;

	machine_with_guarantee(&clearing.machine, DONOR_BLOCKS);
	host_threads_run(2, clear_or_take, &clearing);
	ck_assert_uint_gt(guarantee_statistics(&clearing.machine.memory.guarantee).exchanged, 0);
	machine_fini(&clearing.machine);
}
END_TEST

HOST_TEST_MAIN("guarantee_windows", threads_take_pieces_while_windows_are_cleared, a_run_through_it_moves_it_away,
	       pieces_do_not_move_to_and_fro_without_end, a_piece_that_cannot_move_is_in_the_way,
	       a_piece_that_is_out_is_in_the_way, a_piece_that_is_taken_while_it_moves_makes_room_later,
	       who_is_late_does_not_wait_for_the_refill_task, pieces_move_until_the_deadline)
