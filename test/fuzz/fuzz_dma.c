// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMA requests with any limits, on small machines with holes, beside a search through all places: a
 * request is given, not now, or never, exactly as that says; what is given keeps every limit, what
 * fails changes nothing, and all comes back in the end.
 */
#include <stdlib.h>
#include <string.h>

#include "fake/memory_check.h"
#include "fake/place_model.h"
#include "heap/dma/dma_state.h"
#include "host/platform_host.h"
#include "input.h"
#include "runtime/base/bits.h"

#define BLOCKS         40
#define BUFFERS        8
#define OPERATIONS_MAX 60
#define RECORD_MAX     (256 * KIB) /* so long that a block has several, and one more costs no block */

/*
 * Holes, and what others hold, in a machine that begins at one of these blocks: zones end within
 * it.
 */
static const uint64_t starts[] = { 1, 33, (256 * MIB >> BLOCK_SHIFT) - 20, (4 * GIB >> BLOCK_SHIFT) - 20,
				   8 * GIB >> BLOCK_SHIFT };

struct slot {
	struct device device;
	struct dma_buffer *buffer;
	struct dma_coherent coherent;
};

static struct fuzz {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	uint64_t min_blocks;
	struct place_model present;
	struct owner owner;
	bool held[BLOCKS]; /* by the owner */
	struct slot slots[BUFFERS];
} fuzz;

static struct memory *const memory = &fuzz.memory;

static struct phys_addr address_of(uint64_t index)
{
	return (struct phys_addr){ (fuzz.present.first + index) << BLOCK_SHIFT };
}

static bool machine_init(struct input *input)
{
	const uint64_t half = input_number(input, 5), holes = half & input_number(input, 5);
	struct phys_range ranges[BLOCKS];
	uint32_t count = 0;

	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.present.first = starts[input_below(input, ARRAY_LENGTH(starts))];
	fuzz.min_blocks = input_below(input, 4);
	for (uint64_t i = 0; i < BLOCKS; i++) {
		if (holes >> i & 1)
			continue;
		fuzz.present.usable[i] = true;
		if (i == 0 || (holes >> (i - 1) & 1))
			ranges[count++] = (struct phys_range){ address_of(i), 0 };
		ranges[count - 1].bytes += BLOCK_BYTES;
	}
	const struct memory_config config = {
		.watermarks.min_bytes = fuzz.min_blocks << BLOCK_SHIFT,
		.watermarks.low_bytes = fuzz.min_blocks << BLOCK_SHIFT,
		.watermarks.atomic_percent = 100,
	};
	if (count == 0)
		return false;
	fuzz.arena = host_arena_create(address_of(0).value, BLOCKS * BLOCK_BYTES);
	fuzz.metadata = aligned_alloc(64, align_up(memory_metadata_bytes(ranges, count), 64));
	assert(fuzz.metadata);
	owner_init(&fuzz.owner, "others", false);
	return memory_init(memory, &config, ranges, count, fuzz.metadata) == STATUS_OK;
}

/* The metadata heap gives nothing back. */
static uint64_t free_or_metadata(void)
{
	return memory_free_bytes(memory) + (memory->metadata.owner.blocks << BLOCK_SHIFT);
}

static void slot_free(struct slot *slot)
{
	dma_free(memory_dma(memory), slot->buffer);
	dma_coherent_free(memory_dma(memory), &slot->coherent);
	slot->buffer = NULL;
}

static void machine_fini(void)
{
	for (unsigned i = 0; i < BUFFERS; i++)
		slot_free(&fuzz.slots[i]);
	for (uint64_t i = 0; i < BLOCKS; i++)
		if (fuzz.held[i])
			memory_blocks_free(memory, address_of(i));
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	assert(memory_is_valid(memory));
	const status_t status = memory_fini(memory);
	assert(status == STATUS_OK);
	assert(free_or_metadata() == memory_total_bytes(memory));
}

/* What others take, or give back: one block. */
static void change_one(struct input *input)
{
	const uint64_t i = input_below(input, BLOCKS);
	const struct run_request request = {
		.blocks = 1,
		.constraints = { .lowest = address_of(i), .highest = { address_of(i + 1).value - 1 } },
		.owner = &fuzz.owner,
	};
	struct phys_addr run;

	if (fuzz.held[i])
		memory_blocks_free(memory, address_of(i));
	fuzz.held[i] = !fuzz.held[i] && block_heap_alloc(&memory->blocks, &request, &run) == STATUS_OK;
}

