// SPDX-License-Identifier: BSD-2-Clause
/*
 * Everything else taken: out of a full cache with many dirty pages, all blocks and all objects of
 * the general heap go, at once; readers go on and use up what is retained; and then the dirty pages
 * have to be written, by the drivers, from their reserves. Again and again.
 *
 * A flush that makes no progress for a minute is a deadlock. What was written is compared at the
 * end, when memory has come back. Options: loops=10 (flushes), and those of testbed.h.
 */
#include <stdatomic.h>

#include "app/testbed/memhog.h"
#include "pagecache/volume.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT 10
#define REQUEST_BYTES (64 * MIB)
#define POLL_NS       (10 * NS_PER_MS)

struct starve {
	struct testbed testbed;
	struct memhog memhog;
	struct task *flusher;
	_Atomic uint32_t wanted, done; /* flushes; UINT32_MAX: the flusher ends */
	_Atomic uint64_t failed;       /* flushes */
	uint64_t flushes, deadlocks;
	uint64_t flush_us_max, written_bytes;
	uint64_t dirty_bytes;   /* when the flushes began, in all */
	uint64_t taken_bytes;   /* by memhog, at most */
	uint64_t free_bytes;    /* that memhog left, at least */
	uint64_t errors_before; /* of the loads, before they starved */
};

/* A task of its own, which exists before memory is gone. */
static void run_flusher(void *context)
{
	struct starve *starve = context;
	uint32_t done = 0;

	for (;;) {
		const uint32_t wanted = atomic_load(&starve->wanted);

		if (wanted == UINT32_MAX)
			return;
		if (wanted == done) {
			(void)platform_wait(&starve->wanted, wanted, PLATFORM_FOREVER);
			continue;
		}
		if (volume_flush(starve->testbed.disks.data) != STATUS_OK)
			atomic_fetch_add(&starve->failed, 1);
		atomic_store(&starve->done, ++done);
	}
}

static void want(struct starve *starve, uint32_t flushes)
{
	atomic_store(&starve->wanted, flushes);
	platform_wake(&starve->wanted);
}

static struct pagecache_statistics statistics_of(const struct starve *starve)
{
	struct pagecache_statistics statistics;

	volume_statistics(starve->testbed.disks.data, &statistics);
	return statistics;
}

static uint64_t written_bytes(const struct starve *starve)
{
	const struct pagecache_statistics statistics = statistics_of(starve);

	return statistics.written_bytes;
}

/* False: nothing moves any more. */
static bool wait_for_flush(struct starve *starve, uint32_t number)
{
	uint64_t written = written_bytes(starve), since_ns = platform_now_ns();

	while (atomic_load(&starve->done) != number) {
		const uint64_t now_written = written_bytes(starve);

		if (now_written != written) {
			written = now_written;
			since_ns = platform_now_ns();
		} else if (platform_now_ns() - since_ns > TESTBED_PATIENCE_NS) {
			return false;
		}
		task_sleep(POLL_NS);
	}
	return true;
}

static void take_all(struct starve *starve)
{
	struct memory *memory = starve->testbed.environment->memory;

	(void)memhog_take_blocks(&starve->memhog);
	(void)memhog_take_objects(&starve->memhog);
	starve->taken_bytes = MAX(starve->taken_bytes, starve->memhog.block_bytes + starve->memhog.object_bytes);
	starve->free_bytes = MIN(starve->free_bytes, memory_free_bytes(memory));
}

static bool run_loop(struct starve *starve, uint32_t number)
{
	char taken[FORMAT_BYTES_SIZE], written[FORMAT_BYTES_SIZE], dirty[FORMAT_BYTES_SIZE], cached[FORMAT_BYTES_SIZE];

	take_all(starve);
	const struct pagecache_statistics before = statistics_of(starve);
	const uint64_t before_ns = platform_now_ns();
	want(starve, number);
	if (!wait_for_flush(starve, number)) {
		starve->deadlocks++;
		testbed_fail(&starve->testbed, "a flush makes no progress", STATUS_TIMEOUT);
		reclaim_report(memory_reclaim(starve->testbed.environment->memory));
		return false;
	}
	const uint64_t us = (platform_now_ns() - before_ns) / NS_PER_US, bytes = written_bytes(starve) - before.written_bytes;
	starve->flushes++;
	starve->flush_us_max = MAX(starve->flush_us_max, us);
	starve->written_bytes += bytes;
	starve->dirty_bytes += before.dirty_pages * PAGE_BYTES;
	print("starve, flush %u: %s taken; of %s left in the cache %s were dirty; wrote %s in %llu us\n", (unsigned)number,
	      format_bytes(taken, starve->memhog.block_bytes + starve->memhog.object_bytes),
	      format_bytes(cached, before.cached_pages * PAGE_BYTES), format_bytes(dirty, before.dirty_pages * PAGE_BYTES),
	      format_bytes(written, bytes), (unsigned long long)us);
	memhog_free(&starve->memhog);
	testbed_refill_rest(&starve->testbed);
	return true;
}

static status_t start(struct starve *starve, struct scenario *scenario)
{
	const struct task_options options = { .name = "flusher", .priority = TASK_NORMAL, .cpu = -1 };
	status_t status = testbed_begin(&starve->testbed, scenario, REQUEST_BYTES);

	if (status != STATUS_OK)
		return status;
	memhog_init(&starve->memhog, scenario->environment->memory);
	starve->free_bytes = UINT64_MAX;
	starve->errors_before = starve->testbed.loads.errors;
	status = task_spawn(&options, run_flusher, starve, &starve->flusher);
	if (status != STATUS_OK)
		testbed_end(&starve->testbed);
	return status;
}

static void print_result(struct starve *starve)
{
	char text[TESTBED_TEXT_BYTES];

	scenario_result(starve->testbed.scenario,
			"%s loops=%llu deadlocks=%llu read_errors=%llu taken_bytes=%llu free_bytes=%llu written_bytes=%llu "
			"dirty_bytes=%llu "
			"flush_us_max=%llu",
			testbed_format(text, &starve->testbed), (unsigned long long)starve->flushes,
			(unsigned long long)starve->deadlocks,
			(unsigned long long)(starve->testbed.loads.errors - starve->errors_before),
			(unsigned long long)starve->taken_bytes, (unsigned long long)starve->free_bytes,
			(unsigned long long)starve->written_bytes, (unsigned long long)starve->dirty_bytes,
			(unsigned long long)starve->flush_us_max);
}

SCENARIO(starve, "write dirty pages when all other memory is gone: loops=10")
{
	static struct starve starve;
	uint64_t loops = MAX(options_get_number(scenario->options, "loops", LOOPS_DEFAULT), 1);
	status_t status;
	bool alive = true;

	starve = (struct starve){ 0 };
	status = start(&starve, scenario);
	if (status != STATUS_OK)
		return status;
	for (uint32_t number = 1; alive && scenario_goes_on(number - 1, &loops); number++)
		alive = run_loop(&starve, number);
	starve.testbed.failures += starve.failed;
	memhog_free(&starve.memhog);
	/*
	 * A flusher that is stuck cannot be joined, even now that there is memory, unless memory
	 * was all that it lacked.
	 */
	if (!alive && !wait_for_flush(&starve, starve.wanted)) {
		print_result(&starve);
		return STATUS_TIMEOUT;
	}
	want(&starve, UINT32_MAX);
	task_join(starve.flusher);
	testbed_end(&starve.testbed);
	print_result(&starve);
	return testbed_status(&starve.testbed);
}
