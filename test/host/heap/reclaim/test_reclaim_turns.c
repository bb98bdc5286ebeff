// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turns of reclaim: a request that must not wait waits for one block's work of others at most, no
 * matter what those do, and the others still get what they ask for. Work is counted in blocks, by
 * the thread that does it. And what a request has cleaned is what a look at all blocks says: so
 * much at its addresses, and so much anywhere that enough stays free.
 */
#include "fake/block_cache.h"
#include "fake/heap_fixture.h"
#include "heap/block/window.h"
#include "host/host_test.h"
#include "runtime/base/random.h"

static struct memory *const memory = &block_cache_machine.memory;

/* One at work, others in line ------------------------------------------------------------------ */

enum kind {
	KIND_SINGLE, /* blocks from anywhere */
	KIND_LOW,    /* from the lower half */
	KIND_RUN,    /* in one piece */
	KIND_DRAIN,
	KINDS,
};

/*
 * Thread 0 begins, those up to `hurried` come in the middle of one of its blocks and wait, then
 * those that must not.
 */
static struct {
	enum kind kind[THREADS];
	uint32_t blocks[THREADS];
	unsigned threads, hurried;
	uint64_t at_block; /* of thread 0's work */
	_Atomic unsigned called;
	uint64_t work_before[THREADS];  /* of requests without a deadline, when the thread asked */
	uint64_t patient_work[THREADS]; /* until it began with its own last block */
	status_t status[THREADS];
} play;

static size_t line_length(void)
{
	size_t length = 0;

	spinlock_lock(&memory->reclaim.lock.lock);
	list_for_each (link, &memory->reclaim.lock.line)
		length++;
	spinlock_unlock(&memory->reclaim.lock.lock);
	return length;
}

static uint64_t work_of_the_patient(void)
{
	uint64_t work = 0;

	for (unsigned i = 0; i < play.hurried; i++)
		work += atomic_load(&block_cache.work[i]);
	return work;
}

/* Thread 0 calls the others, each when those before it stand in line, and goes on when all do. */
static void call_the_others(void)
{
	play.patient_work[block_cache_thread] = work_of_the_patient() - play.work_before[block_cache_thread];
	if (block_cache_thread != 0 || atomic_load(&block_cache.work[0]) != play.at_block || atomic_load(&play.called) != 0)
		return;
	for (unsigned i = 1; i < play.threads; i++) {
		atomic_store(&play.called, i);
		while (line_length() != i)
			platform_yield();
	}
}

static status_t take_and_free(enum kind kind, uint32_t blocks, enum memory_wait wait)
{
	struct memory_request request = { .blocks = 1, .owner = &(struct owner){ 0 }, .wait = wait };
	struct phys_addr runs[BLOCKS];
	uint32_t count = blocks;
	struct owner owner;
	status_t status;

	if (kind == KIND_DRAIN)
		return memory_drain(memory, blocks * BLOCK_BYTES, false) >= blocks * BLOCK_BYTES ? STATUS_OK : STATUS_NO_MEMORY;
	owner_init(&owner, "thread", false);
	request.owner = &owner;
	if (kind == KIND_LOW)
		request.constraints.highest.value = address_of(BLOCKS / 2).value - 1;
	if (kind == KIND_RUN) {
		request.blocks = blocks;
		count = 1;
	}
	status = reclaim_blocks_alloc(memory_reclaim(memory), &request, count, runs);
	for (uint32_t i = 0; status == STATUS_OK && i < count; i++)
		memory_blocks_free(memory, runs[i]);
	return status;
}

static void perform(void *context, unsigned index)
{
	const enum memory_wait wait = index < play.hurried ? MEMORY_WAIT_FOREVER : MEMORY_WAIT_NEVER;

	(void)context;
	block_cache_thread = index;
	while (atomic_load(&play.called) < index)
		platform_yield();
	play.work_before[index] = work_of_the_patient();
	play.status[index] = take_and_free(play.kind[index], play.blocks[index], wait);
	if (index == 0) /* it may have found a window with little to do */
		atomic_store(&play.called, play.threads);
}

