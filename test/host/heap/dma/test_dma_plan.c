// SPDX-License-Identifier: BSD-2-Clause
/*
 * From limits to pieces, for any limits and any number of bytes, up to the largest. Coherent
 * objects keep the limits, too.
 */
#include "fake/heap_fixture.h"
#include "heap/dma/dma_state.h"
#include "host/host_test.h"
#include "runtime/base/bits.h"
#include "runtime/base/random.h"

static uint64_t random_bits(struct random *random, unsigned bits)
{
	return random_next(random) >> (64 - 1 - random_below(random, bits));
}

static void limits_random(struct random *random, struct device *device, struct dma_request *request)
{
	*device = (struct device){ .name = "random", .dma_mask = UINT64_MAX };
	*request = (struct dma_request){ .bytes = 1 + random_bits(random, 62) };
	if (random_below(random, 2))
		device->dma_boundary_bytes = 64ull << random_below(random, 58);
	if (random_below(random, 2))
		device->dma_segment_bytes_max = 64 + random_bits(random, 62);
	if (random_below(random, 2))
		device->dma_segments_max = 1 + (uint32_t)random_bits(random, 32);
	if (random_below(random, 2))
		request->segments_max = 1 + (uint32_t)random_bits(random, 20);
	if (random_below(random, 2))
		request->segment_bytes_min = 1ull << random_below(random, 64);
	if (random_below(random, 2))
		request->alignment_bytes = 1ull << random_below(random, 64);
}

/* Segments of one piece that starts aligned. */
static uint64_t piece_segments(const struct dma_plan *plan, uint64_t bytes)
{
	return divide_round_up(bytes, plan->segment_bytes);
}

static uint64_t segments_with(const struct dma_plan *plan, uint64_t run_bytes)
{
	return plan->bytes / run_bytes * piece_segments(plan, run_bytes) + piece_segments(plan, plan->bytes % run_bytes);
}

static void check_runs(const struct device *device, const struct dma_request *request, const struct dma_plan *plan)
{
	const uint64_t most = MIN(request->segments_max ? request->segments_max : UINT32_MAX,
				  device->dma_segments_max ? device->dma_segments_max : UINT32_MAX);
	const uint64_t step = divide_round_up(MIN(MAX(request->segment_bytes_min, 1), plan->bytes), BLOCK_BYTES);
	const uint64_t blocks = divide_round_up(plan->bytes, BLOCK_BYTES);
	const uint64_t run_bytes = plan->run.blocks << BLOCK_SHIFT;

	ck_assert_uint_eq(plan->run.blocks * (plan->runs - (plan->run.last_blocks != 0)) + plan->run.last_blocks, blocks);
	ck_assert_uint_lt(plan->run.last_blocks, plan->run.blocks);
	ck_assert(plan->run.blocks % step == 0 || plan->run.blocks == blocks);
	ck_assert_uint_eq(plan->segments, segments_with(plan, run_bytes));
	ck_assert_uint_le(plan->segments, most);
	ck_assert_uint_ge(plan->run.constraints.alignment_bytes, MAX(request->alignment_bytes, 1));
	/* No segment but the last is too short, and none too long. */
	if (plan->segments > 1)
		ck_assert_uint_ge(plan->segment_bytes, request->segment_bytes_min);
	if (device->dma_segment_bytes_max != 0)
		ck_assert_uint_le(MIN(plan->segment_bytes, run_bytes), MAX(device->dma_segment_bytes_max, plan->bytes));
	/* A boundary is kept by the place of a run, or by cuts at its multiples. */
	if (device->dma_boundary_bytes != 0 && plan->run.constraints.boundary_bytes == 0) {
		ck_assert_uint_ge(plan->run.constraints.alignment_bytes, device->dma_boundary_bytes);
		ck_assert(plan->segments == 1 || device->dma_boundary_bytes % plan->segment_bytes == 0);
	}
	if (plan->run.constraints.boundary_bytes != 0)
		ck_assert_uint_le(run_bytes, plan->run.constraints.boundary_bytes);
	/* No shorter runs would do, of which each is one segment, nor the shortest. */
	if (plan->run.blocks > step) {
		ck_assert_uint_gt(segments_with(plan, step << BLOCK_SHIFT), most);
		const uint64_t shorter = (plan->run.blocks - 1) / step * step << BLOCK_SHIFT;
		ck_assert(shorter > plan->segment_bytes || segments_with(plan, shorter) > most);
	}
}

