// SPDX-License-Identifier: BSD-2-Clause
/*
 * 56 buffers of 1 MB for a device that sees only a window of 56 MB, which the page cache uses, too:
 * two of them share a block, and there is none to spare. Taken, looked at, and given back in any
 * order, beside the loads, which fill the window again.
 *
 * Options: loops=10000, baseline=1 (the naive ways in the same boot, see baseline.c), and those of
 * testbed.h.
 */
#include "baseline.h"
#include "app/testbed/buffers.h"
#include "heap/memory.h"
#include "app/testbed/report.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT 10000
#define BUFFERS       56
#define PIECE_BYTES   (1 * MIB)
#define WINDOW_BYTES  (BUFFERS * PIECE_BYTES)
#define WINDOW_BLOCKS (WINDOW_BYTES / BLOCK_BYTES)
#define LOOPS_SHOWN   20 /* in all */

struct churn {
	struct testbed testbed;
	struct device device;
	struct buffers buffers;
	struct random random;
	uint64_t loops;
	uint64_t *us;
	uint64_t outside;       /* buffers that the device cannot reach */
	uint64_t overwritten;   /* pages with another writer's content */
	uint64_t cached_blocks; /* of the window, in the page cache's hands when the loops began */
};

/*
 * The lowest window that is free now, while nearly everything is: a bridge's window is not where
 * the kernel puts its things.
 */
static status_t find_window(struct churn *churn, struct memory *memory)
{
	const struct dma_request request = { .bytes = WINDOW_BYTES, .alignment_bytes = BLOCK_BYTES, .segments_max = 1 };
	const struct phys_range all = block_heap_range(memory_block_heap(memory));
	struct dma_buffer *buffer;
	status_t status = STATUS_NO_MEMORY;

	churn->device = (struct device){ .name = "bridged", .dma_mask = 2 * WINDOW_BYTES - 1 };
	for (; status != STATUS_OK && churn->device.dma_mask < 2 * (all.start.value + all.bytes);
	     churn->device.dma_mask += WINDOW_BYTES)
		status = dma_alloc(memory_dma(memory), &churn->device, &request, &buffer);
	if (status != STATUS_OK) {
		print("No window of %llu MB is free: %s\n", (unsigned long long)(WINDOW_BYTES / MIB), status_text(status));
		return status;
	}
	const uint64_t start = buffer->segments[0].start.value;
	dma_free(memory_dma(memory), buffer);
	churn->device.dma_lowest = start;
	churn->device.dma_mask = start + WINDOW_BYTES - 1;
	print("The device sees %llu MB, from %llu MB on.\n", (unsigned long long)(WINDOW_BYTES / MIB),
	      (unsigned long long)(start / MIB));
	return STATUS_OK;
}

static uint64_t count_cached_blocks(const struct churn *churn)
{
	const struct block_heap *heap = memory_block_heap(churn->testbed.environment->memory);
	uint64_t count = 0;

	for (uint64_t i = 0; i < WINDOW_BLOCKS; i++) {
		const struct owner *owner =
			block_heap_owner(heap, (struct phys_addr){ churn->device.dma_lowest + i * BLOCK_BYTES });

		count += owner && owner->movable;
	}
	return count;
}

/* Every page of every buffer says whose it is; true when all buffers lie where they may. */
static void stamp(struct churn *churn, uint64_t loop)
{
	for (uint64_t i = 0; i < churn->buffers.taken; i++) {
		const struct dma_buffer *buffer = churn->buffers.list[i];
		uint64_t *words = buffer->memory;

		for (uint32_t j = 0; j < buffer->segment_count; j++)
			churn->outside +=
				buffer->segments[j].start.value < churn->device.dma_lowest ||
				buffer->segments[j].start.value + buffer->segments[j].bytes - 1 > churn->device.dma_mask;
		for (uint64_t at = 0; at < PIECE_BYTES; at += PAGE_BYTES)
			words[at / sizeof(*words)] = loop << 32 | i << 24 | at / PAGE_BYTES;
	}
}

static void check(struct churn *churn, uint64_t loop)
{
	for (uint64_t i = 0; i < churn->buffers.taken; i++) {
		const uint64_t *words = churn->buffers.list[i]->memory;

		for (uint64_t at = 0; at < PIECE_BYTES; at += PAGE_BYTES)
			churn->overwritten += words[at / sizeof(*words)] != (loop << 32 | i << 24 | at / PAGE_BYTES);
	}
}

