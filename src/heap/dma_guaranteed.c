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
static bool may_go_beyond(const struct dma_request *request)
{
	return request->wait == MEMORY_WAIT_NEVER || !platform_may_sleep();
}

/* The alignment is that of a power of two; and an object has room for segments in proportion to its length. */
static uint64_t object_bytes(const struct dma_plan *plan)
{
	const uint64_t records = divide_round_up(dma_record_bytes(1, plan->segments), GUARANTEE_RECORD_BYTES);

	return MAX(MAX(plan->bytes, plan->constraints.alignment_bytes), records << GUARANTEE_OBJECT_SHIFT);
}

/* The segments that whole pieces are cut into. */
static uint64_t pieces_segments(const struct dma_plan *plan, uint64_t piece_bytes)
{
	return plan->bytes / piece_bytes * divide_round_up(piece_bytes, plan->segment_bytes) +
	       divide_round_up(plan->bytes % piece_bytes, plan->segment_bytes);
}

/* A piece is as good as several adjacent runs of the plan. */
static bool pieces_fit(const struct guarantee *guarantee, const struct dma_plan *plan, uint64_t pieces)
{
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee);
	const uint64_t records = dma_record_bytes(pieces, plan->segments) / GUARANTEE_RECORD_BYTES + 1;

	return platform_may_sleep() && !plan->small && plan->run_blocks <= guarantee->piece_blocks &&
	       plan->constraints.alignment_bytes <= piece_bytes && pieces_segments(plan, piece_bytes) <= plan->segments &&
	       records << GUARANTEE_OBJECT_SHIFT <= piece_bytes;
}

/* The record lies beside the first piece. */
static struct dma_buffer *object_take(struct guarantee *guarantee, const struct device *device,
				      const struct dma_request *request, const struct dma_plan *plan, const char *site)
{
	struct dma_buffer *buffer;
	struct phys_addr start;

	buffer = guarantee_take(guarantee, device, object_bytes(plan), may_go_beyond(request), &start);
	if (!buffer)
		return NULL;
	dma_record_init(buffer, device, request, 1, site);
	*(struct phys_range *)buffer->pieces = (struct phys_range){ start, plan->bytes };
	return buffer;
}

static struct dma_buffer *pieces_take(struct guarantee *guarantee, const struct device *device,
				      const struct dma_request *request, const struct dma_plan *plan, const char *site)
{
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee), count = divide_round_up(plan->bytes, piece_bytes);
	struct guarantee_account *account;
	struct dma_buffer *buffer;
	struct phys_range *pieces;
	struct phys_addr start;

	if (!pieces_fit(guarantee, plan, count))
		return NULL;
	account = guarantee_count(guarantee, device, (uint32_t)count, may_go_beyond(request));
	if (!account)
		return NULL;
	buffer = guarantee_take_counted(guarantee, account, &start);
	dma_record_init(buffer, device, request, (uint32_t)count, site);
	pieces = (struct phys_range *)buffer->pieces;
	pieces[0] = (struct phys_range){ start, piece_bytes };
	for (uint64_t i = 1; i < count; i++) {
		(void)guarantee_take_counted(guarantee, account, &start);
		pieces[i] = (struct phys_range){ start, piece_bytes };
	}
	return buffer;
}

status_t dma_guaranteed_alloc(struct memory *memory, const struct device *device, const struct dma_request *request,
			      const struct dma_plan *plan, const char *site, struct dma_buffer **result)
{
	struct guarantee *guarantee = &memory->guarantee;
	struct dma_buffer *buffer;

	if (!guarantee->slots || !guarantee_is_reached(guarantee, device))
		return STATUS_NO_MEMORY;
	buffer = (object_bytes(plan) <= guarantee_piece_bytes(guarantee) ? object_take : pieces_take)(guarantee, device,
												      request, plan, site);
	if (!buffer)
		return STATUS_NO_MEMORY;
	buffer->source = DMA_SOURCE_GUARANTEED;
	if (dma_buffer_map(buffer) != STATUS_OK) {
		dma_buffer_destroy(memory, buffer);
		return STATUS_NO_MEMORY;
	}
	dma_buffer_finish(memory, request, plan, buffer);
	*result = buffer;
	return STATUS_OK;
}
