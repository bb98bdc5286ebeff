// SPDX-License-Identifier: BSD-2-Clause
/*
 * The guarantee's counts and objects against an obvious model: reserved first, then found. The
 * model knows for each account which pieces it has out, for which size, and how many objects are in
 * them.
 */
#include <stdlib.h>

#include "fake/guarantee_fixture.h"
#include "fake/reserving_machine.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct guarantee *const guarantee = &machine.memory.guarantee;

/* Requests for DMA memory, with nothing else free ---------------------------------------------- */

static struct owner memhog;

/* All other memory is taken, but for some objects of the general heap. */
static void take_all_memory(void)
{
	const struct memory_request request = { .blocks = 1, .owner = &memhog, .wait = MEMORY_WAIT_NEVER, .below_min = true };
	const struct dma_request warm = { .bytes = 64 };
	struct dma_buffer *buffer;
	struct phys_addr block;

	ck_assert_int_eq(dma_alloc(memory_dma(memory), &reserving_devices[0], &warm, &buffer), STATUS_OK);
	owner_init(&memhog, "memhog", false);
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

	machine_with_pieces(&machine, 16, 4 * MIB);
	take_all_memory();
	for (unsigned segments = 0; segments < 2; segments++) {
		const struct dma_request request = { .bytes = 4 * MIB, .segments_max = segments };
		const unsigned count = take_buffers(&reserving_devices[0], &request, frames, 32);

		ck_assert_uint_eq(count, 16);
		free_buffers(frames, count);
	}
}
END_TEST

START_TEST(runs_of_one_request_share_pieces)
{
	struct dma_buffer *buffer;

	machine_with_pieces(&machine, 4, 4 * MIB);
	take_all_memory();
	for (uint64_t mb = 2; mb <= 16; mb++) {
		const struct dma_request request = { .bytes = mb * MIB };

		ck_assert_int_eq(dma_alloc(memory_dma(memory), &reserving_devices[0], &request, &buffer), STATUS_OK);
		ck_assert_uint_eq(guarantee_statistics(guarantee).out, divide_round_up(mb, 4));
		memset(buffer->memory, (int)mb, buffer->bytes);
		dma_free(memory_dma(memory), buffer);
	}
	ck_assert_int_eq(
		dma_alloc(memory_dma(memory), &reserving_devices[0], &(struct dma_request){ .bytes = 16 * MIB + 1 }, &buffer),
		STATUS_NO_MEMORY);
}
END_TEST

START_TEST(sixteen_megabytes_are_1024_objects_of_16_kb)
{
	static struct dma_buffer *buffers[1025];
	const struct dma_request request = { .bytes = 16 * KIB };
	const struct dma_request one = { .bytes = 4 * MIB, .segments_max = 1 };
	struct dma_buffer *rest[5];

	machine_with_pieces(&machine, 5, 4 * MIB);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[0], 16 * MIB), STATUS_OK);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[1], 8 * MIB), STATUS_NO_MEMORY);
	platform_preempt_disable(); /* as in a handler, nothing may be waited for */
	take_all_memory();
	ck_assert_uint_eq(take_buffers(&reserving_devices[1], &one, rest, 5), 1);
	ck_assert_uint_eq(take_buffers(&reserving_devices[0], &request, buffers, 1025), 1024);
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

	machine_with_pieces(&machine, 4, 4 * MIB);
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
	machine_with_pieces(&machine, 4, 4 * MIB);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[0], 8 * MIB), STATUS_OK);
	take_all_memory();
	until.deadline_ns = platform_now_ns() + NS_PER_MS;
	ck_assert_uint_eq(take_buffers(&reserving_devices[1], &until, buffers, 4), 0);
	ck_assert_uint_eq(take_buffers(&reserving_devices[0], &until, buffers, 4), 2);
	free_buffers(buffers, 2);
	ck_assert_uint_eq(take_buffers(&reserving_devices[1], &never, buffers, 4), 2);
	free_buffers(buffers, 2);
	ck_assert_uint_eq(take_buffers(&reserving_devices[0], &never, buffers, 4), 4);
	free_buffers(buffers, 4);
	host_clock_set(HOST_CLOCK_REAL);
}
END_TEST

START_TEST(a_reservation_ends_with_its_last_piece)
{
	const struct device low = { .name = "low", .dma_mask = MACHINE_START + MIB };
	const struct dma_request request = { .bytes = 16 * KIB };
	struct dma_buffer *buffer;

	machine_with_pieces(&machine, 4, 4 * MIB);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &low, MIB), STATUS_RANGE);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[0], 0), STATUS_INVALID);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[0], UINT64_MAX), STATUS_NO_MEMORY);
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[0], 12 * MIB), STATUS_OK);
	platform_preempt_disable();
	take_all_memory();
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &reserving_devices[0], &request, &buffer), STATUS_OK);
	platform_preempt_enable();
	dma_guarantee_end(memory_dma(memory), &reserving_devices[0]);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, 1);
	/* The next driver of the device begins anew. */
	ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[0], 4 * MIB), STATUS_OK);
	dma_free(memory_dma(memory), buffer);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, 3);
	dma_guarantee_end(memory_dma(memory), &reserving_devices[0]);
	ck_assert_uint_eq(guarantee_statistics(guarantee).unreserved, 4);
}
END_TEST

/* Threads within what each reserved ------------------------------------------------------------ */

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
			(void)guarantee_refill(guarantee);
		return;
	}
	take_within(&reserving_devices[index], &random);
	atomic_fetch_sub(&at_work, 1);
}

START_TEST(threads_within_their_reservations_are_never_refused)
{
	machine_with_pieces(&machine, THREADS * SIZES, 4 * MIB);
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(dma_guarantee_reserve(memory_dma(memory), &reserving_devices[i], SIZES * 4 * MIB), STATUS_OK);
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

		if (guarantee_take(guarantee, &reserving_devices[index], 4 * MIB, true, &piece))
			guarantee_give(guarantee, piece);
		else
			atomic_fetch_add(&refused, 1);
	}
}

START_TEST(threads_without_reservations_get_all_that_is_guaranteed)
{
	machine_with_pieces(&machine, THREADS, 4 * MIB);
	host_threads_run(THREADS, piece_taker, NULL);
	ck_assert_uint_eq(refused, 0);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("guarantee_accounts", frames_of_a_piece_take_a_piece_each, runs_of_one_request_share_pieces,
	       sixteen_megabytes_are_1024_objects_of_16_kb, what_a_cut_satisfies_is_cut,
	       waiting_requests_leave_the_rest_to_those_that_must_not, a_reservation_ends_with_its_last_piece,
	       threads_within_their_reservations_are_never_refused, threads_without_reservations_get_all_that_is_guaranteed)