/* Small, near a power of two, or anything. */
static uint64_t any_length(struct input *input, unsigned bits)
{
	const uint8_t kind = input_byte(input);

	if (kind < 100)
		return input_number(input, 3) % (BLOCKS * BLOCK_BYTES + BLOCK_BYTES);
	if (kind < 200)
		return (1ull << kind % bits) + input_byte(input) % 3 - 1;
	return kind < 220 ? input_number(input, 8) : (uint64_t)kind % 24 * BLOCK_BYTES;
}

static uint64_t any_power(struct input *input, unsigned lowest)
{
	const uint8_t kind = input_byte(input);

	return kind < 120 ? 0 : kind < 250 ? 1ull << (lowest + kind % (30 - lowest)) : any_length(input, 64);
}

static void any_device(struct input *input, struct device *device)
{
	*device = (struct device){ .name = "device", .dma_mask = UINT64_MAX };
	if (input_byte(input) & 1)
		device->dma_mask = address_of(input_below(input, BLOCKS + 1)).value - 1 + input_byte(input) % 3;
	if (input_byte(input) & 1)
		device->dma_lowest = address_of(input_below(input, BLOCKS)).value + input_byte(input) % 3;
	device->dma_boundary_bytes = any_power(input, 12);
	if (input_byte(input) & 1)
		device->dma_segment_bytes_max = any_length(input, 32);
	if (input_byte(input) & 1)
		device->dma_segments_max = input_byte(input) % 40;
}

static void any_request(struct input *input, struct dma_request *request)
{
	*request = (struct dma_request){ .bytes = any_length(input, 64), .alignment_bytes = any_power(input, 0) };
	if (input_byte(input) & 1)
		request->segment_bytes_min = any_power(input, 6);
	if (input_byte(input) & 1)
		request->segments_max = input_byte(input) % 12;
	request->zero = input_byte(input) & 1;
}

/* The model ------------------------------------------------------------------------------------ */

enum answer {
	ANSWER_NEVER,
	ANSWER_NOT_NOW,
	ANSWER_GIVEN,
	ANSWER_EITHER, /* given or not now: that depends on objects that are free within blocks */
};

static uint32_t equal_runs(const struct dma_plan *plan)
{
	return plan->runs - (plan->run.last_blocks != 0);
}

static enum answer model_answer(const struct dma_plan *plan)
{
	const uint64_t blocks = plan->run.blocks * equal_runs(plan) + plan->run.last_blocks;
	const uint64_t free = memory_free_bytes(memory) >> BLOCK_SHIFT;
	struct place_model now = { .first = fuzz.present.first };

	for (uint64_t i = 0; i < BLOCKS; i++) {
		const struct block *block = block_heap_find(&memory->blocks, address_of(i));

		now.usable[i] = block && !block->taken;
	}
	if (blocks + fuzz.min_blocks > memory->blocks.total_blocks ||
	    !place_model_holds(&fuzz.present, &plan->run.constraints, plan->run.blocks, equal_runs(plan),
			       plan->run.last_blocks))
		return ANSWER_NEVER;
	if (blocks + fuzz.min_blocks <= free &&
	    place_model_holds(&now, &plan->run.constraints, plan->run.blocks, equal_runs(plan), plan->run.last_blocks))
		return ANSWER_GIVEN;
	return plan->small ? ANSWER_EITHER : ANSWER_NOT_NOW;
}

static uint64_t or_any(uint64_t limit)
{
	return limit == 0 ? UINT64_MAX : limit;
}

static void check_segments(const struct device *device, const struct dma_request *request,
			   const struct device_segment *segments, uint32_t count)
{
	const uint64_t bytes = align_up(request->bytes, 64), alignment = MAX(request->alignment_bytes, 64);
	uint64_t covered = 0, before_end = 0;

	assert(count <= MIN(or_any(device->dma_segments_max), or_any(request->segments_max)));
	for (uint32_t i = 0; i < count; i++) {
		const uint64_t start = segments[i].start.value, length = segments[i].bytes, last = start + length - 1;

		assert(length > 0 && start >= device->dma_lowest && last <= device->dma_mask);
		assert(length <= or_any(device->dma_segment_bytes_max));
		assert(device->dma_boundary_bytes == 0 ||
		       start / device->dma_boundary_bytes == last / device->dma_boundary_bytes);
		assert(i + 1 == count || length >= MIN(request->segment_bytes_min, bytes));
		assert(start % alignment == 0 || start == before_end);
		for (uint64_t block = start >> BLOCK_SHIFT; block <= last >> BLOCK_SHIFT; block++)
			assert(fuzz.present.usable[block - fuzz.present.first] && !fuzz.held[block - fuzz.present.first]);
		before_end = last + 1;
		covered += length;
	}
	assert(covered == bytes);
}

/* What the heap's own records take lies in blocks before the model looks; what is empty is free. */
struct warmth {
	void *client, *record;
};