START_TEST(threads_that_must_not_wait_wait_for_one_block_of_others)
{
	unsigned interrupted = 0, given = 0, refused = 0;
	struct random random;

	random_seed(&random, 8);
	for (unsigned loop = 0; loop < 150; loop++) {
		uint64_t wanted = 0;

		block_cache_init(MIN_FREE, call_the_others);
		block_cache_take(MIN_FREE);
		memset(&play, 0, sizeof(play));
		play.threads = 2 + (unsigned)random_below(&random, THREADS - 1);
		play.hurried = 1 + (unsigned)random_below(&random, play.threads - 1);
		for (unsigned i = 0; i < play.threads; i++) {
			/* A drain that must not wait is none. */
			play.kind[i] = (enum kind)random_below(&random, i < play.hurried ? KINDS : KIND_DRAIN);
			play.blocks[i] = 1 + (uint32_t)random_below(&random, 8);
			wanted += play.blocks[i];
		}
		play.blocks[0] += 4;
		/* What a drain has freed others find without a turn. */
		play.at_block = play.kind[0] == KIND_DRAIN ? 0 : random_below(&random, play.blocks[0]);
		host_threads_run(play.threads, perform, NULL);
		for (unsigned i = 0; i < play.threads; i++) {
			if (i < play.hurried) {
				ck_assert_int_eq(play.status[i], STATUS_OK);
				continue;
			}
			interrupted++;
			ck_assert_uint_le(play.patient_work[i], 1);
			ck_assert(play.status[i] == STATUS_OK ||
				  (play.kind[i] == KIND_RUN && play.status[i] == STATUS_NO_MEMORY));
			given += play.status[i] == STATUS_OK;
			refused += play.status[i] != STATUS_OK;
		}
		/*
		 * Each has no more cleaned than it asks for, and a block, but for windows that
		 * others spoilt.
		 */
		uint64_t cleaned = 0;
		bool only_single = true;
		for (unsigned i = 0; i < play.threads; i++) {
			cleaned += atomic_load(&block_cache.work[i]);
			only_single = only_single && play.kind[i] == KIND_SINGLE;
		}
		if (only_single)
			ck_assert_uint_le(cleaned, wanted + 4 + play.threads);
		block_cache_fini();
	}
	ck_assert_uint_gt(interrupted, 150);
	ck_assert_uint_gt(given, 10 * refused);
}
END_TEST

/* All at once ---------------------------------------------------------------------------------- */

static void crowd(void *context, unsigned index)
{
	struct random random;

	(void)context;
	block_cache_thread = index;
	random_seed(&random, index + 40);
	for (unsigned i = 0; i < 60; i++) {
		const enum memory_wait waits[] = { MEMORY_WAIT_NEVER, MEMORY_WAIT_FOREVER };
		const enum kind kind = (enum kind)random_below(&random, KINDS);
		const enum memory_wait wait = waits[random_below(&random, 2)];
		const status_t status = take_and_free(kind, 1 + (uint32_t)random_below(&random, 6), wait);

		ck_assert(status == STATUS_OK || kind == KIND_DRAIN || wait == MEMORY_WAIT_NEVER);
		if (random_below(&random, 4) == 0)
			block_cache_take(MIN_FREE + 2);
	}
}

START_TEST(threads_in_a_crowd_all_get_theirs)
{
	block_cache_init(MIN_FREE, NULL);
	block_cache_take(MIN_FREE);
	host_threads_run(THREADS, crowd, NULL);
	block_cache_fini();
}
END_TEST

/* Each has a place of its own emptied, into the one block that is free. */
static _Atomic bool all_came;

static void wait_for_all(void)
{
	uint64_t work = 0;

	for (unsigned i = 0; i < THREADS; i++)
		work += atomic_load(&block_cache.work[i]);
	ck_assert_uint_le(work, 3 * THREADS);
	if (!atomic_exchange(&all_came, true))
		while (line_length() != THREADS - 1)
			platform_yield();
}

static void take_one(void *context, unsigned index)
{
	(void)context;
	block_cache_thread = index;
	ck_assert_int_eq(take_and_free(KIND_SINGLE, 1, MEMORY_WAIT_NEVER), STATUS_OK);
}

START_TEST(threads_do_not_take_each_others_emptied_places_without_end)
{
	block_cache_init(0, wait_for_all);
	block_cache.exchanges = true;
	block_cache_take(0);
	atomic_store(&block_cache.has[0], false);
	memory_blocks_free(memory, address_of(0));
	host_threads_run(THREADS, take_one, NULL);
	block_cache_fini();
}
END_TEST

/*
 * More wanted than there is: each alone can have what it asks for, and gives all of it back. Runs
 * lie anywhere: each leaves a gap before it that is too short, at most.
 */
#define MOST_BLOCKS 70

static void want_most(void *context, unsigned index)
{
	struct random random;

	(void)context;
	block_cache_thread = index;
	random_seed(&random, index + 60);
	for (unsigned i = 0; i < 40; i++) {
		struct phys_addr runs[MOST_BLOCKS];
		struct owner owner;
		const uint64_t blocks = 1 + (random_below(&random, 2) ? random_below(&random, 6) : 0);
		const uint32_t count = 1 + (uint32_t)random_below(&random, MOST_BLOCKS / (2 * blocks - 1));
		const struct memory_request request = {
			.blocks = blocks,
			.last_blocks = random_below(&random, blocks),
			.owner = &owner,
			.wait = MEMORY_WAIT_FOREVER,
		};

		owner_init(&owner, "thread", false);
		ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, count, runs), STATUS_OK);
		ck_assert_uint_eq(owner.blocks, blocks * (count - 1) + (request.last_blocks ? request.last_blocks : blocks));
		platform_yield();
		for (uint32_t k = 0; k < count; k++)
			memory_blocks_free(memory, runs[k]);
		if (random_below(&random, 4) == 0)
			block_cache_take(MIN_FREE);
	}
}

