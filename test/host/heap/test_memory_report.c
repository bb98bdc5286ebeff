// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which owners hold the memory: reports of failed requests, the picture of the blocks, and what the
 * monitor shows.
 */
#include "host/host_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake/heap_fixture.h"
#include "heap/block/block_map.h"
#include "heap/reclaim/oom_report.h"
#include "heap/block/owner_snapshot.h"
#include "runtime/base/log.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

#define TEXT_BYTES (64 * 1024)

static struct machine machine;
static struct memory *const memory = &machine.memory;
static struct owner fixed, mover;
static char text[TEXT_BYTES];

static void setup(uint64_t blocks)
{
	host_log_level(LOG_WARN);
	machine_init(&machine, MACHINE_START, blocks, 0, 0);
	owner_init(&fixed, "fixed", false);
	owner_init(&mover, "mover", true);
}

static void capture(void)
{
	memset(text, 0, sizeof(text));
	host_output_capture(text, sizeof(text));
}

static void release(void)
{
	host_output_capture(NULL, 0);
}

static void expect_text(const char *what)
{
	if (!strstr(text, what))
		ck_abort_msg("\"%s\" is missing in:\n%s", what, text);
}

static struct phys_addr take_at(struct owner *owner, uint64_t block, uint64_t blocks)
{
	const struct run_request request = {
		.blocks = blocks,
		.owner = owner,
		.constraints = { .lowest = { MACHINE_START + block * BLOCK_BYTES },
				 .highest = { MACHINE_START + (block + blocks) * BLOCK_BYTES - 1 } },
	};
	struct phys_addr run;

	ck_assert_int_eq(block_heap_alloc(&memory->blocks, &request, &run), STATUS_OK);
	return run;
}

/* Every window, one after the other. */
static bool reference_window(uint64_t count, uint64_t blocks, uint64_t alignment, struct nearest_window *best)
{
	bool found = false;

	for (uint64_t first = 0; first + blocks <= count; first++) {
		struct nearest_window here = { .start = { MACHINE_START + first * BLOCK_BYTES } };

		if (here.start.value % MAX(alignment, 1) != 0)
			continue;
		for (uint64_t i = first; i < first + blocks; i++) {
			const struct block *block = &memory->blocks.blocks[i];

			if (block->taken && block->owner->movable)
				here.cost += 1 + atomic_load(&block->cost);
			here.fixed_blocks += block->taken && !block->owner->movable;
		}
		if (!found || here.fixed_blocks < best->fixed_blocks ||
		    (here.fixed_blocks == best->fixed_blocks && here.cost < best->cost))
			*best = here;
		found = true;
	}
	return found;
}

START_TEST(the_best_window_is_that_of_the_model)
{
	struct random random;

	random_seed(&random, 11);
	for (unsigned round = 0; round < 300; round++) {
		const uint64_t count = 8 + random_below(&random, 56);
		const uint64_t blocks = 1 + random_below(&random, count + 2);
		const uint64_t alignment = random_below(&random, 2) ? BLOCK_BYTES << random_below(&random, 4) : 0;
		const struct block_constraints constraints = { .alignment_bytes = alignment };
		struct nearest_window best = { .cost = 0 }, expected = { .cost = 0 };
		uint64_t taken[64], takes = 0;

		setup(count);
		for (uint64_t i = 0; i < count; i++) {
			const uint64_t dice = random_below(&random, 8);

			if (memory->blocks.blocks[i].taken || dice > 4)
				continue;
			taken[takes++] = take_at(dice == 0 ? &fixed : &mover, i, 1).value;
			block_heap_set_cost(&memory->blocks, (struct phys_addr){ taken[takes - 1] },
					    (uint32_t)random_below(&random, 1000));
		}
		const bool is = reference_window(count, blocks, alignment, &expected);
		ck_assert_int_eq(owner_snapshot_nearest_window(&memory->blocks, blocks, &constraints, &best), is);
		ck_assert_uint_eq(best.fixed_blocks, expected.fixed_blocks);
		ck_assert_uint_eq(best.cost, expected.cost);
		ck_assert_uint_eq(best.start.value, expected.start.value);
		while (takes > 0)
			(void)block_heap_free(&memory->blocks, (struct phys_addr){ taken[--takes] });
		machine_fini(&machine);
	}
}
END_TEST

