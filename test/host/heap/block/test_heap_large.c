// SPDX-License-Identifier: BSD-2-Clause
/*
 * The block heap of a large machine: long runs change hands, and are searched for, in pieces, with
 * the lock free in between. So others come in the middle of it, and must neither get what is on its
 * way nor see it wrongly once it is done.
 */
#include "heap/block/owner_snapshot.h"

#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "heap/block/window.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define FIRST_BLOCK 64ull    /* below 256 MB, and far beyond 4 GB */
#define BLOCKS      12000ull /* several strides of a search */
#define RUN_MAX     3000ull  /* several pieces */
#define LAST_BYTE   (((FIRST_BLOCK + BLOCKS) << BLOCK_SHIFT) - 1)
#define THREADS     4
#define STEPS       100

/* What another CPU does while the lock is free; the linker has the heap call this one. */
void __wrap_spinlock_give_way(struct spinlock *lock);
static void (*come_between)(void);

void __wrap_spinlock_give_way(struct spinlock *lock)
{
	spinlock_unlock(lock);
	come_between();
	spinlock_lock(lock);
}

static struct block_heap heap;
static struct owner owners[3];
static _Atomic uint32_t block_holder[BLOCKS]; /* the holder of each block, as the takers know it */

static void *setup(void)
{
	const struct phys_range range = { { FIRST_BLOCK << BLOCK_SHIFT }, BLOCKS << BLOCK_SHIFT };
	void *metadata = malloc(block_heap_metadata_bytes(&range, 1));

	ck_assert_int_eq(block_heap_init(&heap, &range, 1, metadata), STATUS_OK);
	owner_init(&owners[0], "fixed", false);
	owner_init(&owners[1], "movable", true);
	owner_init(&owners[2], "another", true);
	return metadata;
}

static void teardown(void *metadata)
{
	ck_assert(block_heap_is_valid(&heap));
	ck_assert_uint_eq(block_heap_free_bytes(&heap), BLOCKS << BLOCK_SHIFT);
	free(metadata);
}

static uint64_t index_of(struct phys_addr address)
{
	return (address.value >> BLOCK_SHIFT) - FIRST_BLOCK;
}

static uint64_t random_length(struct random *random)
{
	switch (random_below(random, 3)) {
	case 0:
		return 1 + random_below(random, 4);
	case 1:
		return 1 + random_below(random, 200);
	default:
		return 1 + random_below(random, RUN_MAX);
	}
}

/* The caller is the only one who says that it has the run. */
static void note(struct phys_addr run, uint64_t blocks, uint32_t before, uint32_t after)
{
	for (uint64_t i = 0; i < blocks; i++)
		ck_assert_uint_eq(atomic_exchange(&block_holder[index_of(run) + i], after), before);
}

struct run {
	struct phys_addr start;
	uint64_t blocks;
};

static void run_let_go(struct run *run, uint32_t self)
{
	note(run->start, run->blocks, self, 0);
	ck_assert_uint_eq(block_heap_free(&heap, run->start), run->blocks);
	run->blocks = 0;
}

static void take_and_free(void *context, unsigned index)
{
	struct run own[8] = { 0 };
	struct random random;

	(void)context;
	random_seed(&random, 100 + index);
	for (unsigned step = 0; step < STEPS; step++) {
		struct run *run = &own[random_below(&random, ARRAY_LENGTH(own))];
		const struct run_request request = {
			.blocks = random_length(&random),
			.owner = &owners[random_below(&random, 2)],
			.constraints = { .alignment_bytes = BLOCK_BYTES << random_below(&random, 4) },
		};

		if (run->blocks > 0) {
			run_let_go(run, index + 1);
		} else if (block_heap_alloc(&heap, &request, &run->start) == STATUS_OK) {
			run->blocks = request.blocks;
			note(run->start, run->blocks, 0, index + 1);
			if (random_below(&random, 4) == 0)
				block_heap_hand_over(&heap, run->start, run->blocks, &owners[2]);
		}
	}
	for (unsigned i = 0; i < ARRAY_LENGTH(own); i++)
		if (own[i].blocks > 0)
			run_let_go(&own[i], index + 1);
}

