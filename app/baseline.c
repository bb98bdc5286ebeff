// SPDX-License-Identifier: BSD-2-Clause
/*
 * For comparison: a request, such as that of the scenario capture, served the naive ways, in the
 * same run and on the same machine.
 *
 *	drop    drop the whole cache, then take the memory
 *	lru     evict single pages, the least recently used one first, until the memory fits; the loads keep stamps for that
 *	weir    ask for the memory, and let the cleaners give what is missing
 *
 * Before each way the loads run until memory is full again; then they rest and the disk is flushed,
 * so that all pages are clean and only the request changes the cache.
 *
 * Options: capture_bytes=1G, contiguous=1 (all of it in one piece), data=NAME and digitizer=NAME
 * (see disks.h).
 */
#include "baseline.h"

#include "app/testbed/buffers.h"
#include "app/testbed/direct.h"
#include "app/testbed/disks.h"
#include "app/testbed/fill.h"
#include "heap/memory.h"
#include "app/testbed/reclaim_stats.h"
#include "app/testbed/lru.h"
#include "pagecache/volume.h"
#include "app/testbed/report.h"
#include "runtime/base/block_device.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/kernel/task.h"
#include "app/testbed/testbed.h"

#define WARM_NS (30 * NS_PER_S) /* at most, to let the loads put the whole cache into an order of their own */

struct baseline {
	struct scenario *scenario;
	struct disks disks;
	struct loads loads;
	struct buffers buffers;
	struct fill_goal goal;
	struct lru lru;
	uint64_t gained_bytes; /* by the present way */
	bool failed;
};

/* Each returns whether all of the memory was had. */

static bool take_by_cleaners(struct baseline *baseline)
{
	const status_t status = buffers_take(&baseline->buffers, TESTBED_TAKE_NS);

	baseline->gained_bytes = buffers_bytes(&baseline->buffers);
	return status == STATUS_OK;
}

static bool take_by_drop(struct baseline *baseline)
{
	(void)volume_drop(baseline->disks.data);
	const bool fits = buffers_take_free(&baseline->buffers);

	baseline->gained_bytes = buffers_bytes(&baseline->buffers);
	return fits;
}

/* Evicts what LRU would; the memory would fit then. */
static bool take_by_lru(struct baseline *baseline)
{
	const struct buffers *buffers = &baseline->buffers;
	const bool fits = lru_evict_until_fits(&baseline->lru, buffers->device, &buffers->request, buffers->count);

	baseline->gained_bytes = fits ? buffers->count * buffers->request.bytes : 0;
	return fits;
}

/* Until all that is cached has been replaced once. */
static void warm_up(struct baseline *baseline)
{
	const uint64_t start_ns = platform_now_ns();
	struct pagecache_statistics before, now;

	volume_statistics(baseline->disks.data, &before);
	do {
		task_sleep(10 * NS_PER_MS);
		volume_statistics(baseline->disks.data, &now);
	} while (now.inserted_pages - before.inserted_pages < before.cached_pages && platform_now_ns() - start_ns < WARM_NS);
}

/* Memory is full again, all pages are clean, and the loads rest. */
static status_t prepare_way(struct baseline *baseline)
{
	status_t status = loads_start(&baseline->loads);

	if (status == STATUS_OK)
		status = fill_wait(&baseline->loads, &baseline->goal);
	if (status == STATUS_OK)
		warm_up(baseline);
	loads_stop(&baseline->loads);
	lru_order(&baseline->lru);
	return status == STATUS_OK ? volume_flush(baseline->disks.data) : status;
}