static uint64_t keeps_4mb(struct cleaner *self)
{
	(void)self;
	return 4 * MIB;
}

static void says_where(struct cleaner *self, struct phys_addr lowest, struct phys_addr highest)
{
	(void)self;
	log_warn("cleaner explains %llu to %llu", (unsigned long long)((lowest.value - MACHINE_START) / BLOCK_BYTES),
		 (unsigned long long)((highest.value + 1 - MACHINE_START) / BLOCK_BYTES));
}

static uint64_t gives_nothing(struct cleaner *self, const struct reclaim_target *target)
{
	(void)self;
	(void)target;
	return 0;
}

static struct cleaner miser = { .name = "miser", .cost = CLEANER_CLEAN, .clean = gives_nothing };

START_TEST(a_failure_names_who_is_in_the_way)
{
	static const struct device device = { .name = "grabber", .dma_mask = UINT64_MAX };
	const struct dma_request two = { .bytes = 2 * BLOCK_BYTES };
	struct dma_buffer *buffer, *none;
	struct phys_addr first, last;
	char site[64];

	setup(16);
	miser.held_back = keeps_4mb;
	miser.explain = says_where;
	cleaner_register(&memory->reclaim.cleaners, &miser);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &two, &buffer), STATUS_OK);
	snprintf(site, sizeof(site), "taken at %s:%d", __FILE__, __LINE__ - 1);
	const uint64_t at = (buffer->segments[0].start.value - MACHINE_START) / BLOCK_BYTES;
	ck_assert_uint_ge(at, 4);
	first = take_at(&fixed, 0, 4);
	last = take_at(&mover, 5, 2);

	const struct dma_request large = { .bytes = 15 * BLOCK_BYTES, .segments_max = 1 };
	capture();
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &large, &none), STATUS_NO_MEMORY);
	release();
	expect_text("grabber did not get 1 of 1 runs of 30 MB");
	expect_text("cleaner miser");
	expect_text("holds 4 MB back");
	expect_text("the best window, 30 MB from 0x");
	expect_text("mover                    holds 2 blocks there, movable");
	expect_text("grabber has 2 MB at 0x");
	expect_text(site);
	expect_text("cleaner explains");

	cleaner_unregister(&memory->reclaim.cleaners, &miser);
	(void)block_heap_free(&memory->blocks, first);
	(void)block_heap_free(&memory->blocks, last);
	dma_free(memory_dma(memory), buffer);
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	machine_fini(&machine);
}
END_TEST

START_TEST(failure_says_who_holds_the_memory)
{
	struct phys_addr runs[8];
	struct owner driver;

	setup(8);
	owner_init(&driver, "driver", false);
	const struct memory_request request = { .blocks = 1, .owner = &driver };
	ck_assert_int_eq(reclaim_blocks_alloc(memory_reclaim(memory), &request, 7, runs), STATUS_OK);
	capture();
	const struct memory_request more = { .blocks = 2, .owner = &driver };
	ck_assert_int_eq(memory_blocks_alloc(memory, &more, runs + 7), STATUS_NO_MEMORY);
	release();
	expect_text("driver did not get 1 of 1 runs of 4 MB");
	expect_text("holds 14 MB");
	expect_text("cleaner general");
	for (unsigned i = 0; i < 7; i++)
		memory_blocks_free(memory, runs[i]);
	machine_fini(&machine);
}
END_TEST

