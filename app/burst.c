// SPDX-License-Identifier: BSD-2-Clause
/*
 * Contiguity for years: bursts of blocks that cannot be moved, 5 to 35% of the RAM, come into a
 * full cache, beside the loads, and go; some of them stay for some more bursts. During each and
 * after it, a quarter of the RAM, 1 GB at most, is wanted in one piece, anywhere and below 4 GB,
 * whenever a range of such length has no block that cannot be moved. When all have gone, the
 * longest range is what it was before, but for a 20th.
 *
 * Options: loops=8 (bursts), burst_bytes=1G (the piece), and those of testbed.h.
 */
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "app/testbed/report.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/options.h"
#include "runtime/base/random.h"
#include "scenario.h"
#include "app/testbed/testbed.h"

#define LOOPS_DEFAULT    8
#define PERCENT_MIN      5
#define PERCENT_MAX      35
#define STAYING          16 /* one in so many stays for another burst */
#define ALL_GO           4  /* after so many bursts */
#define RANGE_PERCENT    95 /* of the longest range before, that is there when all have gone */
#define LOST_MAX_PERCENT 102

struct burst {
	struct testbed testbed;
	struct owner owner;
	struct random random;
	struct phys_addr *blocks;
	uint64_t count, peak, pieces, no_range;
	uint64_t piece_bytes;
};

static const struct device anywhere = { .name = "burst", .dma_mask = UINT64_MAX };
static const struct device below_4g = { .name = "burst, low", .dma_mask = 4 * GIB - 1 };

static struct memory *memory_of(const struct burst *burst)
{
	return burst->testbed.environment->memory;
}

/* Blocks without one among them that cannot be moved. */
static uint64_t longest_range(const struct burst *burst, const struct device *device)
{
	const struct block_heap *heap = memory_block_heap(memory_of(burst));
	const struct phys_range all = block_heap_range(heap);
	struct phys_addr block = all.start;
	uint64_t length = 0, longest = 0;

	for (; block.value < all.start.value + all.bytes && block.value <= device->dma_mask; block.value += BLOCK_BYTES) {
		const struct owner *owner = block_heap_owner(heap, block);

		length = block_heap_find(heap, block) && (!owner || owner->movable) ? length + 1 : 0;
		longest = MAX(longest, length);
	}
	return longest;
}

static void count_stats(struct burst *burst, const struct reclaim_stats *stats, uint64_t gained_bytes)
{
	struct reclaim_delta delta;

	reclaim_stats_close(stats, &delta);
	reclaim_totals_add(&burst->testbed.totals, gained_bytes, &delta);
}

static void take_piece(struct burst *burst, const struct device *device)
{
	const struct dma_request request = {
		.bytes = burst->piece_bytes,
		.segments_max = 1,
		.wait = MEMORY_WAIT_DEADLINE,
		.deadline_ns = platform_now_ns() + TESTBED_TAKE_NS,
	};
	struct dma_buffer *buffer;
	struct reclaim_stats stats;

	if (longest_range(burst, device) < burst->piece_bytes >> BLOCK_SHIFT) {
		burst->no_range++;
		return;
	}
	burst->pieces++;
	reclaim_stats_open(&stats, burst->testbed.environment);
	const status_t status = dma_alloc(memory_dma(memory_of(burst)), device, &request, &buffer);
	count_stats(burst, &stats, status == STATUS_OK ? burst->piece_bytes : 0);
	if (status == STATUS_OK)
		dma_free(memory_dma(memory_of(burst)), buffer);
	else
		testbed_fail(&burst->testbed, "a piece that there is a range for", status);
}

static void take_blocks(struct burst *burst, uint64_t most)
{
	struct memory_request request = { .blocks = 1, .owner = &burst->owner, .wait = MEMORY_WAIT_DEADLINE };
	const uint64_t before = burst->count;
	status_t status = STATUS_OK;
	struct reclaim_stats stats;

	reclaim_stats_open(&stats, burst->testbed.environment);
	while (burst->count < most && status == STATUS_OK) {
		request.deadline_ns = platform_now_ns() + TESTBED_TAKE_NS;
		status = memory_blocks_alloc(memory_of(burst), &request, &burst->blocks[burst->count]);
		burst->count += status == STATUS_OK;
	}
	count_stats(burst, &stats, (burst->count - before) * BLOCK_BYTES);
	if (status != STATUS_OK)
		testbed_fail(&burst->testbed, "a block of a burst", status);
	burst->peak = MAX(burst->peak, burst->count);
}

