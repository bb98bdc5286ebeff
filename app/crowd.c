// SPDX-License-Identifier: BSD-2-Clause
/*
 * Several ask at once: four tasks, spread over the CPUs, take 256 MB each in pieces of 4 MB, beside
 * the loads. On a smaller machine each takes a sixteenth of its RAM.
 *
 * Options: loops=20, crowd=4 (tasks), crowd_bytes=256M, and those of testbed.h.
 */
#include <stdatomic.h>

#include "app/testbed/buffers.h"
#include "app/testbed/direct.h"
#include "heap/memory.h"
#include "app/testbed/report.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/platform.h"
#include "runtime/kernel/task.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT    20
#define LOOPS_MAX        1000
#define CROWD            4
#define CROWD_MAX        16
#define LOST_MAX_PERCENT 105

struct crowd {
	struct testbed testbed;
	uint64_t size;
	_Atomic uint32_t start; /* opens when it is 1: so all ask at once */
	struct one {
		struct crowd *crowd;
		struct buffers buffers;
		struct task *task;
		uint64_t us; /* of this loop */
	} ones[CROWD_MAX];
	uint64_t us[LOOPS_MAX]; /* of the last one of each loop */
	uint64_t first_us;      /* least that a task needed, and most */
	uint64_t last_us;
};

static void run_one(void *context)
{
	struct one *one = context;
	struct crowd *crowd = one->crowd;
	status_t status;

	while (atomic_load(&crowd->start) == 0)
		(void)platform_wait(&crowd->start, 0, PLATFORM_FOREVER);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_take(&one->buffers, TESTBED_TAKE_NS);
	one->us = (platform_now_ns() - before_ns) / NS_PER_US;
	if (status != STATUS_OK)
		testbed_fail(&crowd->testbed, "taking DMA memory in a crowd", status);
}

static void start_all(struct crowd *crowd)
{
	atomic_store(&crowd->start, 0);
	for (uint64_t i = 0; i < crowd->size; i++) {
		struct one *one = &crowd->ones[i];
		const struct task_options options = { .name = "crowd",
						      .priority = TASK_HIGH,
						      .cpu = (int)(i % platform_cpu_count()) };
		const status_t status = task_spawn(&options, run_one, one, &one->task);

		if (status != STATUS_OK) {
			one->task = NULL;
			testbed_fail(&crowd->testbed, "starting a task", status);
		}
	}
	atomic_store(&crowd->start, 1);
	platform_wake(&crowd->start);
}

/* Returns what they got in all. */
static uint64_t join_all(struct crowd *crowd)
{
	uint64_t gained = 0;

	for (uint64_t i = 0; i < crowd->size; i++) {
		if (crowd->ones[i].task)
			task_join(crowd->ones[i].task);
		gained += buffers_bytes(&crowd->ones[i].buffers);
	}
	return gained;
}

static void run_loop(struct crowd *crowd, uint64_t loop)
{
	struct reclaim_delta delta;
	struct reclaim_stats stats;
	char givers[RECLAIM_GIVERS_BYTES], got[FORMAT_BYTES_SIZE], lost[FORMAT_BYTES_SIZE];
	uint64_t least = UINT64_MAX;

	reclaim_stats_open(&stats, crowd->testbed.environment);
	start_all(crowd);
	const uint64_t gained = join_all(crowd);
	reclaim_stats_close(&stats, &delta);
	reclaim_totals_add(&crowd->testbed.totals, gained, &delta);
	for (uint64_t i = 0; i < crowd->size; i++) {
		crowd->us[loop] = MAX(crowd->us[loop], crowd->ones[i].us);
		least = MIN(least, crowd->ones[i].us);
		buffers_free(&crowd->ones[i].buffers);
	}
	crowd->first_us = MIN(crowd->first_us, least);
	crowd->last_us = MAX(crowd->last_us, crowd->us[loop]);
	print("crowd, loop %llu: %s for %llu tasks; the first had its share after %llu us, the last after %llu us; cache lost "
	      "%s; "
	      "from: %s\n",
	      (unsigned long long)loop + 1, format_bytes(got, gained), (unsigned long long)crowd->size,
	      (unsigned long long)least, (unsigned long long)crowd->us[loop],
	      format_bytes(lost, (uint64_t)MAX(delta.lost_bytes, 0)), reclaim_delta_format_givers(givers, &delta));
	testbed_refill(&crowd->testbed);
}

static status_t prepare(struct crowd *crowd, uint64_t bytes)
{
	const struct dma_request request = buffers_piece(false);
	const struct device *device = direct_device(crowd->testbed.disks.digitizer);
	status_t status = STATUS_OK;

	for (uint64_t i = 0; i < crowd->size && status == STATUS_OK; i++) {
		crowd->ones[i].crowd = crowd;
		status = buffers_init(&crowd->ones[i].buffers, crowd->testbed.environment->memory, device, &request,
				      bytes / BUFFERS_PIECE_BYTES);
	}
	return status;
}

static void finish(struct crowd *crowd)
{
	for (uint64_t i = 0; i < crowd->size && crowd->ones[i].crowd; i++)
		buffers_fini(&crowd->ones[i].buffers);
}

SCENARIO(crowd, "several tasks take memory at once: loops=20 crowd=4 crowd_bytes=256M")
{
	static struct crowd crowd;
	const uint64_t bytes = testbed_scale(
		scenario->environment, options_get_number(scenario->options, "crowd_bytes", 256 * MIB), 1, BUFFERS_PIECE_BYTES);
	uint64_t loops = options_get_number(scenario->options, "loops", LOOPS_DEFAULT);
	char text[TESTBED_TEXT_BYTES];
	status_t status;

	crowd = (struct crowd){ .first_us = UINT64_MAX };
	loops = MIN(MAX(loops, 1), LOOPS_MAX);
	crowd.size = MIN(MAX(options_get_number(scenario->options, "crowd", CROWD), 1), CROWD_MAX);
	status = testbed_begin(&crowd.testbed, scenario, crowd.size * bytes);
	if (status != STATUS_OK)
		return status;
	status = prepare(&crowd, bytes);
	for (uint64_t loop = 0; status == STATUS_OK && scenario_goes_on(loop, &loops); loop++)
		run_loop(&crowd, loop);
	finish(&crowd);
	testbed_end(&crowd.testbed);
	testbed_expect_lost(&crowd.testbed, "lost/gained", &crowd.testbed.totals, LOST_MAX_PERCENT);
	sort_numbers(crowd.us, loops);
	scenario_result(scenario, "%s loops=%llu crowd=%llu crowd_bytes=%llu alloc_us_p50=%llu alloc_us_max=%llu first_us=%llu",
			testbed_format(text, &crowd.testbed), (unsigned long long)loops, (unsigned long long)crowd.size,
			(unsigned long long)bytes, (unsigned long long)crowd.us[loops / 2], (unsigned long long)crowd.last_us,
			(unsigned long long)crowd.first_us);
	return status == STATUS_OK ? testbed_status(&crowd.testbed) : status;
}
