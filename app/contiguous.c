// SPDX-License-Identifier: BSD-2-Clause
/*
 * One piece out of a full cache: 1 GB in one segment, 50 times, beside the loads; then 256 MB, 64
 * MB, and 1 GB below 4 GB. On a smaller machine a quarter of its RAM, and parts of that; and where
 * all memory lies below 4 GB, below the largest power of two that cuts through it.
 *
 * Each size has a line of its own, "result: contiguous what=...", and all together the last one.
 * Options: loops=50 (for each size), contiguous_bytes=1G, baseline=1 (the largest size the naive
 * ways, see baseline.c), and those of testbed.h.
 */
#include "baseline.h"
#include "app/testbed/direct.h"
#include "heap/memory.h"
#include "app/testbed/report.h"
#include "app/testbed/capture_loop.h"
#include "runtime/base/bits.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

#define LOOPS_DEFAULT    50
#define LOST_MAX_PERCENT 110
#define NAME_BYTES       32

static void run_size(struct testbed *testbed, const struct device *device, uint64_t bytes, const char *what, uint64_t loops)
{
	static struct capture_loop loop;
	const struct dma_request request = { .bytes = bytes, .segments_max = 1 };
	char totals[RECLAIM_TOTALS_BYTES], figures[CAPTURE_LOOP_TEXT_BYTES], name[NAME_BYTES + 32];
	const status_t status = capture_loop_init(&loop, testbed, what, device, &request, 1, loops);

	if (status != STATUS_OK) {
		testbed_fail(testbed, "preparing", status);
		return;
	}
	capture_loop_run(&loop);
	capture_loop_fini(&loop);
	format_text(name, sizeof(name), "lost/gained of %s", what);
	testbed_expect_lost(testbed, name, &loop.totals, LOST_MAX_PERCENT);
	scenario_result(testbed->scenario, "what=\"%s\" failures=%llu %s %s", what, (unsigned long long)loop.failures,
			reclaim_totals_format(totals, &loop.totals), capture_loop_format(figures, &loop));
}

/*
 * 4 GB, if there is memory beyond; else the largest power of two below which there is not all of
 * it.
 */
static uint64_t low_end(struct memory *memory)
{
	const struct phys_range all = block_heap_range(memory_block_heap(memory));
	const uint64_t end = all.start.value + all.bytes;

	return end > 4 * GIB ? 4 * GIB : 1ull << log2_floor(end - 1);
}

static void run_below(struct testbed *testbed, const struct device *device, uint64_t bytes, uint64_t loops)
{
	const uint64_t end = low_end(testbed->environment->memory);
	char what[NAME_BYTES], size[FORMAT_BYTES_SIZE], limit[FORMAT_BYTES_SIZE];
	struct device low = *device;

	low.name = "below";
	low.dma_mask = end - 1;
	format_text(what, sizeof(what), "%s below %s", format_bytes(size, bytes), format_bytes(limit, end));
	run_size(testbed, &low, bytes, what, loops);
}

static void run_sizes(struct testbed *testbed, const struct device *device, uint64_t bytes)
{
	const uint64_t loops = options_get_number(testbed->scenario->options, "loops", LOOPS_DEFAULT);

	for (uint64_t part = 1; part <= 16; part *= 4) {
		char what[FORMAT_BYTES_SIZE];

		run_size(testbed, device, bytes / part, format_bytes(what, bytes / part), loops);
	}
	run_below(testbed, device, bytes, loops);
}

SCENARIO(contiguous, "1 GB in one piece out of a full cache, also 256 MB and 64 MB: loops=50 contiguous_bytes=1G baseline=0")
{
	static struct testbed testbed;
	uint64_t bytes = options_get_number(scenario->options, "contiguous_bytes", GIB);
	char text[TESTBED_TEXT_BYTES];
	status_t status;

	bytes = testbed_scale(scenario->environment, bytes, 4, 16 * BLOCK_BYTES);
	status = testbed_begin(&testbed, scenario, bytes);
	if (status != STATUS_OK)
		return status;
	const struct device *device = direct_device(testbed.disks.digitizer);
	const struct dma_request request = { .bytes = MIN(bytes, testbed.disks.digitizer->size_bytes), .segments_max = 1 };
	run_sizes(&testbed, device, request.bytes);
	testbed_end(&testbed);
	baseline_beside(&testbed, device, &request, 1);
	scenario_result(scenario, "%s", testbed_format(text, &testbed));
	return testbed_status(&testbed);
}
