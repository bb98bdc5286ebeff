// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turns of reclaim: a request that must not wait waits for one block's work of others at most, whatever those are at, and the
 * others still get what they ask for. Work is counted in blocks, by the thread that does it. And what a request has cleaned is
 * what a look at all blocks says: so much at its addresses, and so much anywhere that enough stays free.
 */
#include "fake/heap_fixture.h"
#include "heap/window.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define BLOCKS   96
#define MIN_FREE 3
#define THREADS  6

static struct machine machine;
static struct memory *const memory = &machine.memory;

/* A cache that gives whole blocks, the lowest first. */
static struct {
	struct cleaner cleaner;
	struct owner owner;
	_Atomic bool has[BLOCKS];
	_Atomic uint64_t work[THREADS]; /* blocks given, by thread */
	bool exchanges;                 /* it moves what is in a place, to a block that is free */
	unsigned in_the_way;            /* ... but for so many places something stays there */
	bool is_dirty;                  /* single blocks have to be written first, */
	bool is_silent;                 /* ... and never are */
	void (*before_block)(void);     /* in the middle of the work for a block */
	void (*in_vain)(void);          /* while it is asked for what has to be written first */
} cache;

static _Thread_local unsigned self;

static struct phys_addr address_of(uint64_t index)
{
	return (struct phys_addr){ MACHINE_START + index * BLOCK_BYTES };
}

static bool is_within(uint64_t index, struct phys_addr lowest, struct phys_addr highest)
{
	return address_of(index).value >= lowest.value && address_of(index + 1).value - 1 <= highest.value;
}

/* What is in the block moves to a free one, if there is one. */
static bool move_away(uint64_t index)
{
	const struct run_request request = { .blocks = 1, .owner = &cache.owner };
	struct phys_addr fresh;

	if (block_heap_alloc(&memory->blocks, &request, &fresh) != STATUS_OK)
		return false;
	atomic_store(&cache.has[(fresh.value - MACHINE_START) / BLOCK_BYTES], true);
	return atomic_load(&cache.has[index]);
}

static uint64_t cache_clean(struct cleaner *cleaner, const struct reclaim_target *target)
{
	uint64_t given = 0;

	(void)cleaner;
	if (cache.is_dirty && !target->obstacles && (!target->may_write || cache.is_silent)) {
		if (cache.in_vain)
			cache.in_vain();
		return 0;
	}
	if (target->exchange && target->obstacles && cache.in_the_way > 0) {
		const struct window place = { .start = target->lowest, .blocks = 1 };

		cache.in_the_way--;
		++*target->obstacles;
		window_avoid(&memory->blocks, &place);
		return 0;
	}
	for (uint64_t i = 0; i < BLOCKS && given < target->bytes; i++) {
		if (!atomic_load(&cache.has[i]) || !is_within(i, target->lowest, target->highest))
			continue;
		if (cache.before_block)
			cache.before_block();
		if (target->exchange && cache.exchanges && !move_away(i))
			break;
		atomic_store(&cache.has[i], false);
		memory_blocks_free(memory, address_of(i));
		atomic_fetch_add(&cache.work[self], 1);
		given += BLOCK_BYTES;
		if (reclaim_target_is_wanted(target))
			break;
	}
	return given;
}

static void cache_take(uint64_t leave_free)
{
	const struct run_request request = { .blocks = 1, .owner = &cache.owner, .keep_blocks = leave_free };
	struct phys_addr block;

	while (block_heap_alloc(&memory->blocks, &request, &block) == STATUS_OK)
		atomic_store(&cache.has[(block.value - MACHINE_START) / BLOCK_BYTES], true);
}

static void setup(uint64_t min_blocks, void (*before_block)(void))
{
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, BLOCKS, min_blocks, min_blocks + 2);
	memset(&cache, 0, sizeof(cache));
	owner_init(&cache.owner, "cache", true);
	cache.cleaner = (struct cleaner){ .name = "cache", .cost = CLEANER_CLEAN, .clean = cache_clean };
	cache.before_block = before_block;
	cleaner_register(&memory->reclaim.cleaners, &cache.cleaner);
}

