// SPDX-License-Identifier: BSD-2-Clause
/*
 * The counts of the guarantee against an obvious model: reserved first, then found. The model knows
 * for each account which pieces it has out, for which size, and how many objects are in them.
 */
#include "fake/guarantee_fixture.h"
#include "fake/reserving_machine.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define MODEL_PIECES 12
#define OBJECTS_MAX  4000

static struct machine machine;
static struct guarantee *const guarantee = &machine.memory.guarantee;

struct model_piece {
	uint64_t start; /* 0: not out */
	unsigned account, shift, objects;
};

struct model_object {
	uint64_t start;
	unsigned piece;
};

#define COMMON RESERVING_DEVICES

struct model {
	uint64_t reserved[RESERVING_DEVICES + 1]; /* by account; the last one is the common one */
	struct model_piece pieces[MODEL_PIECES];
	struct model_object objects[OBJECTS_MAX];
	unsigned object_count;
};

static struct model model;

static uint64_t out_of(unsigned account)
{
	uint64_t out = 0;

	for (unsigned i = 0; i < MODEL_PIECES; i++)
		out += model.pieces[i].start != 0 && model.pieces[i].account == account;
	return out;
}

static uint64_t unreserved(void)
{
	uint64_t promised = 0;

	for (unsigned i = 0; i <= RESERVING_DEVICES; i++)
		promised += MAX(model.reserved[i], out_of(i));
	return guarantee->pieces - promised;
}

/* The open piece of that account and size; NULL: none has room. */
static struct model_piece *open_piece(unsigned account, unsigned shift)
{
	for (unsigned i = 0; i < MODEL_PIECES; i++)
		if (model.pieces[i].start != 0 && model.pieces[i].account == account && model.pieces[i].shift == shift &&
		    model.pieces[i].objects < guarantee_piece_bytes(guarantee) >> shift)
			return &model.pieces[i];
	return NULL;
}

/* Which account gives, or COMMON + 1: none. */
static unsigned giver(unsigned device, unsigned shift, bool beyond)
{
	const bool has_account = model.reserved[device] > 0;

	if (has_account &&
	    (open_piece(device, shift) || out_of(device) < model.reserved[device] || (beyond && unreserved() > 0)))
		return device;
	return beyond && (open_piece(COMMON, shift) || unreserved() > 0) ? COMMON : COMMON + 1;
}

static struct model_piece *piece_at(uint64_t start)
{
	struct model_piece *free_piece = NULL;

	for (unsigned i = 0; i < MODEL_PIECES; i++) {
		if (model.pieces[i].start == start)
			return &model.pieces[i];
		if (model.pieces[i].start == 0)
			free_piece = &model.pieces[i];
	}
	*free_piece = (struct model_piece){ .start = start };
	return free_piece;
}

/*
 * What was taken is nowhere else, and in a piece that is the account's for this size, or was not
 * out.
 */
static void note_taken(uint64_t start, unsigned shift, unsigned account)
{
	const bool had_room = open_piece(account, shift) != NULL;
	struct model_piece *piece = piece_at(align_down(start, guarantee_piece_bytes(guarantee)));

	for (unsigned i = 0; i < model.object_count; i++)
		ck_assert(model.objects[i].start + (1ull << model.pieces[model.objects[i].piece].shift) <= start ||
			  model.objects[i].start >= start + (1ull << shift));
	if (piece->objects == 0)
		*piece = (struct model_piece){ .start = piece->start, .account = account, .shift = shift };
	ck_assert_uint_eq(piece->account, account);
	ck_assert_uint_eq(piece->shift, shift);
	ck_assert(!had_room || piece->objects > 0); /* no new piece before the old ones are full */
	ck_assert_uint_eq(start % (1ull << shift), 0);
	piece->objects++;
	model.objects[model.object_count++] = (struct model_object){ start, (unsigned)(piece - model.pieces) };
}

static void note_given(unsigned object)
{
	struct model_piece *piece = &model.pieces[model.objects[object].piece];

	if (--piece->objects == 0)
		piece->start = 0;
	model.objects[object] = model.objects[--model.object_count];
}

