// SPDX-License-Identifier: BSD-2-Clause
/*
 * From the limits of device and request to pieces of memory. A piece starts aligned and is cut into
 * segments of segment_bytes; only the last segment of all may be shorter than the least length. So
 * pieces are multiples of that length, and, where there is a boundary, segment_bytes is a power of
 * two that divides it.
 */
#include "dma_state.h"

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

#define GRAIN 64 /* lengths are multiples of a cache line */

static uint64_t limit(uint64_t value)
{
	return value == 0 ? UINT64_MAX : value;
}

static bool limits_are_valid(const struct device *device, const struct dma_request *request)
{
	if (device->dma_mask == 0 || device->dma_lowest > device->dma_mask || request->bytes == 0 ||
	    request->bytes > UINT64_MAX / 2)
		return false;
	if (device->dma_segment_bytes_max != 0 && device->dma_segment_bytes_max < GRAIN)
		return false;
	return is_power_or_zero(device->dma_boundary_bytes) && is_power_or_zero(request->alignment_bytes) &&
	       is_power_or_zero(request->segment_bytes_min) &&
	       (device->dma_boundary_bytes == 0 || device->dma_boundary_bytes >= GRAIN);
}

/*
 * The length at which pieces are cut; 0: no length keeps all limits. `least`: the least length of
 * all segments but the last.
 */
static uint64_t segment_bytes(const struct device *device, uint64_t least, uint64_t bytes)
{
	const uint64_t longest = limit(device->dma_segment_bytes_max);
	const uint64_t boundary = limit(device->dma_boundary_bytes);

	if (MIN(least, bytes) > MIN(longest, boundary))
		return 0;
	if (least >= bytes || longest >= boundary)
		return MIN(longest, boundary);
	return boundary == UINT64_MAX ? align_down(longest, least) : 1ull << log2_floor(longest);
}

uint64_t dma_plan_segments(const struct dma_plan *plan, uint64_t piece_bytes)
{
	const uint64_t whole = plan->bytes / piece_bytes;
	const uint64_t rest = plan->bytes % piece_bytes;

	return whole * divide_round_up(piece_bytes, plan->segment_bytes) + divide_round_up(rest, plan->segment_bytes);
}

/*
 * Chooses the length of the runs: of three lengths the shortest that keeps to `segments_max`. The
 * first is `step` blocks; the second gives as many runs as there may be segments; the third gives
 * so few runs that the limit is kept for certain. Each run ends with at most one segment that is
 * shorter than it could be, so n runs have at most n - 1 segments more than the fewest.
 */
static void plan_runs(struct dma_plan *plan, uint64_t step, uint64_t segments_max)
{
	const uint64_t blocks = divide_round_up(plan->bytes, BLOCK_BYTES);
	struct block_constraints *constraints = &plan->run.constraints;
	const uint64_t spare = segments_max - plan->segments;
	uint64_t run = MIN(step, blocks), fewer = segments_max, segments;

	for (;;) {
		assert(run > 0);
		segments = dma_plan_segments(plan, run << BLOCK_SHIFT);
		if (segments <= segments_max)
			break;
		run = MIN(align_up(divide_round_up(blocks, fewer), step), blocks);
		fewer = spare + 1;
	}
	plan->segments = (uint32_t)segments;
	plan->run.blocks = run;
	plan->run.last_blocks = blocks % run;
	plan->runs = (uint32_t)divide_round_up(blocks, run);
	if (plan->boundary_bytes >= run << BLOCK_SHIFT)
		constraints->boundary_bytes = plan->boundary_bytes;
	else
		constraints->alignment_bytes = MAX(constraints->alignment_bytes, plan->boundary_bytes);
}

status_t dma_plan_make(const struct device *device, const struct dma_request *request, struct dma_plan *plan)
{
	const uint64_t segments_max = MIN(limit(request->segments_max), limit(device->dma_segments_max));
	const uint64_t alignment = MAX(request->alignment_bytes, GRAIN);
	const uint64_t bytes = align_up(request->bytes, GRAIN);
	const uint64_t least = segments_max == 1 ? bytes : MAX(request->segment_bytes_min, GRAIN);
	uint64_t fewest;

	if (!limits_are_valid(device, request))
		return STATUS_INVALID;
	*plan = (struct dma_plan){
		.device = device,
		.request = request,
		.bytes = bytes,
		.segment_bytes = segment_bytes(device, least, bytes),
		.boundary_bytes = device->dma_boundary_bytes,
		.run = {
			.constraints = { { device->dma_lowest }, { device->dma_mask }, .alignment_bytes = alignment },
			.wait = request->wait,
			.deadline_ns = request->deadline_ns,
		},
	};
	if (plan->segment_bytes == 0)
		return STATUS_INVALID;
	fewest = divide_round_up(plan->bytes, plan->segment_bytes);
	if (fewest > MIN(segments_max, UINT32_MAX))
		return fewest > segments_max ? STATUS_INVALID : STATUS_RANGE;
	plan->segments = (uint32_t)fewest;
	plan->small = bytes <= OBJCACHE_OBJECT_MAX && alignment <= OBJCACHE_OBJECT_MAX;
	if (plan->small)
		/*
		 * A zone's objects are powers of two at multiples of their length: they cross no
		 * longer boundary.
		 */
		plan->run.blocks = plan->runs = 1;
	else
		plan_runs(plan, divide_round_up(MIN(least, bytes), BLOCK_BYTES), MIN(segments_max, UINT32_MAX));
	return STATUS_OK;
}

/* How much of [start, start + bytes) may continue a segment that has `length` bytes already. */
static uint64_t fitting(const struct dma_plan *plan, uint64_t start, uint64_t bytes, uint64_t length)
{
	uint64_t room = plan->segment_bytes - length;

	if (plan->boundary_bytes != 0)
		room = MIN(room, plan->boundary_bytes - start % plan->boundary_bytes);
	return MIN(bytes, room);
}

/*
 * Pieces that happen to follow each other become one segment, as long as it takes in whole pieces:
 * a cut inside of a piece would leave segments that are too short.
 */
uint32_t dma_plan_cut(const struct dma_plan *plan, const struct phys_range *pieces, uint32_t count,
		      struct device_segment *segments)
{
	uint64_t left = plan->bytes;
	uint32_t used = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = pieces[i].start.value;
		uint64_t bytes = MIN(pieces[i].bytes, left);

		left -= bytes;
		struct device_segment *last = used == 0 ? NULL : &segments[used - 1];
		if (last && last->start.value + last->bytes == start && last->bytes < plan->segment_bytes &&
		    start % limit(plan->boundary_bytes) != 0 && fitting(plan, start, bytes, last->bytes) == bytes) {
			last->bytes += bytes;
			continue;
		}
		while (bytes > 0) {
			const uint64_t part = fitting(plan, start, bytes, 0);

			segments[used++] = (struct device_segment){ { start }, part };
			start += part;
			bytes -= part;
		}
	}
	return used;
}