static void teardown(void)
{
	cleaner_unregister(&memory->reclaim.cleaners, &cache.cleaner);
	for (uint64_t i = 0; i < BLOCKS; i++)
		if (atomic_load(&cache.has[i]))
			memory_blocks_free(memory, address_of(i));
	ck_assert_uint_eq(atomic_load(&memory->reclaim.claimed_blocks), 0);
	ck_assert_uint_eq(memory->blocks.fence.first, memory->blocks.fence.end);
	machine_fini(&machine);
}

/* One at work, others in line ----------------------------------------- */

enum kind {
	KIND_SINGLE, /* blocks from anywhere */
	KIND_LOW,    /* from the lower half */
	KIND_RUN,    /* in one piece */
	KIND_DRAIN,
	KINDS,
};

/* Thread 0 begins, those up to `hurried` come in the middle of one of its blocks and wait, then those that must not. */
static struct {
	enum kind kind[THREADS];
	uint32_t blocks[THREADS];
	unsigned threads, hurried;
	uint64_t at_block; /* of thread 0's work */
	_Atomic unsigned called;
	uint64_t work_before[THREADS];  /* of the patient, when the thread asked */
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
		work += atomic_load(&cache.work[i]);
	return work;
}

/* Thread 0 calls the others, each when those before it stand in line, and goes on when all do. */
static void call_the_others(void)
{
	play.patient_work[self] = work_of_the_patient() - play.work_before[self];
	if (self != 0 || atomic_load(&cache.work[0]) != play.at_block || atomic_load(&play.called) != 0)
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
	self = index;
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

		setup(MIN_FREE, call_the_others);
		cache_take(MIN_FREE);
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
		/* Each has no more cleaned than it asks for, and a block, but for windows that others spoilt. */
		uint64_t cleaned = 0;
		bool only_single = true;
		for (unsigned i = 0; i < play.threads; i++) {
			cleaned += atomic_load(&cache.work[i]);
			only_single = only_single && play.kind[i] == KIND_SINGLE;
		}
		if (only_single)
			ck_assert_uint_le(cleaned, wanted + 4 + play.threads);
		teardown();
	}
	ck_assert_uint_gt(interrupted, 150);
	ck_assert_uint_gt(given, 10 * refused);
}
END_TEST

/* All at once ----------------------------------------- */

static void crowd(void *context, unsigned index)
{
	struct random random;

	(void)context;
	self = index;
	random_seed(&random, index + 40);
	for (unsigned i = 0; i < 60; i++) {
		const enum memory_wait waits[] = { MEMORY_WAIT_NEVER, MEMORY_WAIT_FOREVER };
		const enum kind kind = (enum kind)random_below(&random, KINDS);
		const enum memory_wait wait = waits[random_below(&random, 2)];
		const status_t status = take_and_free(kind, 1 + (uint32_t)random_below(&random, 6), wait);

		ck_assert(status == STATUS_OK || kind == KIND_DRAIN || wait == MEMORY_WAIT_NEVER);
		if (random_below(&random, 4) == 0)
			cache_take(MIN_FREE + 2);
	}
}

START_TEST(threads_in_a_crowd_all_get_theirs)
{
	setup(MIN_FREE, NULL);
	cache_take(MIN_FREE);
	host_threads_run(THREADS, crowd, NULL);
	teardown();
}
END_TEST

/* Each has a place of its own emptied, into the one block that is free. */
static _Atomic bool all_came;

static void wait_for_all(void)
{
	uint64_t work = 0;

	for (unsigned i = 0; i < THREADS; i++)
		work += atomic_load(&cache.work[i]);
	ck_assert_uint_le(work, 3 * THREADS);
	if (!atomic_exchange(&all_came, true))
		while (line_length() != THREADS - 1)
			platform_yield();
}

