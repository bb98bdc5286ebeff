// SPDX-License-Identifier: BSD-2-Clause
/*
 * One round after the other: take, read by DMA, verify, print, free, refill. The time that counts
 * is from the first request to the last buffer, with the task at high priority, as a driver with
 * data coming in would have it.
 */
#include "capture_loop.h"

#include "clear.h"
#include "heap/memory.h"
#include "pattern.h"
#include "report.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/kernel/task.h"

static struct heap *general_heap(const struct capture_loop *loop)
{
	return memory_general_heap(loop->testbed->environment->memory);
}

status_t capture_loop_init(struct capture_loop *loop, struct testbed *testbed, const char *what, const struct device *device,
			   const struct dma_request *request, uint64_t count, uint64_t loops)
{
	status_t status;

	*loop = (struct capture_loop){ .testbed = testbed, .what = what, .loops = MAX(loops, 1) };
	loop->us = heap_alloc(general_heap(loop), loop->loops * sizeof(*loop->us), 0);
	status = buffers_init(&loop->buffers, testbed->environment->memory, device, request, count);
	if (status == STATUS_OK && loop->us)
		return STATUS_OK;
	print("There is no memory for the lists of %llu buffers.\n", (unsigned long long)count);
	capture_loop_fini(loop);
	return STATUS_NO_MEMORY;
}

void capture_loop_fini(struct capture_loop *loop)
{
	buffers_fini(&loop->buffers);
	heap_free(general_heap(loop), loop->us);
	loop->us = NULL;
}

static void fail(struct capture_loop *loop, const char *what, status_t status)
{
	loop->failures++;
	testbed_fail(loop->testbed, what, status);
}

/*
 * Takes the memory and counts what that cost. A task with data coming in runs before those that
 * read files.
 */
static uint64_t take(struct capture_loop *loop, struct reclaim_delta *delta)
{
	struct reclaim_stats stats;
	status_t status;

	reclaim_stats_open(&stats, loop->testbed->environment);
	task_set_priority(TASK_HIGH);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_take(&loop->buffers, TESTBED_TAKE_NS);
	const uint64_t us = (platform_now_ns() - before_ns) / NS_PER_US;
	task_set_priority(TASK_NORMAL);
	reclaim_stats_close(&stats, delta);
	if (status != STATUS_OK)
		fail(loop, "taking DMA memory", status);
	reclaim_totals_add(&loop->totals, buffers_bytes(&loop->buffers), delta);
	reclaim_totals_add(&loop->testbed->totals, buffers_bytes(&loop->buffers), delta);
	return us;
}

static void note_time(struct capture_loop *loop, uint64_t us, const struct reclaim_delta *delta)
{
	loop->us[loop->done++] = us;
	if (us < loop->max_us)
		return;
	loop->max_us = us;
	(void)reclaim_delta_format_givers(loop->slowest, delta);
}

static void print_loop(const struct capture_loop *loop, uint64_t us, const struct reclaim_delta *delta, uint64_t dma_ns)
{
	const uint64_t gained = buffers_bytes(&loop->buffers);
	char got[FORMAT_BYTES_SIZE], rate[FORMAT_BYTES_SIZE], lost[FORMAT_BYTES_SIZE], evicted[FORMAT_BYTES_SIZE];
	char givers[RECLAIM_GIVERS_BYTES];

	print("%s, loop %2llu/%llu: %s in %llu us; cache lost %s (evicted %s, copied %llu pages); DMA %s/s; from: %s\n",
	      loop->what, (unsigned long long)loop->done, (unsigned long long)loop->loops, format_bytes(got, gained),
	      (unsigned long long)us, format_bytes(lost, (uint64_t)MAX(delta->lost_bytes, 0)),
	      format_bytes(evicted, delta->evicted_bytes), (unsigned long long)delta->moved_pages,
	      format_bytes(rate, rate_bytes(gained, dma_ns)), reclaim_delta_format_givers(givers, delta));
}

static void measure_zeroing(struct capture_loop *loop)
{
	const uint64_t bytes = buffers_bytes(&loop->buffers);
	char text[FORMAT_BYTES_SIZE];
	const char *method;

	loop->zero_us = clear_measure_ns(&loop->buffers, bytes, &method) / NS_PER_US;
	print("Zeroing %s takes %llu us here, with %s.\n", format_bytes(text, bytes), (unsigned long long)loop->zero_us,
	      method);
}

static void run_loop(struct capture_loop *loop)
{
	struct buffers *buffers = &loop->buffers;
	struct reclaim_delta delta;
	status_t status;
	const uint64_t us = take(loop, &delta);

	note_time(loop, us, &delta);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_read(buffers, loop->testbed->disks.digitizer);
	const uint64_t dma_ns = platform_now_ns() - before_ns;
	if (status != STATUS_OK)
		fail(loop, "reading by DMA", status);
	else
		loop->testbed->bad_pages += buffers_verify(buffers, PATTERN_SEED_DIGITIZER);
	print_loop(loop, us, &delta, dma_ns);
	if (loop->zero_us == 0 && buffers->taken == buffers->count)
		measure_zeroing(loop);
	buffers_free(buffers);
	testbed_refill(loop->testbed);
}

void capture_loop_run(struct capture_loop *loop)
{
	while (scenario_goes_on(loop->done, &loop->loops))
		run_loop(loop);
	sort_numbers(loop->us, loop->done);
	loop->p50_us = loop->us[loop->done / 2];
}

const char *capture_loop_format(char buffer[CAPTURE_LOOP_TEXT_BYTES], const struct capture_loop *loop)
{
	char per_zero[FORMAT_SHARE_BYTES];

	format_text(buffer, CAPTURE_LOOP_TEXT_BYTES,
		    "loops=%llu alloc_us_p50=%llu alloc_us_max=%llu zero_us=%llu alloc_per_zero=%s slowest=\"%s\"",
		    (unsigned long long)loop->done, (unsigned long long)loop->p50_us, (unsigned long long)loop->max_us,
		    (unsigned long long)loop->zero_us, format_share(per_zero, loop->p50_us, loop->zero_us), loop->slowest);
	return buffer;
}
