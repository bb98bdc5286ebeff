// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests for runs: when a window that costs little is waited for, and when another one is taken.
 */
#include "fake/heap_fixture.h"
#include "heap/block/window.h"
#include "host/host_test.h"

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct owner driver;

/*
 * Two windows of this length: a cold one, of which a block is in the way for a moment, and one that
 * costs more.
 */
#define WINDOW_BLOCKS 16

struct two_windows {
	struct cleaner cleaner, second;
	struct owner owner;
	struct phys_addr blocks[2 * WINDOW_BLOCKS]; /* by address; 0: given */
	unsigned in_the_way;                        /* for so many calls yet */
	bool comes_late;                            /* only when the other blocks have been given */
	unsigned given;
};

static uint64_t give_window(struct cleaner *self, const struct reclaim_target *target)
{
	struct two_windows *windows = container_of(self, struct two_windows, cleaner);
	const struct window first = { .start = windows->blocks[0], .blocks = 1 };
	const bool in_the_way = first.start.value != 0 && target->lowest.value <= first.start.value && windows->in_the_way > 0;
	uint64_t given = 0;

	if (target->unmovable && in_the_way && (!windows->comes_late || windows->given > 0)) {
		windows->in_the_way--;
		++*target->unmovable;
		window_exclude(&memory->blocks, &first);
		return 0;
	}
	for (unsigned i = 0; target->unmovable && i < 2 * WINDOW_BLOCKS; i++) {
		const struct phys_addr block = windows->blocks[i];

		if (block.value == 0 || block.value < target->lowest.value || block.value > target->highest.value)
			continue;
		if (i == 0 && in_the_way)
			continue;
		(void)block_heap_free(&memory->blocks, block);
		windows->blocks[i].value = 0;
		windows->given++;
		given += BLOCK_BYTES;
	}
	return given;
}

/* It finds the block in the way only after the other cleaner has given what else there was. */
static uint64_t refuse_window(struct cleaner *self, const struct reclaim_target *target)
{
	struct two_windows *windows = container_of(self, struct two_windows, second);
	const struct window first = { .start = windows->blocks[0], .blocks = 1 };

	if (target->unmovable && first.start.value != 0 && target->lowest.value <= first.start.value &&
	    windows->in_the_way > 0) {
		++*target->unmovable;
		window_exclude(&memory->blocks, &first);
	}
	return 0;
}

static void two_windows_init(struct two_windows *windows, unsigned in_the_way, uint32_t higher_cost)
{
	*windows = (struct two_windows){
		.cleaner = { .name = "windows", .cost = CLEANER_CLEAN, .clean = give_window },
		.in_the_way = in_the_way,
	};
	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 2 * WINDOW_BLOCKS, 0, 0);
	owner_init(&driver, "driver", false);
	host_clock_set(HOST_CLOCK_ALONE);
	owner_init(&windows->owner, "windows", true);
	cleaner_register(&memory->reclaim.cleaners, &windows->cleaner);
	for (unsigned i = 0; i < 2 * WINDOW_BLOCKS; i++) {
		const struct run_request request = { .blocks = 1, .owner = &windows->owner };

		ck_assert_int_eq(block_heap_alloc(&memory->blocks, &request, &windows->blocks[i]), STATUS_OK);
		block_heap_set_cost(&memory->blocks, windows->blocks[i], i < WINDOW_BLOCKS ? 100 : higher_cost);
	}
}

/* What a request for such a window gets; then all is free again. */
static struct phys_addr two_windows_ask(struct two_windows *windows, enum memory_wait wait)
{
	const struct memory_request request = {
		.blocks = WINDOW_BLOCKS,
		.owner = &driver,
		.constraints.alignment_bytes = WINDOW_BLOCKS * BLOCK_BYTES,
		.wait = wait,
		.deadline_ns = platform_now_ns() + 40 * NS_PER_MS,
	};
	struct phys_addr run;

