// SPDX-License-Identifier: BSD-2-Clause
/*
 * The frame of a scenario that takes memory: fill the cache, let the loads make it theirs, measure
 * hits, and compare everything at the end. What is not as promised is a failure; a figure that is
 * worse than it may be is only missed, since a small or busy machine has others.
 */
#include "testbed.h"

#include <stdatomic.h>

#include "heap/memory.h"
#include "pagecache/volume.h"
#include "report.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"

#define POLL_NS         (5 * NS_PER_MS)
#define MOMENT_NS       (500 * NS_PER_MS)
#define DIRTY_PERCENT   5
#define RAM_GRAIN_BYTES (128 * MIB)
#define WARM_ROUNDS_MAX 16
#define HOT_READS       100000 /* for each measurement of the hit ratio */

uint64_t testbed_scale(const struct app_environment *environment, uint64_t wanted, unsigned parts, uint64_t grain_bytes)
{
	/* A machine with 4 GB has some kilobytes less. */
	const uint64_t ram_bytes = align_up(environment->ram_bytes, RAM_GRAIN_BYTES);
	const uint64_t bytes = MIN(wanted, ram_bytes / 16 * parts);

	return MAX(bytes / grain_bytes, 1) * grain_bytes;
}

void testbed_fail(struct testbed *testbed, const char *what, status_t status)
{
	atomic_fetch_add(&testbed->failures, 1);
	print("FAILED: %s: %s\n", what, status_text(status));
}

void testbed_expect_share(struct testbed *testbed, const char *what, uint64_t part, uint64_t whole, uint64_t limit_percent)
{
	char is[FORMAT_SHARE_BYTES], limit[FORMAT_SHARE_BYTES];

	if (part * 100 <= whole * limit_percent)
		return;
	testbed->missed++;
	print("MISSED: %s is %s and may be %s.\n", what, format_share(is, part, whole),
	      format_share(limit, limit_percent, 100));
}

void testbed_expect_lost(struct testbed *testbed, const char *what, const struct reclaim_totals *totals, uint64_t limit_percent)
{
	testbed_expect_share(testbed, what, (uint64_t)MAX(totals->lost_bytes, 0), totals->gained_bytes, limit_percent);
}

void testbed_expect_hits(struct testbed *testbed, uint64_t points)
{
	testbed_expect_share(testbed, "what hot reads miss more than before, of all of them,",
			     testbed->hot_before - MIN(testbed->hot_before, testbed->hot_after), testbed->hot_reads, points);
}

void reclaim_totals_add(struct reclaim_totals *totals, uint64_t gained_bytes, const struct reclaim_delta *delta)
{
	totals->gained_bytes += gained_bytes;
	totals->lost_bytes += delta->lost_bytes;
	totals->evicted_bytes += delta->evicted_bytes;
	totals->moved_pages += delta->moved_pages;
}

const char *reclaim_totals_format(char buffer[RECLAIM_TOTALS_BYTES], const struct reclaim_totals *totals)
{
	char ratio[FORMAT_SHARE_BYTES];
	const uint64_t lost = (uint64_t)MAX(totals->lost_bytes, 0);

	format_text(buffer, RECLAIM_TOTALS_BYTES,
		    "gained_bytes=%llu lost_bytes=%llu lost_per_gained=%s evicted_bytes=%llu copied_pages=%llu",
		    (unsigned long long)totals->gained_bytes, (unsigned long long)lost,
		    format_share(ratio, lost, totals->gained_bytes), (unsigned long long)totals->evicted_bytes,
		    (unsigned long long)totals->moved_pages);
	return buffer;
}

const char *testbed_format(char buffer[TESTBED_TEXT_BYTES], const struct testbed *testbed)
{
	char before[FORMAT_SHARE_BYTES], after[FORMAT_SHARE_BYTES], cached[FORMAT_SHARE_BYTES], totals[RECLAIM_TOTALS_BYTES];

	format_text(buffer, TESTBED_TEXT_BYTES,
		    "failures=%llu missed=%llu bad_pages=%llu %s hot_hit_before=%s hot_hit_after=%s cached_share=%s",
		    (unsigned long long)testbed->failures, (unsigned long long)testbed->missed,
		    (unsigned long long)testbed->bad_pages, reclaim_totals_format(totals, &testbed->totals),
		    format_share(before, testbed->hot_before, testbed->hot_reads),
		    format_share(after, testbed->hot_after, testbed->hot_reads),
		    format_share(cached, testbed->cached_bytes, testbed->environment->ram_bytes));
	return buffer;
}

/* The hot reader's hits while no other load reads. */
static uint64_t measure_hot_hits(struct testbed *testbed)
{
	loads_stop(&testbed->loads);
	return loads_measure_hits(&testbed->loads, testbed->hot_reads);
}