static void look(struct random *random)
{
	struct owner_snapshot found[OWNER_SNAPSHOT_MAX];
	const struct run_request request = { .blocks = 1 + random_below(random, RUN_MAX), .owner = &owners[0] };
	struct nearest_window nearest;
	struct window window;

	(void)owner_snapshot_within(&heap, (struct phys_addr){ 0 }, (struct phys_addr){ LAST_BYTE }, found);
	(void)owner_snapshot_nearest_window(&heap, request.blocks, &request.constraints, &nearest);
	(void)window_find(&heap, &request, &window);
	ck_assert_uint_le(block_heap_free_within(&heap, (struct phys_addr){ 0 }, (struct phys_addr){ LAST_BYTE / 2 }), BLOCKS);
}

static void take_and_look(void *context, unsigned index)
{
	struct random random;

	if (index < THREADS) {
		take_and_free(context, index);
		return;
	}
	random_seed(&random, 7);
	for (unsigned i = 0; i < STEPS / 20; i++)
		look(&random);
}

START_TEST(threads_never_share_a_block)
{
	void *metadata = setup();

	memset(block_holder, 0, sizeof(block_holder));
	come_between = platform_yield;
	host_threads_run(THREADS + 1, take_and_look, NULL);
	teardown(metadata);
}
END_TEST

static bool model_fits(uint64_t start, const struct run_request *request)
{
	const struct block_constraints *constraints = &request->constraints;
	const uint64_t first = (FIRST_BLOCK + start) << BLOCK_SHIFT, bytes = request->blocks << BLOCK_SHIFT;

	return is_aligned(first, MAX(constraints->alignment_bytes, 1)) && first >= constraints->lowest.value &&
	       (constraints->highest.value == 0 || first + bytes - 1 <= constraints->highest.value) &&
	       (constraints->boundary_bytes == 0 ||
		align_down(first, constraints->boundary_bytes) == align_down(first + bytes - 1, constraints->boundary_bytes));
}

/* Every start, one after the other. */
static bool model_can(const struct run_request *request)
{
	uint64_t length = 0;

	for (uint64_t i = BLOCKS; i-- > 0;) {
		length = atomic_load(&block_holder[i]) == 0 ? length + 1 : 0;
		if (length >= request->blocks && model_fits(i, request))
			return true;
	}
	return false;
}

static struct run_request random_request(struct random *random)
{
	struct run_request request = { .blocks = random_length(random), .owner = &owners[random_below(random, 2)] };

	if (random_below(random, 3) == 0)
		request.constraints.alignment_bytes = BLOCK_BYTES << random_below(random, 10);
	if (random_below(random, 4) == 0)
		request.constraints.boundary_bytes = BLOCK_BYTES << (log2_ceil(request.blocks) + random_below(random, 3));
	if (random_below(random, 4) == 0)
		request.constraints.lowest.value = random_below(random, LAST_BYTE);
	if (random_below(random, 4) == 0)
		request.constraints.highest.value = 1 + random_below(random, LAST_BYTE);
	return request;
}

static void expect_counts(struct random *random)
{
	const struct phys_addr lowest = { random_below(random, LAST_BYTE) };
	const struct phys_addr highest = { lowest.value + random_below(random, LAST_BYTE - lowest.value) };
	uint64_t expected = 0;

	for (uint64_t i = 0; i < BLOCKS; i++) {
		const uint64_t first = (FIRST_BLOCK + i) << BLOCK_SHIFT;

		expected +=
			atomic_load(&block_holder[i]) == 0 && first >= lowest.value && first + BLOCK_BYTES - 1 <= highest.value;
	}
	ck_assert_uint_eq(block_heap_free_within(&heap, lowest, highest), expected);
}

#define RUNS 40

static struct run runs[2][RUNS]; /* of the test, and of the taker that comes between */
static struct random random_between;
static unsigned came_between;

static void run_take(struct run *run, const struct run_request *request, uint32_t self)
{
	if (block_heap_alloc(&heap, request, &run->start) != STATUS_OK)
		return;
	run->blocks = request->blocks;
	ck_assert(model_fits(index_of(run->start), request));
	note(run->start, run->blocks, 0, self);
}