/* One in so many stays; 0: none. */
static void give_blocks(struct burst *burst, uint64_t staying)
{
	for (uint64_t i = burst->count; i-- > 0;) {
		if (staying != 0 && random_below(&burst->random, staying) == 0)
			continue;
		memory_blocks_free(memory_of(burst), burst->blocks[i]);
		burst->blocks[i] = burst->blocks[--burst->count];
	}
	testbed_refill_rest(&burst->testbed);
}

static void run_loop(struct burst *burst, uint64_t loop)
{
	const uint64_t percent = PERCENT_MIN + random_below(&burst->random, PERCENT_MAX - PERCENT_MIN + 1);
	const uint64_t most = memory_total_bytes(memory_of(burst)) / 100 * percent >> BLOCK_SHIFT;
	char taken[FORMAT_BYTES_SIZE], stays[FORMAT_BYTES_SIZE], range[2][FORMAT_BYTES_SIZE];

	take_blocks(burst, most);
	format_bytes(taken, burst->count * BLOCK_BYTES);
	format_bytes(range[0], longest_range(burst, &anywhere) << BLOCK_SHIFT);
	take_piece(burst, &anywhere);
	take_piece(burst, &below_4g);
	give_blocks(burst, loop % ALL_GO == ALL_GO - 1 ? 0 : STAYING);
	take_piece(burst, &anywhere);
	take_piece(burst, &below_4g);
	print("burst %llu: %s came, longest range then %s; %s stays, longest range %s\n", (unsigned long long)loop + 1, taken,
	      range[0], format_bytes(stays, burst->count * BLOCK_BYTES),
	      format_bytes(range[1], longest_range(burst, &anywhere) << BLOCK_SHIFT));
}

static void run(struct burst *burst, uint64_t *loops)
{
	const uint64_t before = longest_range(burst, &anywhere);

	for (uint64_t loop = 0; scenario_goes_on(loop, loops); loop++)
		run_loop(burst, loop);
	give_blocks(burst, 0);
	if (longest_range(burst, &anywhere) * 100 < before * RANGE_PERCENT)
		testbed_fail(&burst->testbed, "the longest range is shorter than before", STATUS_RANGE);
}

SCENARIO(burst, "bursts of blocks that cannot be moved, and 1 GB in one piece meanwhile: loops=8 burst_bytes=1G")
{
	static struct burst burst;
	const uint64_t bytes = options_get_number(scenario->options, "burst_bytes", GIB);
	uint64_t loops = options_get_number(scenario->options, "loops", LOOPS_DEFAULT);
	struct heap *heap = memory_general_heap(scenario->environment->memory);
	char text[TESTBED_TEXT_BYTES];
	status_t status;

	burst = (struct burst){ .piece_bytes = testbed_scale(scenario->environment, bytes, 4, 16 * BLOCK_BYTES) };
	owner_init(&burst.owner, "burst", false);
	random_seed(&burst.random, 1);
	burst.blocks =
		heap_alloc(heap, (memory_total_bytes(scenario->environment->memory) >> BLOCK_SHIFT) * sizeof(*burst.blocks), 0);
	if (!burst.blocks)
		return STATUS_NO_MEMORY;
	status = testbed_begin(&burst.testbed, scenario, burst.piece_bytes);
	if (status == STATUS_OK) {
		run(&burst, &loops);
		testbed_end(&burst.testbed);
		testbed_expect_lost(&burst.testbed, "lost/gained", &burst.testbed.totals, LOST_MAX_PERCENT);
		scenario_result(scenario, "%s bursts=%llu peak_blocks=%llu pieces=%llu no_range=%llu",
				testbed_format(text, &burst.testbed), (unsigned long long)loops, (unsigned long long)burst.peak,
				(unsigned long long)burst.pieces, (unsigned long long)burst.no_range);
		status = testbed_status(&burst.testbed);
	}
	heap_free(heap, burst.blocks);
	return status;
}