/* A request that has to be back by a deadline does not print. */
START_TEST(a_task_prints_what_failed_in_a_hurry)
{
	struct owner driver;
	const struct memory_request everything = { .blocks = 8, .owner = &driver };
	const struct memory_request more = {
		.blocks = 2, .owner = &driver, .wait = MEMORY_WAIT_DEADLINE, .deadline_ns = platform_now_ns()
	};
	struct phys_addr run, other;

	setup(9);
	owner_init(&driver, "driver", false);
	ck_assert_int_eq(memory_blocks_alloc(memory, &everything, &run), STATUS_OK);
	capture();
	atomic_store(&memory->reclaim.failure.has_task, true); /* which has not run yet */
	ck_assert_int_eq(memory_blocks_alloc(memory, &more, &other), STATUS_TIMEOUT);
	ck_assert_str_eq(text, "");
	/* It is woken once for it, however many fail. */
	const uint32_t kicks = atomic_load(&memory->reclaim.failure.worker.kicks);
	ck_assert_uint_ne(kicks, 0);
	ck_assert_int_eq(memory_blocks_alloc(memory, &more, &other), STATUS_TIMEOUT);
	ck_assert_uint_eq(atomic_load(&memory->reclaim.failure.worker.kicks), kicks);
	worker_stop(&memory->reclaim.failure.worker);
	oom_report_run(memory_reclaim(memory));
	release();
	expect_text("driver did not get 1 of 1 runs of 4 MB");
	expect_text("timed out");
	expect_text("driver                   holds 16 MB");
	memory_blocks_free(memory, run);
	machine_fini(&machine);
}
END_TEST

static bool is_reported(void)
{
	struct owner driver;
	const struct memory_request everything = { .blocks = 9, .owner = &driver };
	struct phys_addr run;

	owner_init(&driver, "driver", false);
	capture();
	ck_assert_int_eq(memory_blocks_alloc(memory, &everything, &run), STATUS_NO_MEMORY);
	release();
	return text[0] != '\0';
}

START_TEST(reports_come_once_a_second)
{
	struct phys_addr run;

	setup(9);
	run = take_at(&fixed, 0, 1);
	host_clock_set(HOST_CLOCK_MANUAL);
	ck_assert(is_reported());
	ck_assert(!is_reported());
	host_clock_turn(NS_PER_S - 1);
	ck_assert(!is_reported());
	host_clock_turn(1);
	ck_assert(is_reported());
	/* Another CPU has reported since this one looked at the clock. */
	memory->reclaim.failure.reported_ns++;
	ck_assert(!is_reported());
	host_clock_turn(NS_PER_S + 1);
	ck_assert(is_reported());
	host_clock_set(HOST_CLOCK_REAL);
	(void)block_heap_free(&memory->blocks, run);
	machine_fini(&machine);
}
END_TEST

/* The rows of the picture without their addresses. */
static void expect_row(const char *owners, const char *temperatures)
{
	char row[2 * BLOCK_MAP_COLUMNS + 8];

	snprintf(row, sizeof(row), " %-*s %-*s\n", BLOCK_MAP_COLUMNS, owners, BLOCK_MAP_COLUMNS, temperatures);
	expect_text(row);
}

START_TEST(small_machines_show_each_block)
{
	struct phys_addr runs[3];

	setup(40);
	runs[0] = take_at(&fixed, 2, 3);
	runs[1] = take_at(&mover, 10, 5);
	runs[2] = take_at(&mover, 33, 1);
	block_heap_set_cost(&memory->blocks, (struct phys_addr){ runs[1].value + BLOCK_BYTES }, 160 * PAGES_PER_BLOCK);
	block_heap_set_cost(&memory->blocks, (struct phys_addr){ runs[1].value + 2 * BLOCK_BYTES }, 1000);
	capture();
	block_map_print(&memory->blocks);
	release();
	expect_row("..BBB.....AAAAA.................", "..###.....09500.................");
	expect_row(".A......", ".0......");
	expect_text("a character: 1 blocks");
	expect_text("A mover  B fixed\n");
	for (unsigned i = 0; i < 3; i++)
		(void)block_heap_free(&memory->blocks, runs[i]);
	machine_fini(&machine);
}
END_TEST

