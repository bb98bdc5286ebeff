// SPDX-License-Identifier: BSD-2-Clause
/*
 * The frame of a scenario that takes memory: fill the cache, let the loads make it theirs, measure
 * hits, and compare everything at the end. What is not as promised is a failure; a figure that is
 * worse than it may be is only missed, since a small or busy machine has others.
 */
#include "trial.h"

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

uint64_t trial_scale(const struct app_environment *environment, uint64_t wanted, unsigned parts, uint64_t grain_bytes)
{
	/* A machine with 4 GB has some kilobytes less. */
	const uint64_t ram_bytes = align_up(environment->ram_bytes, RAM_GRAIN_BYTES);
	const uint64_t bytes = MIN(wanted, ram_bytes / 16 * parts);

	return MAX(bytes / grain_bytes, 1) * grain_bytes;
}

void trial_fail(struct trial *trial, const char *what, status_t status)
{
	atomic_fetch_add(&trial->failures, 1);
	print("FAILED: %s: %s\n", what, status_text(status));
}

void trial_expect_share(struct trial *trial, const char *what, uint64_t part, uint64_t whole, uint64_t limit_percent)
{
	char is[FORMAT_SHARE_BYTES], limit[FORMAT_SHARE_BYTES];

	if (part * 100 <= whole * limit_percent)
		return;
	trial->missed++;
	print("MISSED: %s is %s and may be %s.\n", what, format_share(is, part, whole),
	      format_share(limit, limit_percent, 100));
}

void trial_expect_lost(struct trial *trial, const char *what, const struct books *books, uint64_t limit_percent)
{
	trial_expect_share(trial, what, (uint64_t)MAX(books->lost_bytes, 0), books->gained_bytes, limit_percent);
}

void trial_expect_hits(struct trial *trial, uint64_t points)
{
	trial_expect_share(trial, "what hot reads miss more than before, of all of them,",
			   trial->hot_before - MIN(trial->hot_before, trial->hot_after), trial->hot_reads, points);
}

void books_add(struct books *books, uint64_t gained_bytes, const struct balance *balance)
{
	books->gained_bytes += gained_bytes;
	books->lost_bytes += balance->lost_bytes;
	books->evicted_bytes += balance->evicted_bytes;
	books->moved_pages += balance->moved_pages;
}

const char *books_format(char buffer[BOOKS_TEXT_BYTES], const struct books *books)
{
	char ratio[FORMAT_SHARE_BYTES];
	const uint64_t lost = (uint64_t)MAX(books->lost_bytes, 0);

	format_text(buffer, BOOKS_TEXT_BYTES,
		    "gained_bytes=%llu lost_bytes=%llu lost_per_gained=%s evicted_bytes=%llu copied_pages=%llu",
		    (unsigned long long)books->gained_bytes, (unsigned long long)lost,
		    format_share(ratio, lost, books->gained_bytes), (unsigned long long)books->evicted_bytes,
		    (unsigned long long)books->moved_pages);
	return buffer;
}

const char *trial_format(char buffer[TRIAL_TEXT_BYTES], const struct trial *trial)
{
	char before[FORMAT_SHARE_BYTES], after[FORMAT_SHARE_BYTES], cached[FORMAT_SHARE_BYTES], books[BOOKS_TEXT_BYTES];

	format_text(buffer, TRIAL_TEXT_BYTES,
		    "failures=%llu missed=%llu bad_pages=%llu %s hot_hit_before=%s hot_hit_after=%s cached_share=%s",
		    (unsigned long long)trial->failures, (unsigned long long)trial->missed,
		    (unsigned long long)trial->bad_pages, books_format(books, &trial->books),
		    format_share(before, trial->hot_before, trial->hot_reads),
		    format_share(after, trial->hot_after, trial->hot_reads),
		    format_share(cached, trial->cached_bytes, trial->environment->ram_bytes));
	return buffer;
}

/* The hot reader's hits while no other load reads. */
static uint64_t measure_hot_hits(struct trial *trial)
{
	loads_stop(&trial->loads);
	return loads_measure_hits(&trial->loads, trial->hot_reads);
}

static void start_loads(struct trial *trial)
{
	status_t status = loads_start(&trial->loads);

	if (status == STATUS_OK)
		status = fill_wait(&trial->loads, &trial->goal);
	if (status != STATUS_OK)
		trial_fail(trial, "starting the loads", status);
}