static void start_loads(struct testbed *testbed)
{
	status_t status = loads_start(&testbed->loads);

	if (status == STATUS_OK)
		status = fill_wait(&testbed->loads, &testbed->goal);
	if (status != STATUS_OK)
		testbed_fail(testbed, "starting the loads", status);
}

/* Until as much as a request takes has been replaced. */
static void reach_steady_state(struct testbed *testbed, uint64_t request_bytes)
{
	const uint64_t start_ns = platform_now_ns();
	struct pagecache_statistics before, now;

	pagecache_statistics(testbed->environment->pagecache, &before);
	start_loads(testbed);
	do {
		task_sleep(10 * NS_PER_MS);
		pagecache_statistics(testbed->environment->pagecache, &now);
	} while ((now.inserted_pages - before.inserted_pages) * PAGE_BYTES < request_bytes &&
		 platform_now_ns() - start_ns < TESTBED_PATIENCE_NS);
}

status_t testbed_begin(struct testbed *testbed, struct scenario *scenario, uint64_t request_bytes)
{
	const struct app_environment *environment = scenario->environment;
	status_t status;

	*testbed = (struct testbed){ .scenario = scenario, .environment = environment };
	status = disks_find(scenario, &testbed->disks);
	if (status == STATUS_OK)
		status = loads_init(&testbed->loads, environment, testbed->disks.data, false);
	if (status != STATUS_OK)
		return status;
	testbed->hot_reads = MAX(options_get_number(scenario->options, "hot_reads", HOT_READS), 1);
	testbed->cached_bytes = fill_cache(&testbed->loads);
	testbed->goal = (struct fill_goal){
		.cached_bytes = fill_goal_bytes(testbed->cached_bytes),
		.dirty_bytes = MIN(testbed->cached_bytes * DIRTY_PERCENT / 100, testbed->loads.dirty_goal_pages * PAGE_BYTES),
		.patience_ns = TESTBED_PATIENCE_NS,
	};
	reach_steady_state(testbed, request_bytes);
	testbed->hot_before = measure_hot_hits(testbed);
	start_loads(testbed);
	return STATUS_OK;
}

void testbed_warm(struct testbed *testbed)
{
	uint64_t before;
	unsigned round = 0;

	do {
		before = testbed->hot_before;
		testbed->hot_before = measure_hot_hits(testbed);
	} while (testbed->hot_before > before + testbed->hot_reads / 200 && ++round < WARM_ROUNDS_MAX);
	start_loads(testbed);
}

/* What may be missing comes soon, too: until memory is full, or for a moment without progress. */
static void wait_until_full(const struct testbed *testbed)
{
	struct memory *memory = testbed->environment->memory;
	uint64_t least = UINT64_MAX, since_ns = platform_now_ns();

	while (reclaim_may_grow(memory_reclaim(memory)) && platform_now_ns() - since_ns < MOMENT_NS) {
		const uint64_t free_bytes = memory_free_bytes(memory);

		if (free_bytes < least) {
			least = free_bytes;
			since_ns = platform_now_ns();
		}
		task_sleep(POLL_NS);
	}
}

void testbed_refill(struct testbed *testbed)
{
	const status_t status = fill_wait(&testbed->loads, &testbed->goal);

	wait_until_full(testbed);
	if (status != STATUS_OK)
		testbed_fail(testbed, "filling the cache again", status);
}

void testbed_refill_rest(struct testbed *testbed)
{
	const uint64_t start_ns = platform_now_ns();
	struct pagecache_statistics statistics;

	while (reclaim_may_grow(memory_reclaim(testbed->environment->memory)) &&
	       platform_now_ns() - start_ns < TESTBED_PATIENCE_NS)
		task_sleep(10 * NS_PER_MS);
	pagecache_statistics(testbed->environment->pagecache, &statistics);
	testbed->goal.cached_bytes = fill_goal_bytes(statistics.cached_pages * PAGE_BYTES);
	testbed_refill(testbed);
}

static void compare_written(struct testbed *testbed)
{
	status_t status = volume_flush(testbed->disks.data);

	if (status != STATUS_OK)
		testbed_fail(testbed, "flushing", status);
	status = loads_compare(&testbed->loads);
	if (status != STATUS_OK)
		testbed_fail(testbed, "reading back what was written", status);
	print("%llu pages were written; all of the region was read back and compared.\n",
	      (unsigned long long)testbed->loads.written_pages);
}

void testbed_end(struct testbed *testbed)
{
	testbed->hot_after = measure_hot_hits(testbed);
	compare_written(testbed);
	testbed->failures += testbed->loads.errors;
	testbed->bad_pages += testbed->loads.bad_pages;
	loads_fini(&testbed->loads);
}

status_t testbed_status(const struct testbed *testbed)
{
	return testbed->failures == 0 && testbed->bad_pages == 0 ? STATUS_OK : STATUS_CORRUPT;
}
