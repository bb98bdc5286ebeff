// SPDX-License-Identifier: BSD-2-Clause
/* The guarantee against a model, with a donor that only notes what it is told. */
#include <string.h>

#include "fake/guarantee_fixture.h"
#include "fake/heap_fixture.h"
#include "fake/noting_donor.h"
#include "host/host_test.h"
#include "runtime/base/random.h"

/* Takes until nothing is left, and says how many there were. */
static unsigned take_all(struct guarantee *guarantee, struct phys_addr pieces[PIECES])
{
	unsigned taken = 0;

	while (taken < PIECES && guarantee_piece_take(guarantee, &pieces[taken]))
		taken++;
	return taken;
}

START_TEST(all_that_is_guaranteed_is_there_at_any_moment)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	struct phys_addr pieces[PIECES];
	struct noting_donor donor;
	struct random random;
	unsigned out = 0;

	random_seed(&random, 1);
	machine_with_guarantee(&machine, DONOR_BLOCKS);
	noting_init(&donor, &machine);
	for (unsigned i = 0; i < 200000; i++) {
		const uint64_t what = random_below(&random, 10);

		if (what < 4 && out < PIECES) {
			ck_assert(guarantee_piece_take(guarantee, &pieces[out]));
			memset(platform_virt(pieces[out]), 0, 64);
			out++;
		} else if (what < 7 && out > 0) {
			const uint64_t which = random_below(&random, out);

			guarantee_give(guarantee, pieces[which]);
			pieces[which] = pieces[--out];
		} else if (what == 7) {
			guarantee_turn(guarantee);
		} else if (what == 8) {
			/* As the cache does when it grows: nothing is free. */
			machine.memory.reclaim.watermarks.low_bytes = random_below(&random, 2) * DONOR_BLOCKS * BLOCK_BYTES;
		} else {
			(void)guarantee_refill(guarantee);
			ck_assert(i % 16 != 0 || memory_is_valid(&machine.memory));
		}
	}
	while (out > 0)
		guarantee_give(guarantee, pieces[--out]);
	ck_assert_uint_gt(guarantee_statistics(guarantee).exchanged, 1000);
	guarantee_clear_donor(guarantee, &donor.base);
	ck_assert_uint_eq(donor.owner.blocks, 0);
	machine_fini(&machine);
}
END_TEST

START_TEST(no_more_than_is_guaranteed_counts)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	struct phys_addr pieces[PIECES], another;
	unsigned taken;

	machine_with_guarantee(&machine, DONOR_BLOCKS);
	taken = take_all(guarantee, pieces);
	ck_assert_uint_eq(taken, PIECES);
	ck_assert_uint_eq(guarantee_statistics(guarantee).refused, 0);
	ck_assert(!guarantee_piece_take(guarantee, &another));
	ck_assert_uint_eq(guarantee_statistics(guarantee).refused, 1);
	ck_assert_int_eq(memory_fini(&machine.memory), STATUS_BUSY);
	guarantee_give(guarantee, pieces[2]);
	ck_assert(guarantee_piece_take(guarantee, &another));
	ck_assert_uint_eq(another.value, pieces[2].value);
	while (taken > 0)
		guarantee_give(guarantee, pieces[--taken]);
	machine_fini(&machine);
}
END_TEST

/*
 * Where everything is dirty, a block is filled with what was moved away for each one that is
 * loaned.
 */
