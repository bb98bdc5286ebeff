/*
 * Buffers out of the guarantee. One of a single piece has its descriptor in a table by slot, so that taking and freeing it
 * needs no lock and no other memory. One of several pieces is like any other buffer; only its pieces go back to the guarantee.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

static struct dma_guaranteed *entry_of(struct memory *memory, const struct guarantee_slot *slot)
{
	return &memory->dma->guaranteed[guarantee_index(&memory->guarantee, slot)];
}

status_t dma_guaranteed_init(struct memory *memory)
{
	const uint64_t bytes = memory->guarantee.count * sizeof(memory->dma->guaranteed[0]);

	if (bytes == 0)
		return STATUS_OK;
	memory->dma->guaranteed = general_heap_alloc(&memory->general, bytes, 0);
	if (!memory->dma->guaranteed)
		return STATUS_NO_MEMORY;
	memset(memory->dma->guaranteed, 0, bytes);
	return STATUS_OK;
}

void dma_guaranteed_fini(struct memory *memory)
{
	general_heap_free(&memory->general, memory->dma->guaranteed);
}

status_t dma_guaranteed_alloc(struct memory *memory, const struct device *device, const struct dma_request *request,
			      const struct dma_plan *plan, const char *site, struct dma_buffer **result)
{
	struct dma_guaranteed *entry;
	struct guarantee_slot *slot;

	if (plan->segments > DMA_GUARANTEED_SEGMENTS)
		return STATUS_NO_MEMORY;
	slot = guarantee_take(&memory->guarantee, &plan->constraints, plan->bytes, device);
	if (!slot)
		return STATUS_NO_MEMORY;
	entry = entry_of(memory, slot);
	entry->slot = slot;
	entry->piece = (struct phys_range){ guarantee_start(slot), plan->bytes };
	entry->buffer = (struct dma_buffer){
		.memory = platform_virt(entry->piece.start),
		.bytes = request->bytes,
		.segments = entry->segments,
		.segment_count = dma_plan_cut(plan, &entry->piece, 1, entry->segments),
		.pieces = &entry->piece,
		.piece_count = 1,
		.device = device,
		.site = site,
	};
	if (request->zero)
		memset(entry->buffer.memory, 0, plan->bytes);
	*result = &entry->buffer;
	return STATUS_OK;
}

bool dma_guaranteed_free(struct memory *memory, struct dma_buffer *buffer)
{
	struct dma_guaranteed *entry = container_of(buffer, struct dma_guaranteed, buffer);

	if (buffer->client) /* only these have none */
		return false;
	if (!atomic_load_explicit(&entry->quarantined, memory_order_acquire))
		guarantee_give(&memory->guarantee, entry->slot);
	return true;
}

status_t dma_guaranteed_pieces(struct memory *memory, const struct device *device, const struct dma_plan *plan,
			       struct phys_range *pieces)
{
	const uint32_t count = plan->runs + (plan->last_blocks != 0);

	for (uint32_t i = 0; i < count; i++) {
		const uint64_t bytes = (i < plan->runs ? plan->run_blocks : plan->last_blocks) << BLOCK_SHIFT;
		struct guarantee_slot *slot = guarantee_take(&memory->guarantee, &plan->constraints, bytes, device);

		if (!slot) {
			while (i-- > 0)
				dma_piece_free(memory, pieces[i].start);
			return STATUS_NO_MEMORY;
		}
		pieces[i] = (struct phys_range){ guarantee_start(slot), bytes };
	}
	return STATUS_OK;
}

void dma_piece_free(struct memory *memory, struct phys_addr start)
{
	struct guarantee_slot *slot = guarantee_find(&memory->guarantee, start);

	if (slot)
		guarantee_give(&memory->guarantee, slot);
	else
		memory_blocks_free(memory, start);
}

/* The next buffer of a single piece that the device has, in quarantine or not; starts at 0, and goes on behind *position. */
static struct dma_guaranteed *next_of(struct memory *memory, const struct device *device, bool quarantined, uint32_t *position)
{
	while (*position < memory->guarantee.count) {
		struct dma_guaranteed *entry = &memory->dma->guaranteed[(*position)++];

		if (entry->slot && guarantee_holder(entry->slot) == device && entry->buffer.device == device &&
		    atomic_load_explicit(&entry->quarantined, memory_order_relaxed) == quarantined)
			return entry;
	}
	return NULL;
}

uint64_t dma_guaranteed_quarantine(struct memory *memory, const struct device *device)
{
	struct dma_guaranteed *entry;
	uint64_t bytes = 0;

	for (uint32_t i = 0; (entry = next_of(memory, device, false, &i)) != NULL;) {
		atomic_store_explicit(&entry->quarantined, true, memory_order_release);
		bytes += entry->buffer.bytes;
	}
	return bytes;
}

uint64_t dma_guaranteed_quarantine_bytes(struct memory *memory, const struct device *device)
{
	const struct dma_guaranteed *entry;
	uint64_t bytes = 0;

	for (uint32_t i = 0; (entry = next_of(memory, device, true, &i)) != NULL;)
		bytes += entry->buffer.bytes;
	return bytes;
}

void dma_guaranteed_quarantine_end(struct memory *memory, const struct device *device)
{
	struct dma_guaranteed *entry;

	for (uint32_t i = 0; (entry = next_of(memory, device, true, &i)) != NULL;) {
		atomic_store_explicit(&entry->quarantined, false, memory_order_relaxed);
		guarantee_give(&memory->guarantee, entry->slot);
	}
}

uint64_t dma_guaranteed_leaks(struct memory *memory, const struct device *device)
{
	const struct dma_guaranteed *entry;
	uint64_t leaks = 0;

	for (uint32_t i = 0; (entry = next_of(memory, device, false, &i)) != NULL; leaks++)
		log_warn("dma: %s still has a guaranteed buffer of %llu bytes at %p, taken at %s", device->name,
			 (unsigned long long)entry->buffer.bytes, entry->buffer.memory, entry->buffer.site);
	return leaks;
}