/* They go in any order. */
static void shuffle(struct churn *churn)
{
	for (uint64_t left = churn->buffers.taken; left > 1; left--) {
		const uint64_t other = random_below(&churn->random, left);
		struct dma_buffer *buffer = churn->buffers.list[other];

		churn->buffers.list[other] = churn->buffers.list[left - 1];
		churn->buffers.list[left - 1] = buffer;
	}
}

static void run_loop(struct churn *churn, uint64_t loop)
{
	const uint64_t cached = count_cached_blocks(churn);
	struct reclaim_delta delta;
	struct reclaim_stats stats;
	status_t status;

	churn->cached_blocks += cached;
	reclaim_stats_open(&stats, churn->testbed.environment);
	const uint64_t before_ns = platform_now_ns();
	status = buffers_take(&churn->buffers, TESTBED_TAKE_NS);
	churn->us[loop] = (platform_now_ns() - before_ns) / NS_PER_US;
	reclaim_stats_close(&stats, &delta);
	if (status != STATUS_OK)
		testbed_fail(&churn->testbed, "taking the whole window", status);
	reclaim_totals_add(&churn->testbed.totals, buffers_bytes(&churn->buffers), &delta);
	stamp(churn, loop);
	if (status != STATUS_OK || loop % MAX(churn->loops / LOOPS_SHOWN, 1) == 0) {
		char givers[RECLAIM_GIVERS_BYTES];

		print("churn, loop %llu: %llu of %u MB in %llu us, of %llu cached blocks; from: %s\n",
		      (unsigned long long)loop + 1, (unsigned long long)churn->buffers.taken, BUFFERS,
		      (unsigned long long)churn->us[loop], (unsigned long long)cached,
		      reclaim_delta_format_givers(givers, &delta));
	}
	check(churn, loop);
	shuffle(churn);
	buffers_free(&churn->buffers);
	testbed_refill(&churn->testbed);
}

SCENARIO(churn, "56 x 1 MB out of a window of 56 MB that is cached, too: loops=10000 baseline=0")
{
	static struct churn churn;
	struct memory *memory = scenario->environment->memory;
	const struct dma_request request = { .bytes = PIECE_BYTES, .segments_max = 1 };
	char text[TESTBED_TEXT_BYTES], share[FORMAT_SHARE_BYTES];
	status_t status;

	churn = (struct churn){ .loops = MAX(options_get_number(scenario->options, "loops", LOOPS_DEFAULT), 1) };
	random_seed(&churn.random, 56);
	status = find_window(&churn, memory);
	if (status == STATUS_OK)
		status = testbed_begin(&churn.testbed, scenario, WINDOW_BYTES);
	if (status != STATUS_OK)
		return status;
	churn.us = heap_alloc(memory_general_heap(memory), churn.loops * sizeof(*churn.us), 0);
	status = buffers_init(&churn.buffers, memory, &churn.device, &request, BUFFERS);
	for (uint64_t loop = 0; churn.us && status == STATUS_OK && scenario_goes_on(loop, &churn.loops); loop++)
		run_loop(&churn, loop);
	buffers_fini(&churn.buffers);
	testbed_end(&churn.testbed);
	churn.testbed.failures += churn.outside + churn.overwritten;
	baseline_beside(&churn.testbed, &churn.device, &request, BUFFERS);
	if (!churn.us || status != STATUS_OK)
		return STATUS_NO_MEMORY;
	sort_numbers(churn.us, churn.loops);
	scenario_result(scenario,
			"%s loops=%llu outside=%llu overwritten=%llu alloc_us_p50=%llu alloc_us_max=%llu window_cached=%s",
			testbed_format(text, &churn.testbed), (unsigned long long)churn.loops,
			(unsigned long long)churn.outside, (unsigned long long)churn.overwritten,
			(unsigned long long)churn.us[churn.loops / 2], (unsigned long long)churn.us[churn.loops - 1],
			format_share(share, churn.cached_blocks, churn.loops * WINDOW_BLOCKS));
	heap_free(memory_general_heap(memory), churn.us);
	return testbed_status(&churn.testbed);
}