START_TEST(threads_that_together_want_more_than_there_is_all_get_theirs)
{
	block_cache_init(0, NULL);
	host_threads_run(THREADS, want_most, NULL);
	block_cache_fini();
}
END_TEST

/* The middle of its four blocks is free at first. What it takes there leaves no second run. */
static struct phys_addr outer[4];

static void ask_or_free(void *context, unsigned index)
{
	const struct memory_request request = {
		.blocks = 2,
		.constraints.highest = { address_of(4).value - 1 },
		.owner = context,
		.wait = MEMORY_WAIT_FOREVER,
	};
	struct phys_addr runs[2];

	if (index == 1) {
		while (atomic_load(&memory->reclaim.waiters) == 0)
			platform_yield();
		memory_blocks_free(memory, outer[0]);
		memory_blocks_free(memory, outer[3]);
		return;
	}
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 2, runs), STATUS_OK);
	memory_blocks_free(memory, runs[0]);
	memory_blocks_free(memory, runs[1]);
}

START_TEST(threads_have_nothing_of_their_own_in_their_way)
{
	struct owner owner;

	block_cache_init(0, NULL);
	owner_init(&owner, "owner", false);
	for (uint64_t i = 0; i < 4; i++) {
		const struct memory_request request = {
			.blocks = 1,
			.constraints = { .lowest = address_of(i), .highest = { address_of(i + 1).value - 1 } },
			.owner = &owner,
		};

		ck_assert_int_eq(memory_blocks_alloc(memory, &request, &outer[i]), STATUS_OK);
	}
	memory_blocks_free(memory, outer[1]);
	memory_blocks_free(memory, outer[2]);
	host_threads_run(2, ask_or_free, &owner);
	block_cache_fini();
}
END_TEST

/* Another cleaner, which comes after the cache, and has some blocks, too. */
static struct {
	struct cleaner cleaner;
	struct owner owner;
	struct phys_addr blocks[4];
	unsigned count;
} second;

static uint64_t second_clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t given = 0;

	(void)cleaner;
	for (; second.count > 0 && given < target->bytes; given += BLOCK_BYTES)
		memory_blocks_free(memory, second.blocks[--second.count]);
	return given;
}

/*
 * Thread 0 drains; in the middle of its first block thread 1 comes, and moves the cache behind the
 * other cleaner.
 */
static _Atomic int reordering;

static void call_the_other(void)
{
	if (atomic_exchange(&reordering, 1) != 0)
		return;
	while (line_length() == 0)
		platform_yield();
}

static void drain_or_reorder(void *context, unsigned index)
{
	(void)context;
	block_cache_thread = index;
	if (index == 0) {
		ck_assert_uint_eq(memory_drain(memory, 8 * BLOCK_BYTES, false), 8 * BLOCK_BYTES);
		return;
	}
	host_wait_for(&reordering, 1);
	ck_assert_int_eq(fair_mutex_lock(&memory->reclaim.lock, URGENCY_NORMAL, PLATFORM_FOREVER), STATUS_OK);
	cleaner_set_preference(&memory->reclaim.cleaners, &block_cache.cleaner, 2);
	fair_mutex_unlock(&memory->reclaim.lock);
}

START_TEST(threads_that_change_the_order_keep_no_cleaner_from_being_asked)
{
	const struct run_request request = { .blocks = 1, .owner = &second.owner };

	block_cache_init(0, call_the_other);
	owner_init(&second.owner, "second", false);
	second.cleaner = (struct cleaner){ .name = "second", .cost = CLEANER_CLEAN, .preference = 1, .clean = second_clean };
	cleaner_register(&memory->reclaim.cleaners, &second.cleaner);
	for (second.count = 0; second.count < ARRAY_LENGTH(second.blocks); second.count++)
		ck_assert_int_eq(block_heap_alloc(&memory->blocks, &request, &second.blocks[second.count]), STATUS_OK);
	block_cache_take(memory_free_bytes(memory) / BLOCK_BYTES - ARRAY_LENGTH(second.blocks));
	host_threads_run(2, drain_or_reorder, NULL);
	ck_assert_uint_eq(second.count, 0);
	cleaner_unregister(&memory->reclaim.cleaners, &second.cleaner);
	block_cache_fini();
}
END_TEST

HOST_TEST_MAIN("reclaim_turns", threads_that_change_the_order_keep_no_cleaner_from_being_asked,
	       threads_that_must_not_wait_wait_for_one_block_of_others, threads_in_a_crowd_all_get_theirs,
	       threads_do_not_take_each_others_emptied_places_without_end,
	       threads_that_together_want_more_than_there_is_all_get_theirs, threads_have_nothing_of_their_own_in_their_way)