static unsigned lines(void)
{
	unsigned count = 0;

	for (const char *at = text; (at = strchr(at, '\n')); at++)
		count++;
	return count;
}

/* 1 TB of memory that is never touched: only its descriptors exist. */
START_TEST(a_terabyte_fits_the_screen)
{
	static struct block_heap heap;
	const struct phys_range ranges[] = { { { 4 * GIB }, 512 * GIB }, { { 1024 * GIB }, 512 * GIB } };
	void *metadata = aligned_alloc(64, (block_heap_metadata_bytes(ranges, 2) + 63) / 64 * 64);
	const struct run_request gigabytes = { .blocks = 100 * 512, .owner = &mover };
	const struct run_request one = { .blocks = 1, .owner = &fixed };
	struct phys_addr run, single;

	owner_init(&fixed, "fixed", false);
	owner_init(&mover, "mover", true);
	ck_assert_int_eq(block_heap_init(&heap, ranges, 2, metadata), STATUS_OK);
	ck_assert_int_eq(block_heap_alloc(&heap, &gigabytes, &run), STATUS_OK);
	ck_assert_int_eq(block_heap_alloc(&heap, &one, &single), STATUS_OK);
	capture();
	block_map_print(&heap);
	release();
	ck_assert_uint_le(lines(), 24);
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		ck_assert_int_le(end - line, 80);
	expect_text("AAAAAAAA");
	expect_text("........");
	expect_text("        "); /* the hole */
	expect_text("b");
	expect_text("#");
	free(metadata);
}
END_TEST

static status_t run_command(struct command_table *table, const char *command)
{
	char line[64];

	strcpy(line, command);
	return command_execute(table, line);
}

START_TEST(monitor_shows_everything)
{
	static const struct device device = { .name = "nvme 00:04.0", .dma_mask = UINT64_MAX };
	const struct dma_request request = { .bytes = 3 * MIB };
	struct command_table table;
	struct dma_coherent coherent;
	struct dma_buffer *buffer;
	struct test_cache cache;

	host_log_level(LOG_ERROR);
	machine_init(&machine, MACHINE_START, 64, 1, 2);
	test_cache_init(&cache, &machine, "pages", 7);
	(void)test_cache_fill(&cache, FRAME_CLEAN);
	ck_assert_int_eq(dma_alloc(memory_dma(memory), &device, &request, &buffer), STATUS_OK);
	ck_assert_int_eq(dma_coherent_alloc(memory_dma(memory), &device, 64, 0, &coherent), STATUS_OK);
	command_table_init(&table);
	memory_commands_register(memory, &table);
	capture();
	ck_assert_int_eq(run_command(&table, "mem"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "mem owners"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "mem map"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "mem map all"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "trace"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "trace 10"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "trace all"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "heaps"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "dma"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "drain 4M"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "cleaners"), STATUS_OK);
	ck_assert_int_eq(run_command(&table, "drain"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "drain much"), STATUS_INVALID);
	ck_assert_int_eq(run_command(&table, "mem all"), STATUS_INVALID);
	release();
	if (getenv("SHOW"))
		fputs(text, stdout);
	expect_text("total     128 MB");
	expect_text("nvme 00:04.0 ");
	expect_text("1 coherent objects");
	expect_text("taken at " __FILE__ ":");
	expect_text("by temperature");
	expect_text("events, ");
	expect_text("4 MB reached the block heap");
	dma_coherent_free(memory_dma(memory), &coherent);
	dma_free(memory_dma(memory), buffer);
	test_cache_fini(&cache);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("memory_report", the_best_window_is_that_of_the_model, a_failure_names_who_is_in_the_way,
	       failure_says_who_holds_the_memory, a_task_prints_what_failed_in_a_hurry, reports_come_once_a_second,
	       small_machines_show_each_block, a_terabyte_fits_the_screen, monitor_shows_everything)
