// SPDX-License-Identifier: BSD-2-Clause
/*
 * Loans against an obvious model: three devices reserve, take and give pieces, a donor loans
 * memory and gets it back, the cache turns over, and windows are cleared, in any order, and while
 * a loan is on its way. Each block says whose it is: the donor and the devices write to theirs, and
 * find it again.
 */
#include "fake/guarantee_fixture.h"
#include "fake/heap_fixture.h"
#include "heap/block/window.h"
#include "host/host_test.h"
#include "runtime/base/random.h"

#define MACHINE_BLOCKS 96
#define DEVICES        3
#define GUARANTEED     8 /* pieces */
#define STEPS          100000

static const struct device devices[DEVICES] = {
	{ .name = "camera", .dma_mask = UINT64_MAX },
	{ .name = "radio", .dma_mask = UINT64_MAX },
	{ .name = "card", .dma_mask = UINT64_MAX },
};

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct guarantee *const guarantee = &machine.memory.guarantee;
static struct random randomness;

/* Whose a block is, in the donor's eyes; what it has never loaned is NOT_LOANED. */
enum loan {
	NOT_LOANED,
	LOANED,
	REVOKED,
};

static struct {
	struct guarantee_donor base;
	struct owner owner;
	bool willing;
	enum loan loans[MACHINE_BLOCKS];
} donor;

static struct {
	uint64_t reserved[DEVICES], out[DEVICES];
	struct phys_addr pieces[GUARANTEED];
	unsigned devices[GUARANTEED], count;
} model;

static uint64_t any(uint64_t limit)
{
	return random_below(&randomness, limit);
}

/* The first and the last word of a block. */
static void mark(struct phys_addr block, uint64_t value)
{
	uint64_t *words = platform_virt(block);

	words[0] = words[BLOCK_BYTES / 8 - 1] = value ^ block.value;
}

static void check_mark(struct phys_addr block, uint64_t value)
{
	const uint64_t *words = platform_virt(block);

	ck_assert_uint_eq(words[0], value ^ block.value);
	ck_assert_uint_eq(words[BLOCK_BYTES / 8 - 1], value ^ block.value);
}

/* Takes and gives ------------------------------------------------------------------------------ */

static uint64_t unreserved(void)
{
	uint64_t left = GUARANTEED;

	for (unsigned i = 0; i < DEVICES; i++)
		left -= MAX(model.reserved[i], model.out[i]);
	return left;
}

static enum loan *loan_of(struct phys_addr block)
{
	return &donor.loans[(block.value - MACHINE_START) >> BLOCK_SHIFT];
}

static void step_take(void)
{
	const unsigned device = (unsigned)any(DEVICES);
	const bool beyond = any(2) == 0;
	const bool may = model.out[device] < model.reserved[device] || (beyond && unreserved() > 0);
	struct phys_addr start;

	ck_assert_int_eq(guarantee_take(guarantee, &devices[device], PIECE_BYTES, beyond, &start), may);
	if (!may)
		return;
	for (unsigned i = 0; i < model.count; i++)
		ck_assert_uint_ne(model.pieces[i].value, start.value);
	for (uint64_t at = start.value; at < start.value + PIECE_BYTES; at += BLOCK_BYTES) {
		ck_assert_int_ne(*loan_of((struct phys_addr){ at }), LOANED);
		mark((struct phys_addr){ at }, device);
	}
	model.out[device]++;
	model.devices[model.count] = device;
	model.pieces[model.count++] = start;
}

static void step_give(void)
{
	const unsigned i = (unsigned)any(MAX(model.count, 1u));

	if (model.count == 0)
		return;
	for (uint64_t at = 0; at < PIECE_BYTES; at += BLOCK_BYTES)
		check_mark((struct phys_addr){ model.pieces[i].value + at }, model.devices[i]);
	guarantee_give(guarantee, model.pieces[i]);
	model.out[model.devices[i]]--;
	model.pieces[i] = model.pieces[--model.count];
	model.devices[i] = model.devices[model.count];
}

/*
 * A device that has reserved something takes from the common account afterwards, if it has given
 * all back.
 */
static void step_reserve(void)
{
	const unsigned device = (unsigned)any(DEVICES);
	const uint64_t pieces = 1 + any(3);

	if (model.out[device] > 0)
		return;
	if (any(2) == 0) {
		guarantee_end_reservation(guarantee, &devices[device]);
		model.reserved[device] = 0;
		return;
	}
	const bool may = pieces <= unreserved();
	ck_assert_int_eq(guarantee_reserve(guarantee, &devices[device], pieces * PIECE_BYTES) == STATUS_OK, may);
	model.reserved[device] += may ? pieces : 0;
}

/* The donor ------------------------------------------------------------------------------------ */

#define DONOR UINT64_MAX /* its mark */

static void change(struct phys_addr block, enum loan before, enum loan after)
{
	ck_assert_int_eq(*loan_of(block), before);
	*loan_of(block) = after;
}

/* Others take and give meanwhile, as handlers do. */
static bool donor_loan(struct guarantee_donor *self, const struct loan_request *wanted, struct phys_addr *start)
{
	const struct run_request request = {
		.blocks = PIECE_BYTES / BLOCK_BYTES,
		.constraints = { .lowest = { wanted->avoid_last.value + 1 }, .alignment_bytes = PIECE_BYTES },
		.owner = &donor.owner,
	};

	ck_assert_ptr_eq(self, &donor.base);
	for (uint64_t i = any(4); i > 0; i--)
		(any(2) == 0 ? step_take : step_give)();
	if (!donor.willing || any(8) == 0 || block_heap_alloc(&memory->blocks, &request, start) != STATUS_OK)
		return false;
	for (uint64_t at = start->value; at < start->value + PIECE_BYTES; at += BLOCK_BYTES) {
		change((struct phys_addr){ at }, NOT_LOANED, LOANED);
		mark((struct phys_addr){ at }, DONOR);
	}
	return true;
}

