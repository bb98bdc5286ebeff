// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guarantee's counts and objects against an obvious model: reserved first, then found. The model knows for each account
 * which pieces it has out, for which size, and how many objects are in them.
 */
#include <stdlib.h>

#include "fake/guarantee_fixture.h"
#include "fake/heap_fixture.h"
#include "heap/dma_state.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define MACHINE_BLOCKS 128
#define DEVICES        4 /* the last one reserves nothing */
#define MODEL_PIECES   12
#define OBJECTS_MAX    4000

static const struct device devices[DEVICES] = {
	{ .name = "camera", .dma_mask = UINT64_MAX },
	{ .name = "radio", .dma_mask = UINT64_MAX },
	{ .name = "card", .dma_mask = UINT64_MAX },
	{ .name = "guest", .dma_mask = UINT64_MAX },
};

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct guarantee *const guarantee = &machine.memory.guarantee;

static void setup(uint64_t pieces, uint64_t piece_bytes)
{
	const struct memory_config config = {
		.atomic_percent = 100,
		.guarantee = { .bytes = pieces * piece_bytes, .piece_bytes = piece_bytes },
	};

	host_log_level(LOG_ERROR);
	machine_init_with(&machine, MACHINE_START, MACHINE_BLOCKS, &config);
	ck_assert_uint_eq(guarantee->pieces, pieces);
}

/* The model --------------------------------------------------------------------------------------------------------------- */

struct model_piece {
	uint64_t start; /* 0: not out */
	unsigned account, shift, objects;
};

struct model_object {
	uint64_t start;
	unsigned piece;
};

#define COMMON DEVICES

struct model {
	uint64_t reserved[DEVICES + 1]; /* by account; the last one is the common one */
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

	for (unsigned i = 0; i <= DEVICES; i++)
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

/* What was taken is nowhere else, and in a piece that is the account's for this size, or was not out. */
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

/* The end of a reservation comes when its last piece is back: the driver takes nothing in between here. */
static void step_reserve(struct random *random)
{
	const unsigned device = (unsigned)random_below(random, DEVICES - 1);
	const uint64_t pieces = random_below(random, 3) + 1, reserved = model.reserved[device], out = out_of(device);
	const uint64_t more = MAX(reserved + pieces, out) - MAX(reserved, out);
	const status_t status = guarantee_reserve(guarantee, &devices[device],
						  pieces * guarantee_piece_bytes(guarantee) - random_below(random, 100));

	ck_assert_int_eq(status, more <= unreserved() ? STATUS_OK : STATUS_NO_MEMORY);
	if (status == STATUS_OK)
		model.reserved[device] += pieces;
}

static void step_end(struct random *random)
{
	const unsigned device = (unsigned)random_below(random, DEVICES - 1);

	if (out_of(device) > 0)
		return;
	guarantee_end_reservation(guarantee, &devices[device]);
	model.reserved[device] = 0;
}

static void step_take(struct random *random)
{
	const unsigned device = (unsigned)random_below(random, DEVICES);
	const unsigned shift =
		GUARANTEE_OBJECT_SHIFT + (unsigned)random_below(random, log2_floor(guarantee_piece_bytes(guarantee)) - 11);
	const bool beyond = random_below(random, 2) == 0;
	const unsigned account = giver(device, shift, beyond);
	struct phys_addr start;
	bool taken;

	if (model.object_count == OBJECTS_MAX)
		return;
	taken = guarantee_take(guarantee, &devices[device], (1ull << shift) - random_below(random, (1ull << shift) / 2), beyond,
			       &start);
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

	for (unsigned i = 0; i <= DEVICES; i++)
		out += out_of(i);
	ck_assert_uint_eq(statistics.out, out);
	ck_assert_uint_eq(statistics.unreserved, unreserved());
	ck_assert_uint_ge(statistics.free + statistics.lent + out, guarantee->pieces);
}

static void run_model(uint64_t seed, uint64_t piece_bytes, unsigned steps)
{
	struct random random;

	random_seed(&random, seed);
	model = (struct model){ .object_count = 0 };
	setup(8, piece_bytes);
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
			(void)guarantee_keep(guarantee);
		check_counts();
		ck_assert(i % 64 != 0 || guarantee_is_valid(guarantee));
	}
	while (model.object_count > 0)
		step_give(&random);
	for (unsigned i = 0; i < DEVICES; i++)
		guarantee_end_reservation(guarantee, &devices[i]);
	(void)guarantee_keep(guarantee);
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

/* Requests for DMA memory, with nothing else free ------------------------------------------------------------------------- */

static struct owner memhog;

/* All other memory is taken, but for some objects of the general heap. */
static void take_all_memory(void)
{
	const struct memory_request request = { .blocks = 1, .owner = &memhog, .wait = MEMORY_WAIT_NEVER, .below_min = true };
	const struct dma_request warm = { .bytes = 64 };
	struct dma_buffer *buffer;
	struct phys_addr block;

	ck_assert_int_eq(dma_alloc(memory_dma(memory), &devices[0], &warm, &buffer), STATUS_OK);
	owner_init(&memhog, "hog", false);
	while (memory_blocks_alloc(memory, &request, &block) == STATUS_OK)
		;
}

static unsigned take_buffers(const struct device *device, const struct dma_request *request, struct dma_buffer **buffers,
			     unsigned most)
{
	unsigned count = 0;

	while (count < most && dma_alloc(memory_dma(memory), device, request, &buffers[count]) == STATUS_OK)
		count++;
	return count;
}

static void free_buffers(struct dma_buffer **buffers, unsigned count)
{
	while (count > 0)
		dma_free(memory_dma(memory), buffers[--count]);
}

START_TEST(frames_of_a_piece_take_a_piece_each)
{
	struct dma_buffer *frames[32];

	setup(16, 4 * MIB);
	take_all_memory();
	for (unsigned segments = 0; segments < 2; segments++) {
		const struct dma_request request = { .bytes = 4 * MIB, .segments_max = segments };
		const unsigned count = take_buffers(&devices[0], &request, frames, 32);

		ck_assert_uint_eq(count, 16);
		free_buffers(frames, count);
	}
}
END_TEST

START_TEST(runs_of_one_request_share_pieces)
{
	struct dma_buffer *buffer;

	setup(4, 4 * MIB);
	take_all_memory();
	for (uint64_t mb = 2; mb <= 16; mb++) {
		const struct dma_request request = { .bytes = mb * MIB };

		ck_assert_int_eq(dma_alloc(memory_dma(memory), &devices[0], &request, &buffer), STATUS_OK);
		ck_assert_uint_eq(guarantee_statistics(guarantee).out, divide_round_up(mb, 4));
		memset(buffer->memory, (int)mb, buffer->bytes);
		dma_free(memory_dma(memory), buffer);
	}
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &devices[0], &(struct dma_request){ .bytes = 16 * MIB + 1 }, &buffer),
			 STATUS_NO_MEMORY);
}
END_TEST