/*
 * The end of a reservation comes when its last piece is back: the driver takes nothing in between
 * here.
 */
static void step_reserve(struct random *random)
{
	const unsigned device = (unsigned)random_below(random, RESERVING_DEVICES - 1);
	const uint64_t pieces = random_below(random, 3) + 1, reserved = model.reserved[device], out = out_of(device);
	const uint64_t more = MAX(reserved + pieces, out) - MAX(reserved, out);
	const status_t status = guarantee_reserve(guarantee, &reserving_devices[device],
						  pieces * guarantee_piece_bytes(guarantee) - random_below(random, 100));

	ck_assert_int_eq(status, more <= unreserved() ? STATUS_OK : STATUS_NO_MEMORY);
	if (status == STATUS_OK)
		model.reserved[device] += pieces;
}

static void step_end(struct random *random)
{
	const unsigned device = (unsigned)random_below(random, RESERVING_DEVICES - 1);

	if (out_of(device) > 0)
		return;
	guarantee_end_reservation(guarantee, &reserving_devices[device]);
	model.reserved[device] = 0;
}

static void step_take(struct random *random)
{
	const unsigned device = (unsigned)random_below(random, RESERVING_DEVICES);
	const unsigned shift =
		GUARANTEE_OBJECT_SHIFT + (unsigned)random_below(random, log2_floor(guarantee_piece_bytes(guarantee)) - 11);
	const bool beyond = random_below(random, 2) == 0;
	const unsigned account = giver(device, shift, beyond);
	struct phys_addr start;
	bool taken;

	if (model.object_count == OBJECTS_MAX)
		return;
	taken = guarantee_take(guarantee, &reserving_devices[device],
			       (1ull << shift) - random_below(random, (1ull << shift) / 2), beyond, &start);
	ck_assert_int_eq(taken, account <= COMMON);
	if (taken)
		note_taken(start.value, shift, account);
}

static void step_give(struct random *random)
{
	unsigned object;

	if (model.object_count == 0)
		return;
	object = (unsigned)random_below(random, model.object_count);
	guarantee_give(guarantee, (struct phys_addr){ model.objects[object].start });
	note_given(object);
}

static void check_counts(void)
{
	const struct guarantee_statistics statistics = guarantee_statistics(guarantee);
	uint64_t out = 0;

	for (unsigned i = 0; i <= RESERVING_DEVICES; i++)
		out += out_of(i);
	ck_assert_uint_eq(statistics.out, out);
	ck_assert_uint_eq(statistics.unreserved, unreserved());
	ck_assert_uint_ge(statistics.free + statistics.loaned + out, guarantee->pieces);
}

static void run_model(uint64_t seed, uint64_t piece_bytes, unsigned steps)
{
	struct random random;

	random_seed(&random, seed);
	model = (struct model){ .object_count = 0 };
	machine_with_pieces(&machine, 8, piece_bytes);
	for (unsigned i = 0; i < steps; i++) {
		const uint64_t what = random_below(&random, 100);

		/* It fills and empties in turns. */
		if (what < 2)
			step_reserve(&random);
		else if (what < 4)
			step_end(&random);
		else if (what < (i / 512 % 2 == 0 ? 65u : 40u))
			step_take(&random);
		else if (what < 99)
			step_give(&random);
		else
			(void)guarantee_refill(guarantee);
		check_counts();
		ck_assert(i % 64 != 0 || guarantee_is_valid(guarantee));
	}
	while (model.object_count > 0)
		step_give(&random);
	for (unsigned i = 0; i < RESERVING_DEVICES; i++)
		guarantee_end_reservation(guarantee, &reserving_devices[i]);
	(void)guarantee_refill(guarantee);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, guarantee->pieces);
	ck_assert(list_is_empty(&guarantee->reserving));
	machine_fini(&machine);
}

START_TEST(a_take_succeeds_exactly_where_the_counts_allow)
{
	for (uint64_t seed = 1; seed <= 3; seed++)
		run_model(seed, BLOCK_BYTES << (seed - 1), 20000);
}
END_TEST

HOST_TEST_MAIN("guarantee_model", a_take_succeeds_exactly_where_the_counts_allow)
