// SPDX-License-Identifier: BSD-2-Clause
/*
 * The main job: memory full of cached disk pages, readers and a writer at work, and again and again
 * 1 GB of DMA memory as 256 x 4 MB, which a real device fills past the cache and which is verified
 * and given back.
 *
 * Options: loops=20, capture_bytes=1G (a quarter of a small machine's RAM at most), contiguous=1
 * (each 4 MB in one piece, not in two), baseline=1 (the naive ways in the same boot, see
 * baseline.c), and those of testbed.h.
 */
#include "baseline.h"
#include "app/testbed/direct.h"
#include "app/testbed/report.h"
#include "app/testbed/capture_loop.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"

#define LOOPS_DEFAULT    20
#define LOST_MAX_PERCENT 102
#define HIT_POINTS       1

static uint64_t choose_bytes(const struct scenario *scenario)
{
	const struct app_environment *environment = scenario->environment;
	const uint64_t wanted = options_get_number(scenario->options, "capture_bytes", GIB);
	char text[FORMAT_BYTES_SIZE], ram[FORMAT_BYTES_SIZE];
	uint64_t bytes;

	if (wanted <= environment->ram_bytes / 16 * 9)
		return testbed_scale(environment, wanted, 16, BUFFERS_PIECE_BYTES);
	bytes = testbed_scale(environment, wanted, 4, BUFFERS_PIECE_BYTES);
	print("With %s of RAM, a capture takes %s.\n", format_bytes(ram, environment->ram_bytes), format_bytes(text, bytes));
	return bytes;
}

SCENARIO(capture, "take 1 GB for DMA out of a full cache, again and again: loops=20 capture_bytes=1G contiguous=0 baseline=0")
{
	static struct testbed testbed;
	static struct capture_loop loop;
	const struct dma_request request = buffers_piece(options_get_number(scenario->options, "contiguous", 0) != 0);
	const uint64_t loops = options_get_number(scenario->options, "loops", LOOPS_DEFAULT);
	uint64_t bytes = choose_bytes(scenario);
	char text[TESTBED_TEXT_BYTES], figures[CAPTURE_LOOP_TEXT_BYTES];
	status_t status = testbed_begin(&testbed, scenario, bytes);

	if (status != STATUS_OK)
		return status;
	testbed_warm(&testbed);
	const struct device *device = direct_device(testbed.disks.digitizer);
	bytes = MIN(bytes, testbed.disks.digitizer->size_bytes);
	status = capture_loop_init(&loop, &testbed, "capture", device, &request, bytes / BUFFERS_PIECE_BYTES, loops);
	if (status == STATUS_OK)
		capture_loop_run(&loop);
	capture_loop_fini(&loop);
	testbed_end(&testbed);
	testbed_expect_lost(&testbed, "lost/gained", &loop.totals, LOST_MAX_PERCENT);
	testbed_expect_hits(&testbed, HIT_POINTS);
	testbed_expect_share(&testbed, "p50 of getting the memory, in parts of the time to zero it,", loop.p50_us, loop.zero_us,
			     100);
	baseline_beside(&testbed, device, &request, bytes / BUFFERS_PIECE_BYTES);
	scenario_result(scenario, "%s %s capture_bytes=%llu", testbed_format(text, &testbed),
			capture_loop_format(figures, &loop), (unsigned long long)bytes);
	return status == STATUS_OK ? testbed_status(&testbed) : status;
}