static void take_one(void *context, unsigned index)
{
	(void)context;
	self = index;
	ck_assert_int_eq(take_and_free(KIND_SINGLE, 1, MEMORY_WAIT_NEVER), STATUS_OK);
}

START_TEST(threads_do_not_take_each_others_emptied_places_without_end)
{
	setup(0, wait_for_all);
	cache.exchanges = true;
	cache_take(0);
	atomic_store(&cache.has[0], false);
	memory_blocks_free(memory, address_of(0));
	host_threads_run(THREADS, take_one, NULL);
	teardown();
}
END_TEST

/*
 * More wanted than there is: each alone can have what it asks for, and gives all of it back. Runs lie anywhere: each leaves a
 * gap before it that is too short, at most.
 */
#define MOST_BLOCKS 70

static void want_most(void *context, unsigned index)
{
	struct random random;

	(void)context;
	self = index;
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
			cache_take(MIN_FREE);
	}
}

START_TEST(threads_that_together_want_more_than_there_is_all_get_theirs)
{
	setup(0, NULL);
	host_threads_run(THREADS, want_most, NULL);
	teardown();
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

	setup(0, NULL);
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
	teardown();
}
END_TEST

/* What lacks, and where ----------------------------------------- */

static uint64_t count_within(const struct block_constraints *constraints, const bool *is)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < BLOCKS; i++)
		count += is[i] && is_within(i, constraints->lowest, constraints->highest);
	return count;
}

START_TEST(what_has_to_stay_free_may_be_anywhere)
{
	const struct block_constraints everywhere = { .highest = { UINT64_MAX } };
	unsigned only_reserve = 0, refused = 0;
	struct random random;

	random_seed(&random, 9);
	for (unsigned loop = 0; loop < 400; loop++) {
		const uint64_t min = random_below(&random, 12), want = 1 + random_below(&random, 10);
		const uint64_t first = random_below(&random, BLOCKS),
			       last = first + random_below(&random, MIN(BLOCKS - first, 20));
		const uint64_t free_parts = random_below(&random, 20), cached_parts = random_below(&random, 20);
		const struct block_constraints there = { address_of(first), { address_of(last + 1).value - 1 }, 0, 0 };
		bool is_free[BLOCKS] = { false }, is_cached[BLOCKS] = { false };
		struct phys_addr held[BLOCKS], runs[10];
		struct owner kernel, owner;

		setup(min, NULL);
		owner_init(&kernel, "kernel objects", false);
		owner_init(&owner, "movable", true); /* others have a place of their own, which is emptied first */
		for (uint64_t i = 0; i < BLOCKS; i++) {
			const bool becomes_cached = random_below(&random, 20) < cached_parts;
			const struct run_request one = {
				.blocks = 1,
				.constraints = { address_of(i), { address_of(i + 1).value - 1 }, 0, 0 },
				.owner = becomes_cached ? &cache.owner : &kernel
			};

			is_free[i] = !becomes_cached && random_below(&random, 20) < free_parts;
			is_cached[i] = becomes_cached;
			if (!is_free[i])
				ck_assert_int_eq(block_heap_alloc(&memory->blocks, &one, &held[i]), STATUS_OK);
			atomic_store(&cache.has[i], becomes_cached);
		}
		const uint64_t free_there = count_within(&there, is_free), cached_there = count_within(&there, is_cached);
		const uint64_t free_all = count_within(&everywhere, is_free), cached_all = count_within(&everywhere, is_cached);
		const uint64_t lacking_there = want > free_there ? want - free_there : 0;
		const uint64_t lacking_all = want + min > free_all ? want + min - free_all : 0;
		const struct memory_request request = { .blocks = 1, .constraints = there, .owner = &owner };
		const bool expected = lacking_there <= cached_there && lacking_all <= cached_all;
		const status_t status = reclaim_blocks_alloc(memory_reclaim(memory), &request, (uint32_t)want, runs);

		if (want > last - first + 1) {
			ck_assert_int_eq(status, STATUS_RANGE);
			ck_assert_uint_eq(atomic_load(&cache.work[0]), 0);
		} else {
			ck_assert_int_eq(status, expected ? STATUS_OK : STATUS_NO_MEMORY);
			ck_assert_uint_le(atomic_load(&cache.work[0]), MAX(lacking_there, lacking_all));
			ck_assert(!expected || atomic_load(&cache.work[0]) == MAX(lacking_there, lacking_all));
			only_reserve += expected && lacking_there == 0 && lacking_all > 0;
			refused += !expected;
		}
		for (uint64_t i = 0; status == STATUS_OK && i < want; i++)
			memory_blocks_free(memory, runs[i]);
		for (uint64_t i = 0; i < BLOCKS; i++)
			if (!is_free[i] && !is_cached[i])
				memory_blocks_free(memory, held[i]);
		teardown();
	}
	ck_assert_uint_gt(only_reserve, 3);
	ck_assert_uint_gt(refused, 50);
}
END_TEST