START_TEST(sixteen_megabytes_are_1024_objects_of_16_kb)
{
	static struct dma_buffer *buffers[1025];
	const struct dma_request request = { .bytes = 16 * KIB };
	const struct dma_request one = { .bytes = 4 * MIB, .segments_max = 1 };
	struct dma_buffer *rest[5];

	setup(5, 4 * MIB);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[0], 16 * MIB), STATUS_OK);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[1], 8 * MIB), STATUS_NO_MEMORY);
	platform_preempt_disable(); /* as in a handler, nothing may be waited for */
	take_all_memory();
	ck_assert_uint_eq(take_buffers(&devices[1], &one, rest, 5), 1);
	ck_assert_uint_eq(take_buffers(&devices[0], &request, buffers, 1025), 1024);
	for (unsigned i = 0; i < 1024; i++)
		memset(buffers[i]->memory, (int)i, buffers[i]->bytes);
	free_buffers(buffers, 1024);
	free_buffers(rest, 1);
	platform_preempt_enable();
}
END_TEST

/* A boundary below the object's length, and more segments than one record has room for. */
START_TEST(what_a_cut_satisfies_is_cut)
{
	const struct device narrow = { .name = "narrow", .dma_mask = UINT64_MAX, .dma_boundary_bytes = 64 * KIB };
	const struct device short_segments = { .name = "short", .dma_mask = UINT64_MAX, .dma_segment_bytes_max = 64 };
	struct dma_buffer *buffer;

	setup(4, 4 * MIB);
	take_all_memory();
	for (uint64_t bytes = 4 * KIB; bytes <= 16 * MIB; bytes *= 2) {
		ck_assert_int_eq(dma_alloc(memory_dma(memory), &narrow, &(struct dma_request){ .bytes = bytes }, &buffer),
				 STATUS_OK);
		ck_assert_uint_eq(buffer->segment_count, divide_round_up(bytes, 64 * KIB));
		for (uint32_t i = 0; i < buffer->segment_count; i++)
			ck_assert_uint_eq(buffer->segments[i].start.value / (64 * KIB),
					  (buffer->segments[i].start.value + buffer->segments[i].bytes - 1) / (64 * KIB));
		dma_free(memory_dma(memory), buffer);
	}
	platform_preempt_disable();
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &short_segments, &(struct dma_request){ .bytes = 64 * KIB }, &buffer),
			 STATUS_OK);
	ck_assert_uint_eq(buffer->segment_count, 1024);
	dma_free(memory_dma(memory), buffer);
	platform_preempt_enable();
}
END_TEST

START_TEST(waiting_requests_leave_the_rest_to_those_that_must_not)
{
	const struct dma_request never = { .bytes = 4 * MIB, .segments_max = 1 };
	struct dma_request until = { .bytes = 4 * MIB, .segments_max = 1, .wait = MEMORY_WAIT_DEADLINE };
	struct dma_buffer *buffers[4];

	host_clock_set(HOST_CLOCK_ALONE);
	setup(4, 4 * MIB);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[0], 8 * MIB), STATUS_OK);
	take_all_memory();
	until.deadline_ns = platform_now_ns() + NS_PER_MS;
	ck_assert_uint_eq(take_buffers(&devices[1], &until, buffers, 4), 0);
	ck_assert_uint_eq(take_buffers(&devices[0], &until, buffers, 4), 2);
	free_buffers(buffers, 2);
	ck_assert_uint_eq(take_buffers(&devices[1], &never, buffers, 4), 2);
	free_buffers(buffers, 2);
	ck_assert_uint_eq(take_buffers(&devices[0], &never, buffers, 4), 4);
	free_buffers(buffers, 4);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

