// SPDX-License-Identifier: BSD-2-Clause
/*
 * Buffers out of the guarantee: an object, or pieces side by side. The record lies in the memory
 * that the guarantee has beside the first piece, so a take and a free need no other memory.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"

_Static_assert(sizeof(struct dma_buffer) + sizeof(struct phys_range) + sizeof(struct device_segment) <= GUARANTEE_RECORD_BYTES,
	       "the record of a 4 KB object");

status_t dma_guarantee_reserve(struct dma *dma, const struct device *device, uint64_t bytes)
{
	const status_t status = guarantee_reserve(dma->guarantee, device, bytes);

	if (status != STATUS_OK)
		log_warn("dma: %s cannot reserve %llu bytes of the guarantee: %s", device->name, (unsigned long long)bytes,
			 status == STATUS_RANGE ? "it does not reach all of it; set DMA_GUARANTEE_ADDRESS_BITS lower"
						: "too little is left; set DMA_GUARANTEE_BYTES higher");
	return status;
}

void dma_guarantee_end(struct dma *dma, const struct device *device)
{
	guarantee_end_reservation(dma->guarantee, device);
}

/*
 * Whether the request may take unreserved pieces: a request that may wait leaves them to those that
 * must not.
 */
static bool may_go_beyond(const struct dma_plan *plan)
{
	return plan->run.wait == MEMORY_WAIT_NEVER || !platform_may_sleep();
}

/*
 * The size of the object: a power of two gives the alignment, and the room for segments grows with
 * the length.
 */
static uint64_t object_bytes(const struct dma_plan *plan)
{
	const uint64_t records = divide_round_up(dma_record_bytes(1, plan->segments), GUARANTEE_RECORD_BYTES);

	return MAX(MAX(plan->bytes, plan->run.constraints.alignment_bytes), records << GUARANTEE_OBJECT_SHIFT);
}

/* Whether pieces of the guarantee serve the plan: a piece is as good as several adjacent runs. */
static bool pieces_fit(const struct guarantee *guarantee, const struct dma_plan *plan, uint64_t pieces)
{
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee);
	const uint64_t records = dma_record_bytes(pieces, plan->segments) / GUARANTEE_RECORD_BYTES + 1;

	return platform_may_sleep() && !plan->small && plan->run.blocks <= guarantee->piece_blocks &&
	       plan->run.constraints.alignment_bytes <= piece_bytes && dma_plan_segments(plan, piece_bytes) <= plan->segments &&
	       records << GUARANTEE_OBJECT_SHIFT <= piece_bytes;
}

status_t dma_guaranteed_alloc(struct dma *dma, const struct dma_plan *plan, struct dma_buffer **result)
{
	struct guarantee *guarantee = dma->guarantee;
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee);
	const bool beyond = may_go_beyond(plan);
	uint64_t bytes = object_bytes(plan), count = 1, interrupts;
	struct dma_buffer *buffer;
	struct phys_range *pieces;
	struct phys_addr start;

	if (!guarantee->slots || !guarantee_is_reached(guarantee, plan->device))
		return STATUS_NO_MEMORY;
	if (bytes > piece_bytes) {
		bytes = plan->bytes;
		count = divide_round_up(bytes, piece_bytes);
		if (!pieces_fit(guarantee, plan, count))
			return STATUS_NO_MEMORY;
	}
	/* The record lies beside the first piece. */
	interrupts = guarantee_lock(guarantee);
	buffer = guarantee_take_locked(guarantee, plan->device, bytes, beyond, &start);
	if (buffer) {
		dma_record_init(buffer, plan, (uint32_t)count, true);
		if (count == 1)
			list_insert_last(&dma->buffers, &buffer->link);
	}
	guarantee_unlock(guarantee, interrupts);
	if (!buffer)
		return STATUS_NO_MEMORY;
	pieces = (struct phys_range *)buffer->pieces;
	pieces[0] = (struct phys_range){ start, MIN(bytes, piece_bytes) };
	for (uint64_t i = 1; i < count; i++)
		pieces[i] = (struct phys_range){ guarantee_take_next(guarantee, start), piece_bytes };
	return dma_buffer_finish(dma, plan, buffer, result);
}