static void take_or_free_between(void)
{
	static bool under_way;
	struct run *run = &runs[1][random_below(&random_between, RUNS)];

	if (under_way)
		return;
	under_way = true;
	came_between++;
	if (run->blocks > 0) {
		run_let_go(run, 2);
	} else {
		const struct run_request request = random_request(&random_between);

		run_take(run, &request, 2);
	}
	under_way = false;
}

static void nothing(void)
{
}

/* If nothing has come between, a request is refused only if there is no such run. */
static void take_or_free(struct run *run, struct random *random)
{
	const struct run_request request = random_request(random);
	const unsigned before = came_between;

	if (run->blocks > 0) {
		run_let_go(run, 1);
		return;
	}
	const bool can = model_can(&request);
	run_take(run, &request, 1);
	if (came_between == before)
		ck_assert_int_eq(run->blocks > 0, can);
	if (run->blocks > 0 && random_below(random, 4) == 0)
		block_heap_hand_over(&heap, run->start, run->blocks, &owners[2]);
}

START_TEST(long_runs_follow_the_model)
{
	void *metadata = setup();
	struct random random;

	come_between = take_or_free_between;
	random_seed(&random, 3);
	random_seed(&random_between, 4);
	for (unsigned step = 0; step < 500; step++) {
		take_or_free(&runs[0][random_below(&random, RUNS)], &random);
		if (step % 10 == 0)
			expect_counts(&random);
		if (step % 100 == 0)
			ck_assert(block_heap_is_valid(&heap));
	}
	ck_assert_uint_gt(came_between, 300);
	come_between = nothing;
	for (unsigned i = 0; i < 2 * RUNS; i++)
		if (runs[i / RUNS][i % RUNS].blocks > 0)
			run_let_go(&runs[i / RUNS][i % RUNS], i / RUNS + 1);
	teardown(metadata);
}
END_TEST

static struct phys_addr taken_between;

static void take_nearly_all(void)
{
	const struct run_request request = { .blocks = BLOCKS - 3000, .owner = &owners[0] };

	come_between = nothing;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &taken_between), STATUS_OK);
}

START_TEST(what_is_kept_is_kept_whoever_comes_between)
{
	void *metadata = setup();
	struct run_request request = { .blocks = 1000, .owner = &owners[1], .leave_free = 2001 };
	struct phys_addr run;

	come_between = take_nearly_all;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_NO_MEMORY);
	request.leave_free = 2000;
	ck_assert_int_eq(block_heap_alloc(&heap, &request, &run), STATUS_OK);
	block_heap_free(&heap, run);
	block_heap_free(&heap, taken_between);
	teardown(metadata);
}
END_TEST

START_TEST(owners_are_counted_once)
{
	void *metadata = setup();
	const struct run_request long_one = { .blocks = 9000, .owner = &owners[0] };
	const struct run_request short_one = { .blocks = 17, .owner = &owners[1] };
	struct owner_snapshot found[OWNER_SNAPSHOT_MAX];
	struct phys_addr taken[2];

	come_between = nothing;
	ck_assert_int_eq(block_heap_alloc(&heap, &long_one, &taken[0]), STATUS_OK);
	ck_assert_int_eq(block_heap_alloc(&heap, &short_one, &taken[1]), STATUS_OK);
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_eq(owner_snapshot_within(&heap, (struct phys_addr){ 0 }, (struct phys_addr){ LAST_BYTE }, found),
				  2);
		ck_assert_ptr_eq(found[0].owner, &owners[0]);
		ck_assert_uint_eq(found[0].blocks, 9000);
		ck_assert_str_eq(found[1].name, "movable");
		ck_assert_uint_eq(found[1].blocks, 17);
	}
	const struct phys_addr middle = { taken[0].value + 8 * BLOCK_BYTES };
	ck_assert_uint_eq(owner_snapshot_within(&heap, middle, (struct phys_addr){ middle.value + BLOCK_BYTES - 1 }, found), 1);
	ck_assert_uint_eq(found[0].blocks, 1);
	block_heap_free(&heap, taken[0]);
	block_heap_free(&heap, taken[1]);
	teardown(metadata);
}
END_TEST

HOST_TEST_MAIN("heap_large", threads_never_share_a_block, long_runs_follow_the_model,
	       what_is_kept_is_kept_whoever_comes_between, owners_are_counted_once)