/* The first of several blocks finds something in each place that it tries: it lies elsewhere, the others in their places. */
START_TEST(a_run_without_a_place_leaves_the_others_theirs)
{
	const uint64_t low = 16, count = 6;
	struct memory_request request = { .blocks = 1, .wait = MEMORY_WAIT_NEVER };
	struct phys_addr runs[BLOCKS];
	struct owner driver;

	setup(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	cache_take(0);
	for (uint64_t i = 0; i < low; i++) {
		atomic_store(&cache.has[i], false);
		memory_blocks_free(memory, address_of(i));
	}
	cache.exchanges = true;
	cache.in_the_way = 8;
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, (uint32_t)count, runs), STATUS_OK);
	ck_assert_uint_eq(cache.in_the_way, 0);
	ck_assert_uint_eq(runs[0].value, address_of(low - 1).value);
	for (uint64_t i = 1; i < count; i++)
		ck_assert_uint_eq(runs[i].value, address_of(BLOCKS - i).value);
	for (uint64_t i = 0; i < count; i++)
		memory_blocks_free(memory, runs[i]);
	teardown();
}
END_TEST

/* A window elsewhere would cost less, and could be had at once. */
START_TEST(a_run_waits_for_what_its_place_is_emptied_into)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_FOREVER };
	struct owner driver;
	struct phys_addr run;

	setup(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	cache_take(0);
	for (uint64_t i = 2; i < BLOCKS; i++)
		block_heap_set_cost(&memory->blocks, address_of(i), 4000);
	cache.exchanges = cache.is_dirty = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_eq(run.value, address_of(BLOCKS - 2).value);
	memory_blocks_free(memory, run);
	teardown();
}
END_TEST

/* ... but one that must not wait for writes takes it. */
START_TEST(a_run_that_must_not_wait_for_its_place_takes_a_window)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_NEVER };
	struct owner driver;
	struct phys_addr run;

	setup(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	cache_take(0);
	cache.exchanges = cache.is_dirty = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	memory_blocks_free(memory, run);
	teardown();
}
END_TEST

/* ... and one that may wait does so for a while only: perhaps the disk is silent. */
START_TEST(a_run_does_not_wait_for_its_place_without_end)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_DEADLINE };
	struct owner driver;
	struct phys_addr run;

	setup(0, NULL);
	host_clock_set(HOST_CLOCK_SKIPPING);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	request.deadline_ns = platform_now_ns() + 100 * NS_PER_S;
	cache_take(0);
	cache.exchanges = cache.is_dirty = cache.is_silent = true;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_lt(platform_now_ns(), request.deadline_ns - 90 * NS_PER_S);
	host_clock_set(HOST_CLOCK_REAL);
	memory_blocks_free(memory, run);
	teardown();
}
END_TEST