/* Now and then, little is cached there. */
static unsigned donor_idle_percent(struct guarantee_donor *self, struct phys_addr block)
{
	(void)self;
	ck_assert_int_eq(*loan_of(block), LOANED);
	return (unsigned)any(2) * 100;
}

static void donor_recall(struct guarantee_donor *self, struct phys_addr block)
{
	(void)self;
	change(block, LOANED, NOT_LOANED);
	check_mark(block, DONOR);
	if ((block.value + BLOCK_BYTES) % PIECE_BYTES == 0)
		memory_blocks_free(memory, (struct phys_addr){ block.value + BLOCK_BYTES - PIECE_BYTES });
}

static void donor_revoke(struct guarantee_donor *self, struct phys_addr block)
{
	(void)self;
	change(block, LOANED, REVOKED);
	check_mark(block, DONOR);
}

static void donor_reap(struct guarantee_donor *self, struct phys_addr block)
{
	(void)self;
	change(block, REVOKED, NOT_LOANED);
}

static void donor_comes(void)
{
	donor.base = (struct guarantee_donor){
		.loan = donor_loan,
		.idle_percent = donor_idle_percent,
		.recall = donor_recall,
		.revoke = donor_revoke,
		.reap = donor_reap,
	};
	guarantee_set_donor(guarantee, &donor.base);
}

/* Steps ---------------------------------------------------------------------------------------- */

static unsigned loans_count(enum loan loan)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MACHINE_BLOCKS; i++)
		count += donor.loans[i] == loan;
	return count;
}

static void step_clear_window(void)
{
	uint32_t unmovable = 0;
	const uint64_t first = any(MACHINE_BLOCKS), blocks = 1 + any(16);
	const struct reclaim_target target = {
		.bytes = blocks * BLOCK_BYTES,
		.lowest = { MACHINE_START + first * BLOCK_BYTES },
		.highest = { MACHINE_START + (first + blocks) * BLOCK_BYTES - 1 },
		.deadline_ns = PLATFORM_FOREVER,
		.unmovable = any(2) == 0 ? &unmovable : NULL,
	};

	(void)guarantee->cleaner.clean(&guarantee->cleaner, &target);
	window_exclude_none(&memory->blocks);
}

static void step(void)
{
	const uint64_t what = any(100);

	if (what < 35) {
		step_take();
	} else if (what < 65) {
		step_give();
	} else if (what < 70) {
		step_reserve();
	} else if (what < 80) {
		guarantee_turn(guarantee);
	} else if (what < 83) {
		/* As the cache does when it grows: nothing is free, or much. */
		memory->reclaim.watermarks.low_bytes = any(2) * MACHINE_BLOCKS * BLOCK_BYTES;
		donor.willing = any(4) > 0;
	} else if (what < 88) {
		step_clear_window();
	} else if (what < 89) {
		guarantee_recall(guarantee, &donor.owner);
		ck_assert_uint_eq(loans_count(LOANED), 0);
	} else if (what < 90) {
		guarantee_clear_donor(guarantee, &donor.base);
		ck_assert_uint_eq(loans_count(LOANED) + loans_count(REVOKED), 0);
		donor_comes();
	} else {
		(void)guarantee_refill(guarantee);
	}
}

static void check(void)
{
	const struct guarantee_statistics statistics = guarantee_statistics(guarantee);

	ck_assert_uint_eq(statistics.out, model.count);
	ck_assert_uint_eq(statistics.unreserved, unreserved());
	ck_assert_uint_eq(statistics.loaned * (PIECE_BYTES / BLOCK_BYTES), loans_count(LOANED));
	ck_assert_uint_eq(statistics.free + statistics.loaned + statistics.out, GUARANTEED);
	for (unsigned i = 0; i < model.count; i++)
		ck_assert_int_ne(*loan_of(model.pieces[i]), LOANED);
}

START_TEST(a_loan_is_never_counted_as_given_and_refuses_no_take)
{
	const struct memory_config config = {
		.watermarks.atomic_percent = 100,
		.guarantee = { .bytes = GUARANTEED * PIECE_BYTES, .piece_bytes = PIECE_BYTES },
	};
	uint64_t loaned = 0;

	random_seed(&randomness, 7);
	host_log_level(LOG_ERROR);
	machine_init_with(&machine, MACHINE_START, MACHINE_BLOCKS, &config);
	owner_init(&donor.owner, "donor", true);
	donor_comes();
	for (unsigned i = 0; i < STEPS; i++) {
		step();
		check();
		loaned += loans_count(LOANED) > 0;
		ck_assert(i % 32 != 0 || memory_is_valid(memory));
	}
	ck_assert_uint_gt(loaned, STEPS / 4);
	ck_assert_uint_gt(guarantee_statistics(guarantee).exchanged, STEPS / 100);
	ck_assert_uint_le(guarantee_statistics(guarantee).steps_max, 8);
	while (model.count > 0)
		step_give();
	guarantee_clear_donor(guarantee, &donor.base);
	ck_assert_uint_eq(donor.owner.blocks, 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("guarantee_loans", a_loan_is_never_counted_as_given_and_refuses_no_take)
