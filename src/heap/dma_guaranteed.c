/*
 * Buffers out of the guarantee. One of up to a piece is an object, whose record and list of segments lie in the record that the
 * guarantee has beside it: so taking and freeing it needs no other memory. One of several pieces is like any other buffer; only
 * its pieces go back to the guarantee.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

struct record {
	struct dma_buffer buffer;
	struct phys_range piece;
	struct device_segment segments[];
};

_Static_assert(sizeof(struct record) + sizeof(struct device_segment) <= GUARANTEE_RECORD_BYTES, "the record of a 4 KB object");

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
	const uint64_t record = sizeof(struct record) + plan->segments * sizeof(struct device_segment);
	const uint64_t records = divide_round_up(record, GUARANTEE_RECORD_BYTES);

	return MAX(MAX(plan->bytes, plan->constraints.alignment_bytes), records << GUARANTEE_OBJECT_SHIFT);
}

status_t dma_guaranteed_alloc(struct memory *memory, const struct device *device, const struct dma_request *request,
			      const struct dma_plan *plan, const char *site, struct dma_buffer **result)
{
	struct guarantee *guarantee = &memory->guarantee;
	struct phys_addr start;
	struct record *record;

	if (!guarantee_is_reached(guarantee, device) ||
	    !guarantee_take(guarantee, device, object_bytes(plan), may_go_beyond(request), &start))
		return STATUS_NO_MEMORY;
	record = guarantee_record(guarantee, start);
	record->piece = (struct phys_range){ start, plan->bytes };
	record->buffer = (struct dma_buffer){
		.memory = platform_virt(start),
		.bytes = request->bytes,
		.segments = record->segments,
		.pieces = &record->piece,
		.piece_count = 1,
		.device = device,
		.site = site,
		.source = DMA_SOURCE_GUARANTEED,
	};
	dma_buffer_finish(memory, request, plan, &record->buffer);
	*result = &record->buffer;
	return STATUS_OK;
}

/* The segments that whole pieces are cut into. */
static uint64_t pieces_segments(const struct dma_plan *plan, uint64_t piece_bytes)
{
	return plan->bytes / piece_bytes * divide_round_up(piece_bytes, plan->segment_bytes) +
	       divide_round_up(plan->bytes % piece_bytes, plan->segment_bytes);
}

/* A piece is as good as several adjacent runs of the plan. */
static bool pieces_fit(const struct guarantee *guarantee, const struct device *device, const struct dma_plan *plan)
{
	const uint64_t piece_bytes = guarantee_piece_bytes(guarantee);

	return guarantee->count > 0 && guarantee_is_reached(guarantee, device) && !plan->small &&
	       plan->run_blocks <= guarantee->piece_blocks && plan->constraints.alignment_bytes <= piece_bytes &&
	       pieces_segments(plan, piece_bytes) <= plan->segments;
}

status_t dma_guaranteed_alloc_pieces(struct memory *memory, const struct device *device, const struct dma_request *request,
				     const struct dma_plan *plan, const char *site, struct dma_buffer **result)
{
	struct guarantee *guarantee = &memory->guarantee;
	struct dma_buffer *buffer;
	uint32_t count;

	if (!pieces_fit(guarantee, device, plan))
		return STATUS_NO_MEMORY;
	count = (uint32_t)divide_round_up(plan->bytes, guarantee_piece_bytes(guarantee));
	buffer = dma_record_new(memory, device, count, plan->segments, site);
	if (!buffer)
		return STATUS_NO_MEMORY;
	buffer->bytes = request->bytes;
	buffer->source = DMA_SOURCE_PIECES;
	if (!guarantee_take_pieces(guarantee, device, count, may_go_beyond(request), (struct phys_range *)buffer->pieces)) {
		general_heap_free(&memory->general, buffer);
		return STATUS_NO_MEMORY;
	}
	if (dma_buffer_map(buffer) != STATUS_OK) {
		dma_buffer_destroy(memory, buffer);
		return STATUS_NO_MEMORY;
	}
	dma_buffer_finish(memory, request, plan, buffer);
	*result = buffer;
	return STATUS_OK;
}