static bool warm_up(struct warmth *warmth, const struct device *device, const struct dma_plan *plan)
{
	const uint64_t bytes = dma_record_bytes(plan->runs, plan->segments);

	*warmth = (struct warmth){ 0 };
	if (bytes > RECORD_MAX || (plan->small && !dma_zone_get(memory_dma(memory), device)))
		return false;
	(void)memory_drain(memory, UINT64_MAX / 2, false);
	warmth->client = general_heap_alloc(&memory->general, sizeof(struct dma_client), 0);
	warmth->record = general_heap_alloc(&memory->general, bytes, 0);
	return warmth->client && warmth->record;
}

static void cool_down(struct warmth *warmth)
{
	general_heap_free(&memory->general, warmth->client);
	general_heap_free(&memory->general, warmth->record);
}

/*
 * A request that gets what it wants, or hears that it never will, may be ready to wait for ever;
 * the others have a deadline.
 */
static void any_wait(struct input *input, enum answer answer, struct dma_request *request)
{
	request->wait = (enum memory_wait)input_below(input, answer == ANSWER_GIVEN || answer == ANSWER_NEVER ? 3 : 2);
	request->deadline_ns = platform_now_ns() + input_byte(input) * NS_PER_MS;
}

static void check_status(status_t status, enum answer answer, const struct dma_request *request)
{
	const bool refused = status == STATUS_NO_MEMORY || (status == STATUS_TIMEOUT && request->wait == MEMORY_WAIT_DEADLINE);

	switch (answer) {
	case ANSWER_NEVER:
		assert(status == STATUS_RANGE);
		break;
	case ANSWER_GIVEN:
		assert(status == STATUS_OK);
		break;
	case ANSWER_NOT_NOW:
		assert(refused);
		break;
	default:
		assert(refused || status == STATUS_OK);
	}
}

/* Requests ------------------------------------------------------------------------------------- */

static void ask(struct input *input, bool coherent)
{
	struct slot *slot = &fuzz.slots[input_below(input, BUFFERS)];
	struct dma_buffer *const nothing = (struct dma_buffer *)&fuzz, *buffer = nothing;
	const struct dma_coherent zero = { 0 };
	struct dma_request request;
	struct dma_plan plan;
	struct warmth warmth;

	slot_free(slot);
	any_device(input, &slot->device);
	any_request(input, &request);
	if (coherent) {
		request.segments_max = 1;
		request.segment_bytes_min = 0;
	}
	const status_t planned = dma_plan_make(&slot->device, &request, &plan);
	const bool exact = planned == STATUS_OK && warm_up(&warmth, &slot->device, &plan);
	const enum answer answer = planned == STATUS_OK ? model_answer(&plan) : ANSWER_NEVER;
	const uint64_t free_before = free_or_metadata();
	status_t status;

	any_wait(input, answer, &request);
	if (coherent)
		status = dma_coherent_alloc(memory_dma(memory), &slot->device, request.bytes, request.alignment_bytes,
					    &slot->coherent);
	else
		status = dma_alloc(memory_dma(memory), &slot->device, &request, &buffer);
	if (planned != STATUS_OK || (coherent && !plan.small))
		assert(status == (coherent ? STATUS_INVALID : planned));
	else if (exact || answer == ANSWER_NEVER)
		check_status(status, answer, &request);
	if (status == STATUS_OK && coherent) {
		const struct device_segment segment = { slot->coherent.address, align_up(request.bytes, 64) };

		check_segments(&slot->device, &request, &segment, 1);
	} else if (status == STATUS_OK) {
		slot->buffer = buffer;
		check_segments(&slot->device, &request, buffer->segments, buffer->segment_count);
	} else {
		assert(buffer == nothing && memcmp(&slot->coherent, &zero, sizeof(zero)) == 0);
		(void)memory_drain(memory, UINT64_MAX / 2, false);
		assert(free_or_metadata() >= free_before);
	}
	if (planned == STATUS_OK)
		cool_down(&warmth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };

	host_random_seed(1);
	host_log_level(LOG_ERROR);
	host_clock_set(HOST_CLOCK_ALONE);
	if (machine_init(&input)) {
		for (unsigned i = 0; i < OPERATIONS_MAX && !input_is_over(&input); i++) {
			const uint8_t kind = input_byte(&input) % 8;

			if (kind < 3)
				change_one(&input);
			else if (kind == 3)
				slot_free(&fuzz.slots[input_below(&input, BUFFERS)]);
			else
				ask(&input, kind == 4);
		}
		machine_fini();
	}
	if (fuzz.arena)
		host_arena_destroy(fuzz.arena);
	free(fuzz.metadata);
	return 0;
}
