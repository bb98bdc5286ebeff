/*
 * Buffers out of the guarantee: an object, or pieces side by side. The record lies in what the guarantee has beside the first
 * piece, so taking and freeing needs no other memory.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"

_Static_assert(sizeof(struct dma_buffer) + sizeof(struct phys_range) + sizeof(struct device_segment) <= GUARANTEE_RECORD_BYTES,
	       "the record of a 4 KB object");

status_t dma_guarantee_reserve(struct memory *memory, const struct device *device, uint64_t bytes)
{
	const status_t status = guarantee_reserve(&memory->guarantee, device, bytes);

	if (status != STATUS_OK)
		log_warn("dma: %s cannot reserve %llu bytes of the guarantee: %s", device->name, (unsigned long long)bytes,
			 status == STATUS_RANGE ? "it does not reach all of it; set DMA_GUARANTEE_ADDRESS_BITS lower"
						: "too little is left; set DMA_GUARANTEE_BYTES higher");
	return status;
}

void dma_guarantee_end(struct memory *memory, const struct device *device)
{
	guarantee_end_reservation(&memory->guarantee, device);
}

/* A request that may wait leaves what is not reserved to those that must not. */
static bool may_go_beyond(const struct dma_plan *plan)
{
	return plan->request->wait == MEMORY_WAIT_NEVER || !platform_may_sleep();
}

/* The alignment is that of a power of two; and an object has room for segments in proportion to its length. */
static uint64_t object_bytes(const struct dma_plan *plan)
{
	const uint64_t records = divide_round_up(dma_record_bytes(1, plan->segments), GUARANTEE_RECORD_BYTES);

	return MAX(MAX(plan->bytes, plan->constraints.alignment_bytes), records << GUARANTEE_OBJECT_SHIFT);
}

/* A piece is as good as several adjacent runs of the plan. */
static bool pieces_fit(const struct guarantee *guarantee, const struct dma_plan *plan, uint64_t pieces)
{
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee);
	const uint64_t records = dma_record_bytes(pieces, plan->segments) / GUARANTEE_RECORD_BYTES + 1;

	return platform_may_sleep() && !plan->small && plan->run_blocks <= guarantee->piece_blocks &&
	       plan->constraints.alignment_bytes <= piece_bytes && dma_plan_segments(plan, piece_bytes) <= plan->segments &&
	       records << GUARANTEE_OBJECT_SHIFT <= piece_bytes;
}

static struct dma_buffer *object_take(struct memory *memory, const struct dma_plan *plan, uint64_t bytes)
{
	const bool beyond = may_go_beyond(plan);
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	struct phys_addr start;
	struct dma_buffer *buffer = guarantee_take_locked(&memory->guarantee, plan->device, bytes, beyond, &start);

	if (buffer) {
		dma_record_init(buffer, plan, 1, DMA_SOURCE_GUARANTEED);
		dma_record_insert_locked(memory, buffer);
	}
	guarantee_unlock(&memory->guarantee, interrupts);
	if (!buffer)
		return NULL;
	*(struct phys_range *)buffer->pieces = (struct phys_range){ start, plan->bytes };
	buffer->memory = platform_virt(start);
	return buffer;
}

/* The record lies beside the first piece. */
static struct dma_buffer *pieces_take(struct memory *memory, const struct dma_plan *plan)
{
	struct guarantee *guarantee = &memory->guarantee;
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee), count = divide_round_up(plan->bytes, piece_bytes);
	struct guarantee_account *account;
	struct dma_buffer *buffer;
	struct phys_range *pieces;
	struct phys_addr start;

	if (!pieces_fit(guarantee, plan, count))
		return NULL;
	account = guarantee_count(guarantee, plan->device, (uint32_t)count, may_go_beyond(plan));
	if (!account)
		return NULL;
	buffer = guarantee_take_counted(guarantee, account, &start);
	dma_record_init(buffer, plan, (uint32_t)count, DMA_SOURCE_GUARANTEED);
	pieces = (struct phys_range *)buffer->pieces;
	pieces[0] = (struct phys_range){ start, piece_bytes };
	for (uint64_t i = 1; i < count; i++) {
		(void)guarantee_take_counted(guarantee, account, &start);
		pieces[i] = (struct phys_range){ start, piece_bytes };
	}
	if (dma_buffer_map(buffer) != STATUS_OK) {
		dma_buffer_destroy(memory, buffer);
		return NULL;
	}
	const uint64_t interrupts = guarantee_lock(guarantee);
	dma_record_insert_locked(memory, buffer);
	guarantee_unlock(guarantee, interrupts);
	return buffer;
}

status_t dma_guaranteed_alloc(struct memory *memory, const struct dma_plan *plan, struct dma_buffer **result)
{
	const struct guarantee *guarantee = &memory->guarantee;
	const uint64_t bytes = object_bytes(plan);
	struct dma_buffer *buffer;

	if (!guarantee->slots || !guarantee_is_reached(guarantee, plan->device))
		return STATUS_NO_MEMORY;
	buffer = bytes <= guarantee_piece_bytes(guarantee) ? object_take(memory, plan, bytes) : pieces_take(memory, plan);
	if (!buffer)
		return STATUS_NO_MEMORY;
	dma_buffer_finish(memory, plan, buffer);
	*result = buffer;
	return STATUS_OK;
}