static void try_way(struct baseline *baseline, const char *name, bool (*take)(struct baseline *baseline))
{
	struct reclaim_stats stats;
	struct reclaim_delta delta;
	char ratio[FORMAT_SHARE_BYTES];
	const status_t status = prepare_way(baseline);
	bool fits;

	if (status != STATUS_OK) {
		print("Preparing way=%s: %s\n", name, status_text(status));
		baseline->failed = true;
		return;
	}
	reclaim_stats_open(&stats, baseline->loads.environment);
	const uint64_t before_ns = platform_now_ns();
	fits = take(baseline);
	const uint64_t us = (platform_now_ns() - before_ns) / NS_PER_US;
	reclaim_stats_close(&stats, &delta);

	const uint64_t gained = baseline->gained_bytes;
	const uint64_t lost = delta.lost_bytes > 0 ? (uint64_t)delta.lost_bytes : 0;
	buffers_free(&baseline->buffers);
	/*
	 * The next way begins with blocks that are filled in order, not with what this one left of
	 * them.
	 */
	(void)volume_drop(baseline->disks.data);
	scenario_result(
		baseline->scenario,
		"way=%s fits=%d gained_bytes=%llu lost_bytes=%llu evicted_bytes=%llu lost_per_gained=%s alloc_us_p50=%llu",
		name, fits, (unsigned long long)gained, (unsigned long long)lost, (unsigned long long)delta.evicted_bytes,
		format_share(ratio, lost, gained), (unsigned long long)us);
}

static void finish(struct baseline *baseline)
{
	lru_fini(&baseline->lru);
	buffers_fini(&baseline->buffers);
	loads_fini(&baseline->loads);
}

static status_t prepare(struct baseline *baseline, const struct device *device, const struct dma_request *request,
			uint64_t count)
{
	const struct app_environment *environment = baseline->scenario->environment;
	status_t status = disks_find(baseline->scenario, &baseline->disks);

	if (status != STATUS_OK)
		return status;
	status = loads_init(&baseline->loads, environment, baseline->disks.data, true);
	if (status != STATUS_OK)
		return status;
	status = lru_init(&baseline->lru, &baseline->loads);
	if (status == STATUS_OK)
		status = buffers_init(&baseline->buffers, environment->memory, device, request, count);
	if (status != STATUS_OK) {
		finish(baseline);
		return status;
	}
	baseline->goal = (struct fill_goal){ .patience_ns = TESTBED_PATIENCE_NS };
	baseline->goal.cached_bytes = fill_goal_bytes(fill_cache(&baseline->loads));
	return STATUS_OK;
}

status_t baseline_run(struct scenario *scenario, const struct device *device, const struct dma_request *request, uint64_t count)
{
	static struct baseline baseline;
	status_t status;

	baseline = (struct baseline){ .scenario = scenario };
	status = prepare(&baseline, device, request, count);
	if (status != STATUS_OK)
		return status;
	try_way(&baseline, "drop", take_by_drop);
	try_way(&baseline, "lru", take_by_lru);
	try_way(&baseline, "weir", take_by_cleaners);
	const bool bad = baseline.failed || baseline.loads.errors > 0 || baseline.loads.bad_pages > 0;
	finish(&baseline);
	return bad ? STATUS_CORRUPT : STATUS_OK;
}

void baseline_beside(struct testbed *testbed, const struct device *device, const struct dma_request *request, uint64_t count)
{
	status_t status;

	if (options_get_number(testbed->scenario->options, "baseline", 0) == 0)
		return;
	status = baseline_run(testbed->scenario, device, request, count);
	if (status != STATUS_OK)
		testbed_fail(testbed, "the baseline", status);
}

SCENARIO(baseline, "the same request the naive ways: dropping the cache, LRU page by page")
{
	const bool contiguous = options_get_number(scenario->options, "contiguous", 0) != 0;
	const uint64_t bytes = testbed_scale(scenario->environment, options_get_number(scenario->options, "capture_bytes", GIB),
					     4, BUFFERS_PIECE_BYTES);
	const struct dma_request one = { .bytes = bytes, .segments_max = 1 }, piece = buffers_piece(false);
	struct disks disks;
	status_t status = disks_find(scenario, &disks);

	if (status != STATUS_OK)
		return status;
	return baseline_run(scenario, direct_device(disks.digitizer), contiguous ? &one : &piece,
			    contiguous ? 1 : bytes / BUFFERS_PIECE_BYTES);
}