START_TEST(a_reservation_ends_with_its_last_piece)
{
	const struct device low = { .name = "low", .dma_mask = MACHINE_START + MIB };
	const struct dma_request request = { .bytes = 16 * KIB };
	struct dma_buffer *buffer;

	setup(4, 4 * MIB);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &low, MIB), STATUS_RANGE);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[0], 0), STATUS_INVALID);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[0], UINT64_MAX), STATUS_NO_MEMORY);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[0], 12 * MIB), STATUS_OK);
	platform_preempt_disable();
	take_all_memory();
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &devices[0], &request, &buffer), STATUS_OK);
	platform_preempt_enable();
	dma_guarantee_end(memory_dma(memory), &devices[0]);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, 1);
	/* The next driver of the device begins anew. */
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[0], 4 * MIB), STATUS_OK);
	dma_free(memory_dma(memory), buffer);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, 3);
	dma_guarantee_end(memory_dma(memory), &devices[0]);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, 4);
}
END_TEST

/* Threads within what each reserved ---------------------------------------------------------------------------------------- */

#define THREADS 4

/* Of each size at most a piece's objects at once: so each size takes one piece at most. */
#define SIZES  5
#define HELD   64
#define ROUNDS 200000

static const uint64_t sizes[SIZES] = { 4 * KIB, 16 * KIB, 64 * KIB, MIB, 4 * MIB };

static uint64_t rounds(void)
{
	const char *text = getenv("GUARANTEE_ROUNDS");

	return text ? strtoull(text, NULL, 0) : ROUNDS;
}

static _Atomic uint64_t refused;
static _Atomic unsigned at_work;

/* Each thread has a device of its own, or all have one. */
static void take_within(const struct device *device, struct random *random)
{
	struct phys_addr held[SIZES][HELD];
	unsigned counts[SIZES] = { 0 };

	for (uint64_t i = 0; i < rounds() / THREADS; i++) {
		const unsigned size = (unsigned)random_below(random, SIZES);
		const unsigned most = (unsigned)MIN(4 * MIB / sizes[size], HELD);

		if (counts[size] < most && random_below(random, 2) == 0) {
			if (guarantee_take(guarantee, device, sizes[size], false, &held[size][counts[size]]))
				counts[size]++;
			else
				atomic_fetch_add(&refused, 1);
		} else if (counts[size] > 0) {
			guarantee_give(guarantee, held[size][--counts[size]]);
		}
	}
	for (unsigned size = 0; size < SIZES; size++)
		while (counts[size] > 0)
			guarantee_give(guarantee, held[size][--counts[size]]);
}

static void taker(void *context, unsigned index)
{
	struct random random;

	(void)context;
	random_seed(&random, index);
	if (index == THREADS) {
		while (atomic_load(&at_work) > 0)
			(void)guarantee_keep(guarantee);
		return;
	}
	take_within(&devices[index], &random);
	atomic_fetch_sub(&at_work, 1);
}

START_TEST(threads_within_their_reservations_are_never_refused)
{
	setup(THREADS * SIZES, 4 * MIB);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &devices[i], SIZES * 4 * MIB), STATUS_OK);
	at_work = THREADS;
	host_threads_run(THREADS + 1, taker, NULL);
	ck_assert_uint_eq(refused, 0);
	ck_assert(guarantee_is_valid(guarantee));
	ck_assert_uint_eq(guarantee_statistics(guarantee).out, 0);
	machine_fini(&machine);
}
END_TEST

/* As many pieces as threads, each of which has one out at most. */
static void piece_taker(void *context, unsigned index)
{
	(void)context;
	for (uint64_t i = 0; i < rounds() / THREADS; i++) {
		struct phys_addr piece;

		if (guarantee_take(guarantee, &devices[index], 4 * MIB, true, &piece))
			guarantee_give(guarantee, piece);
		else
			atomic_fetch_add(&refused, 1);
	}
}

START_TEST(threads_without_reservations_get_all_that_is_guaranteed)
{
	setup(THREADS, 4 * MIB);
	host_threads_run(THREADS, piece_taker, NULL);
	ck_assert_uint_eq(refused, 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("guarantee_accounts", a_take_succeeds_exactly_where_the_counts_allow, frames_of_a_piece_take_a_piece_each,
	       runs_of_one_request_share_pieces, sixteen_megabytes_are_1024_objects_of_16_kb, what_a_cut_satisfies_is_cut,
	       waiting_requests_leave_the_rest_to_those_that_must_not, a_reservation_ends_with_its_last_piece,
	       threads_within_their_reservations_are_never_refused, threads_without_reservations_get_all_that_is_guaranteed)