	ck_assert_int_eq(memory_blocks_alloc(memory, &request, &run), STATUS_OK);
	memory_blocks_free(memory, run);
	for (unsigned i = 0; i < 2 * WINDOW_BLOCKS; i++)
		if (windows->blocks[i].value != 0)
			(void)block_heap_free(&memory->blocks, windows->blocks[i]);
	cleaner_unregister(&memory->reclaim.cleaners, &windows->cleaner);
	if (windows->second.clean)
		cleaner_unregister(&memory->reclaim.cleaners, &windows->second);
	machine_fini(&machine);
	host_clock_set(HOST_CLOCK_REAL);
	return run;
}

START_TEST(a_cold_window_is_waited_for)
{
	struct two_windows windows;

	two_windows_init(&windows, 5, 5000);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START);
	ck_assert_uint_eq(windows.given, WINDOW_BLOCKS);
}
END_TEST

/* Three times as long for a window that costs twice as much more. */
START_TEST(a_hot_window_is_waited_for_longer)
{
	struct two_windows windows;

	two_windows_init(&windows, 1000, 10000);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_gt(windows.in_the_way, 930);
	ck_assert_uint_lt(windows.in_the_way, 970);
}
END_TEST

START_TEST(a_cold_window_is_not_waited_for_without_end)
{
	struct two_windows windows;

	two_windows_init(&windows, 1000, 5000);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_eq(windows.given, WINDOW_BLOCKS);
	ck_assert_uint_gt(windows.in_the_way, 800);
	ck_assert_uint_lt(windows.in_the_way, 990);

	/* Much sooner if there is a deadline. */
	two_windows_init(&windows, 1000, 5000);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_DEADLINE).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_gt(windows.in_the_way, 980);
	ck_assert_uint_lt(windows.in_the_way, 999);
	ck_assert_uint_eq(memory->reclaim.patience_again_ns, 0);

	/* Nor soon again, after it was in vain. */
	two_windows_init(&windows, 1000, 5000);
	memory->reclaim.patience_again_ns = platform_now_ns() + 1;
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_eq(windows.in_the_way, 999);

	/* Nor at all for little. */
	two_windows_init(&windows, 1000, 1000);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_eq(windows.in_the_way, 999);

	/* Nor by a request that must not wait. */
	two_windows_init(&windows, 1000, 5000);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_NEVER).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_eq(windows.in_the_way, 999);
}
END_TEST

/* The other window would be lost beside what the first one has given already. */
START_TEST(a_window_that_is_nearly_empty_is_waited_for)
{
	struct two_windows windows;

	two_windows_init(&windows, 5, 5000);
	windows.comes_late = true;
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START);
	ck_assert_uint_eq(windows.given, WINDOW_BLOCKS);

	/* Not without end. */
	two_windows_init(&windows, 1000, 5000);
	windows.comes_late = true;
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START + WINDOW_BLOCKS * BLOCK_BYTES);
	ck_assert_uint_eq(windows.given, 2 * WINDOW_BLOCKS - 1);
}
END_TEST

/* Also if it cost as much as the other one when it was begun, and nothing has been lost but it. */
START_TEST(a_window_that_was_emptied_costs_little)
{
	struct two_windows windows;

	two_windows_init(&windows, 5, 0);
	windows.comes_late = true;
	windows.second = (struct cleaner){ .name = "second", .cost = CLEANER_CLEAN, .clean = refuse_window };
	for (unsigned i = 0; i < 2 * WINDOW_BLOCKS; i++)
		block_heap_set_cost(&memory->blocks, windows.blocks[i], i < WINDOW_BLOCKS ? 8000 : 10000);
	cleaner_register(&memory->reclaim.cleaners, &windows.second);
	ck_assert_uint_eq(two_windows_ask(&windows, MEMORY_WAIT_FOREVER).value, MACHINE_START);
	ck_assert_uint_eq(windows.given, WINDOW_BLOCKS);
}
END_TEST

HOST_TEST_MAIN("reclaim_runs", a_window_that_is_nearly_empty_is_waited_for, a_cold_window_is_waited_for,
	       a_hot_window_is_waited_for_longer, a_cold_window_is_not_waited_for_without_end,
	       a_window_that_was_emptied_costs_little)