START_TEST(a_loan_asks_for_no_more_loans)
{
	static struct machine machine;
	struct guarantee *const guarantee = &machine.memory.guarantee;
	struct noting_donor donor;
	uint64_t exchanged;

	machine_with_guarantee(&machine, DONOR_BLOCKS);
	noting_init(&donor, &machine);
	machine.memory.reclaim.watermarks.low_bytes = DONOR_BLOCKS * BLOCK_BYTES;
	for (unsigned i = 0; i < 2 * PIECES; i++)
		(void)guarantee_refill(guarantee);
	donor.turns = 8;
	exchanged = guarantee_statistics(guarantee).exchanged;
	/* What is loaned turns over once while the memory does. */
	for (uint64_t turn = 0; turn < DONOR_BLOCKS / PIECES; turn++) {
		ck_assert_uint_eq(guarantee_statistics(guarantee).exchanged, exchanged);
		guarantee_turn(guarantee);
		(void)guarantee_refill(guarantee);
	}
	for (unsigned i = 0; i < 10; i++)
		(void)guarantee_refill(guarantee);
	ck_assert_uint_eq(guarantee_statistics(guarantee).exchanged, exchanged + 1);
	guarantee_clear_donor(guarantee, &donor.base);
	machine_fini(&machine);
}
END_TEST

START_TEST(impossible_configs_are_refused)
{
	static struct machine machine;
	struct guarantee guarantee;

	machine_init(&machine, MACHINE_START, DONOR_BLOCKS, 0, 0);
	ck_assert_int_eq(guarantee_init(&guarantee, memory_reclaim(&machine.memory), memory_general_heap(&machine.memory),
					&(struct guarantee_config){ .bytes = GIB, .piece_bytes = BLOCK_BYTES }),
			 STATUS_INVALID);
	ck_assert_int_eq(guarantee_init(&guarantee, memory_reclaim(&machine.memory), memory_general_heap(&machine.memory),
					&(struct guarantee_config){ .bytes = MIB, .piece_bytes = MIB }),
			 STATUS_INVALID);
	ck_assert_int_eq(guarantee_init(&guarantee, memory_reclaim(&machine.memory), memory_general_heap(&machine.memory),
					&(struct guarantee_config){ .bytes = MIB, .piece_bytes = 3 * BLOCK_BYTES }),
			 STATUS_INVALID);
	machine_fini(&machine);
}
END_TEST

/*
 * A task that comes in the middle of the first of all pieces waits for that one. The holder gives
 * it 1 ms to take its turn, so the clock stands still.
 */
static struct {
	struct machine machine;
	struct noting_donor donor;
} recalling;

static void recall_or_come(void *context, unsigned index)
{
	struct guarantee *guarantee = &recalling.machine.memory.guarantee;

	(void)context;
	if (index == 0) {
		guarantee_recall(guarantee, &recalling.donor.owner);
		return;
	}
	while (atomic_load(&recalling.donor.forgotten) == 0)
		platform_yield();
	mutex_lock(&guarantee->refill);
	ck_assert_uint_le(atomic_load(&recalling.donor.forgotten), PIECE_BYTES / BLOCK_BYTES);
	mutex_unlock(&guarantee->refill);
}

START_TEST(threads_wait_for_one_piece_of_a_recall)
{
	struct machine *machine = &recalling.machine;
	struct guarantee *guarantee = &machine->memory.guarantee;

	machine_with_guarantee(machine, 32);
	noting_init(&recalling.donor, machine);
	recalling.donor.pauses = true;
	while (guarantee_statistics(guarantee).loaned < PIECES) {
		const struct run_request rest = {
			.blocks = 1,
			.owner = &recalling.donor.owner,
			.leave_free = PIECES * PIECE_BYTES / BLOCK_BYTES,
		};
		struct phys_addr block;

		while (block_heap_alloc(&machine->memory.blocks, &rest, &block) == STATUS_OK)
			;
		(void)guarantee_refill(guarantee);
	}
	host_clock_set(HOST_CLOCK_MANUAL);
	host_threads_run(2, recall_or_come, NULL);
	host_clock_set(HOST_CLOCK_REAL);
	ck_assert_uint_eq(atomic_load(&recalling.donor.forgotten), PIECES * PIECE_BYTES / BLOCK_BYTES);
}
END_TEST

HOST_TEST_MAIN("guarantee", threads_wait_for_one_piece_of_a_recall, all_that_is_guaranteed_is_there_at_any_moment,
	       no_more_than_is_guaranteed_counts, a_loan_asks_for_no_more_loans, impossible_configs_are_refused)