START_TEST(any_number_of_bytes_is_planned)
{
	unsigned planned = 0, contradictions = 0, long_runs = 0;
	struct random random;

	random_seed(&random, 3);
	for (unsigned loop = 0; loop < 30000; loop++) {
		struct dma_request request;
		struct device device;
		struct dma_plan plan;

		limits_random(&random, &device, &request);
		const status_t status = dma_plan_make(&device, &request, &plan);
		contradictions += status == STATUS_INVALID;
		if (status != STATUS_OK || plan.small)
			continue;
		check_runs(&device, &request, &plan);
		planned++;
		long_runs += plan.run.blocks > UINT32_MAX;
	}
	ck_assert_uint_gt(planned, 5000);
	ck_assert_uint_gt(contradictions, 5000);
	ck_assert_uint_gt(long_runs, 100);
}
END_TEST

START_TEST(contradictory_limits_of_a_device_are_refused)
{
	static const struct device devices[] = {
		{ .name = "no addresses", .dma_mask = 0 },
		{ .name = "ends before it begins", .dma_mask = MIB - 1, .dma_lowest = MIB },
		{ .name = "crooked boundary", .dma_mask = UINT64_MAX, .dma_boundary_bytes = 3 * 4096 },
		{ .name = "boundary within a line", .dma_mask = UINT64_MAX, .dma_boundary_bytes = 32 },
		{ .name = "segments shorter than a line", .dma_mask = UINT64_MAX, .dma_segment_bytes_max = 63 },
	};
	static struct machine machine;

	machine_init(&machine, MACHINE_START, 8, 0, 0);
	for (unsigned i = 0; i < ARRAY_LENGTH(devices); i++) {
		const struct dma_request request = { .bytes = 64, .wait = MEMORY_WAIT_FOREVER };
		struct dma_coherent coherent;
		struct dma_buffer *buffer;

		ck_assert_int_eq(dma_alloc(memory_dma(&machine.memory), &devices[i], &request, &buffer), STATUS_INVALID);
		ck_assert_int_eq(dma_coherent_alloc(memory_dma(&machine.memory), &devices[i], 64, 0, &coherent),
				 STATUS_INVALID);
	}
	machine_fini(&machine);
}
END_TEST

#define OBJECTS 24

/*
 * Given exactly when one segment of the device can be so long; then it keeps boundary, alignment
 * and mask.
 */
START_TEST(coherent_objects_keep_the_limits_of_the_device)
{
	struct dma_coherent objects[OBJECTS] = { 0 };
	static struct device devices[OBJECTS];
	static struct machine machine;
	unsigned given = 0, refused = 0;
	struct random random;

	random_seed(&random, 22);
	machine_init(&machine, MACHINE_START, 256, 0, 0);
	for (unsigned loop = 0; loop < 2000; loop++) {
		const unsigned i = (unsigned)random_below(&random, OBJECTS);
		const size_t bytes = 1 + random_bits(&random, 20), alignment = 1ull << random_below(&random, 21);

		dma_coherent_free(memory_dma(&machine.memory), &objects[i]);
		devices[i] = (struct device){ .name = "device", .dma_mask = UINT64_MAX };
		if (random_below(&random, 2))
			devices[i].dma_boundary_bytes = 64ull << random_below(&random, 20);
		if (random_below(&random, 2))
			devices[i].dma_segment_bytes_max = 64 + random_bits(&random, 21);
		const uint64_t longest = devices[i].dma_segment_bytes_max ? devices[i].dma_segment_bytes_max : UINT64_MAX;
		const uint64_t boundary = devices[i].dma_boundary_bytes ? devices[i].dma_boundary_bytes : 1ull << 63;
		const status_t status =
			dma_coherent_alloc(memory_dma(&machine.memory), &devices[i], bytes, alignment, &objects[i]);

		if (align_up(bytes, 64) > MIN(longest, boundary)) {
			ck_assert_int_eq(status, STATUS_INVALID);
			refused++;
			continue;
		}
		ck_assert_int_eq(status, STATUS_OK);
		const uint64_t start = objects[i].address.value;
		ck_assert_uint_eq(start % alignment, 0);
		ck_assert_uint_eq(start / boundary, (start + bytes - 1) / boundary);
		given++;
	}
	ck_assert_uint_gt(given, 500);
	ck_assert_uint_gt(refused, 200);
	for (unsigned i = 0; i < OBJECTS; i++)
		dma_coherent_free(memory_dma(&machine.memory), &objects[i]);
	machine_fini(&machine);
}
END_TEST

HOST_TEST_MAIN("dma_plan", any_number_of_bytes_is_planned, contradictory_limits_of_a_device_are_refused,
	       coherent_objects_keep_the_limits_of_the_device)