/* Until as much as a request takes has been replaced. */
static void reach_steady_state(struct trial *trial, uint64_t request_bytes)
{
	const uint64_t start_ns = platform_now_ns();
	struct pagecache_statistics before, now;

	pagecache_statistics(trial->environment->pagecache, &before);
	start_loads(trial);
	do {
		task_sleep(10 * NS_PER_MS);
		pagecache_statistics(trial->environment->pagecache, &now);
	} while ((now.inserted_pages - before.inserted_pages) * PAGE_BYTES < request_bytes &&
		 platform_now_ns() - start_ns < TRIAL_PATIENCE_NS);
}

status_t trial_begin(struct trial *trial, struct scenario *scenario, uint64_t request_bytes)
{
	const struct app_environment *environment = scenario->environment;
	status_t status;

	*trial = (struct trial){ .scenario = scenario, .environment = environment };
	status = disks_find(scenario, &trial->disks);
	if (status == STATUS_OK)
		status = loads_init(&trial->loads, environment, trial->disks.data, false);
	if (status != STATUS_OK)
		return status;
	trial->hot_reads = MAX(options_get_number(scenario->options, "hot_reads", HOT_READS), 1);
	trial->cached_bytes = fill_cache(&trial->loads);
	trial->goal = (struct fill_goal){
		.cached_bytes = fill_goal_bytes(trial->cached_bytes),
		.dirty_bytes = MIN(trial->cached_bytes * DIRTY_PERCENT / 100, trial->loads.dirty_goal_pages * PAGE_BYTES),
		.patience_ns = TRIAL_PATIENCE_NS,
	};
	reach_steady_state(trial, request_bytes);
	trial->hot_before = measure_hot_hits(trial);
	start_loads(trial);
	return STATUS_OK;
}

void trial_warm(struct trial *trial)
{
	uint64_t before;
	unsigned round = 0;

	do {
		before = trial->hot_before;
		trial->hot_before = measure_hot_hits(trial);
	} while (trial->hot_before > before + trial->hot_reads / 200 && ++round < WARM_ROUNDS_MAX);
	start_loads(trial);
}

/* What may be missing comes soon, too: until memory is full, or for a moment without progress. */
static void wait_until_full(const struct trial *trial)
{
	struct memory *memory = trial->environment->memory;
	uint64_t least = UINT64_MAX, since_ns = platform_now_ns();

	while (memory_may_grow(memory) && platform_now_ns() - since_ns < MOMENT_NS) {
		const uint64_t free_bytes = memory_free_bytes(memory);

		if (free_bytes < least) {
			least = free_bytes;
			since_ns = platform_now_ns();
		}
		task_sleep(POLL_NS);
	}
}

void trial_refill(struct trial *trial)
{
	const status_t status = fill_wait(&trial->loads, &trial->goal);

	wait_until_full(trial);
	if (status != STATUS_OK)
		trial_fail(trial, "filling the cache again", status);
}

void trial_refill_rest(struct trial *trial)
{
	const uint64_t start_ns = platform_now_ns();
	struct pagecache_statistics statistics;

	while (memory_may_grow(trial->environment->memory) && platform_now_ns() - start_ns < TRIAL_PATIENCE_NS)
		task_sleep(10 * NS_PER_MS);
	pagecache_statistics(trial->environment->pagecache, &statistics);
	trial->goal.cached_bytes = fill_goal_bytes(statistics.cached_pages * PAGE_BYTES);
	trial_refill(trial);
}

static void compare_written(struct trial *trial)
{
	status_t status = volume_flush(trial->disks.data);

	if (status != STATUS_OK)
		trial_fail(trial, "flushing", status);
	status = loads_compare(&trial->loads);
	if (status != STATUS_OK)
		trial_fail(trial, "reading back what was written", status);
	print("%llu pages were written; all of the region was read back and compared.\n",
	      (unsigned long long)trial->loads.written_pages);
}

void trial_end(struct trial *trial)
{
	trial->hot_after = measure_hot_hits(trial);
	compare_written(trial);
	trial->failures += trial->loads.errors;
	trial->bad_pages += trial->loads.bad_pages;
	loads_fini(&trial->loads);
}

status_t trial_status(const struct trial *trial)
{
	return trial->failures == 0 && trial->bad_pages == 0 ? STATUS_OK : STATUS_CORRUPT;
}
