// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fills the page cache by reading, and waits until it is full again. Progress is what counts, not
 * time: as long as the figures rise, a slow disk may take as long as it likes.
 */
#include "fill.h"

#include "heap/memory.h"
#include "pagecache/volume.h"
#include "report.h"
#include "runtime/base/log.h"
#include "runtime/kernel/task.h"
#include "app/scenario.h"

#define READ_PAGES (1 * MIB / PAGE_BYTES)
#define POLL_NS    (5 * NS_PER_MS)
#define SLACK_PART 100 /* of what was cached, that may be missing */
#define SLACK_MIN  (4 * BLOCK_BYTES)

static uint64_t cached_bytes(const struct loads *loads, uint64_t *dirty_bytes)
{
	struct pagecache_statistics statistics;

	pagecache_statistics(loads->environment->pagecache, &statistics);
	if (dirty_bytes)
		*dirty_bytes = statistics.dirty_pages * PAGE_BYTES;
	return statistics.cached_pages * PAGE_BYTES;
}

uint64_t fill_cache(struct loads *loads)
{
	const struct app_environment *environment = loads->environment;
	const uint64_t low_bytes = reclaim_watermarks(memory_reclaim(environment->memory))->low_bytes;
	const uint64_t free_bytes = memory_free_bytes(environment->memory);
	const uint64_t disk_bytes = loads->pages * PAGE_BYTES;
	const uint64_t before = cached_bytes(loads, NULL);
	uint64_t number = 0, cached = before;
	struct progress progress;

	progress_start(&progress, "filling the page cache", MIN(disk_bytes, free_bytes - MIN(free_bytes, low_bytes)),
		       app_is_interactive(environment));
	while (number < loads->pages && reclaim_may_grow(memory_reclaim(environment->memory)) && !scenario_is_cancelled()) {
		const uint64_t count = MIN(READ_PAGES, loads->pages - number);

		loads_read(loads, number, count, loads->buffers[0]);
		number += count;
		cached = cached_bytes(loads, NULL);
		progress_update(&progress, cached - MIN(cached, before));
	}
	progress_end(&progress, cached - MIN(cached, before));
	if (number == loads->pages)
		print("The disk ends before memory is full; a larger one would show more.\n");
	return cached;
}

uint64_t fill_goal_bytes(uint64_t cached_bytes)
{
	const uint64_t slack_bytes = MAX(cached_bytes / SLACK_PART, SLACK_MIN);

	return cached_bytes - MIN(cached_bytes, slack_bytes);
}

static void print_stuck(const struct fill_goal *goal, uint64_t cached, uint64_t dirty)
{
	print("The loads stopped getting on: %llu of %llu KB are cached and %llu of %llu KB dirty after %llu s without "
	      "progress.\n",
	      (unsigned long long)(cached / KIB), (unsigned long long)(goal->cached_bytes / KIB),
	      (unsigned long long)(dirty / KIB), (unsigned long long)(goal->dirty_bytes / KIB),
	      (unsigned long long)(goal->patience_ns / NS_PER_S));
}

status_t fill_wait(struct loads *loads, const struct fill_goal *goal)
{
	uint64_t most = 0, dirty = 0, cached = cached_bytes(loads, &dirty);
	uint64_t since_ns = platform_now_ns();

	while (cached < goal->cached_bytes || dirty < goal->dirty_bytes) {
		const uint64_t reached = MIN(cached, goal->cached_bytes) + MIN(dirty, goal->dirty_bytes);

		if (reached > most) {
			most = reached;
			since_ns = platform_now_ns();
		} else if (platform_now_ns() - since_ns > goal->patience_ns) {
			print_stuck(goal, cached, dirty);
			reclaim_report(memory_reclaim(loads->environment->memory));
			return STATUS_TIMEOUT;
		}
		task_sleep(POLL_NS);
		cached = cached_bytes(loads, &dirty);
	}
	return STATUS_OK;
}