static struct phys_addr others_run;

static void free_others_run(void)
{
	if (others_run.value != 0)
		memory_blocks_free(memory, others_run);
	others_run.value = 0;
}

/* The cleaners give nothing, but other tasks free enough while they are asked. */
START_TEST(a_run_takes_what_others_free_meanwhile)
{
	struct memory_request request = { .blocks = 2, .wait = MEMORY_WAIT_NEVER };
	struct owner driver;
	struct phys_addr run;

	setup(0, NULL);
	owner_init(&driver, "driver", false);
	request.owner = &driver;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &others_run), STATUS_OK);
	cache_take(0);
	for (uint64_t i = 0; i < BLOCKS - 2; i++)
		block_heap_set_cost(&memory->blocks, address_of(i), BLOCK_COST_FIXED);
	block_heap_set_cost(&memory->blocks, address_of(BLOCKS - 8), 0);
	block_heap_set_cost(&memory->blocks, address_of(BLOCKS - 7), 0);
	cache.is_dirty = true;
	cache.in_vain = free_others_run;
	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	ck_assert_uint_eq(run.value, address_of(BLOCKS - 2).value);
	ck_assert_uint_eq(atomic_load(&cache.work[0]), 0);
	memory_blocks_free(memory, run);
	teardown();
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

/* Thread 0 drains; in the middle of its first block thread 1 comes, and moves the cache behind the other cleaner. */
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
	self = index;
	if (index == 0) {
		ck_assert_uint_eq(memory_drain(memory, 8 * BLOCK_BYTES, false), 8 * BLOCK_BYTES);
		return;
	}
	host_wait_for(&reordering, 1);
	ck_assert_int_eq(fair_mutex_lock(&memory->reclaim.lock, URGENCY_NORMAL, PLATFORM_FOREVER), STATUS_OK);
	cleaner_set_preference(&memory->reclaim.cleaners, &cache.cleaner, 2);
	fair_mutex_unlock(&memory->reclaim.lock);
}

START_TEST(threads_that_change_the_order_keep_no_cleaner_from_being_asked)
{
	const struct run_request request = { .blocks = 1, .owner = &second.owner };

	setup(0, call_the_other);
	owner_init(&second.owner, "second", false);
	second.cleaner = (struct cleaner){ .name = "second", .cost = CLEANER_CLEAN, .preference = 1, .clean = second_clean };
	cleaner_register(&memory->reclaim.cleaners, &second.cleaner);
	for (second.count = 0; second.count < ARRAY_LENGTH(second.blocks); second.count++)
		ck_assert_int_eq(block_heap_alloc(&memory->blocks, &request, &second.blocks[second.count]), STATUS_OK);
	cache_take(memory_free_bytes(memory) / BLOCK_BYTES - ARRAY_LENGTH(second.blocks));
	host_threads_run(2, drain_or_reorder, NULL);
	ck_assert_uint_eq(second.count, 0);
	cleaner_unregister(&memory->reclaim.cleaners, &second.cleaner);
	teardown();
}
END_TEST

HOST_TEST_MAIN("reclaim_turns", threads_that_change_the_order_keep_no_cleaner_from_being_asked,
	       threads_that_must_not_wait_wait_for_one_block_of_others, threads_in_a_crowd_all_get_theirs,
	       threads_do_not_take_each_others_emptied_places_without_end,
	       threads_that_together_want_more_than_there_is_all_get_theirs, threads_have_nothing_of_their_own_in_their_way,
	       what_has_to_stay_free_may_be_anywhere, a_run_waits_for_what_its_place_is_emptied_into,
	       a_run_that_must_not_wait_for_its_place_takes_a_window, a_run_does_not_wait_for_its_place_without_end,
	       a_run_takes_what_others_free_meanwhile, a_run_without_a_place_leaves_the_others_theirs)
