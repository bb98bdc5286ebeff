/*
 * The list of all DMA buffers, and the one table of what may happen to them. A transition is one step under [D]; the thread
 * that makes a buffer GONE takes it out of the list in that step, and is the only one that knows it from then on.
 */
#include "dma_state.h"

#define DMA_WRONG DMA_STATES

static const uint8_t next_state[DMA_STATES][DMA_EVENTS] = {
	/*                    FREE            QUARANTINE      RESET */
	[DMA_STATE_GONE] = { DMA_WRONG, DMA_WRONG, DMA_WRONG },
	[DMA_STATE_LIVE] = { DMA_STATE_GONE, DMA_STATE_HELD, DMA_STATE_LIVE },
	[DMA_STATE_HELD] = { DMA_STATE_KEPT, DMA_STATE_HELD, DMA_STATE_GONE },
	[DMA_STATE_KEPT] = { DMA_WRONG, DMA_STATE_KEPT, DMA_STATE_GONE },
};

uint64_t dma_record_bytes(uint64_t pieces, uint64_t segments)
{
	return sizeof(struct dma_buffer) + pieces * sizeof(struct phys_range) + segments * sizeof(struct device_segment);
}

void dma_record_init(struct dma_buffer *buffer, const struct device *device, const struct dma_request *request, uint32_t pieces,
		     const char *site)
{
	*buffer = (struct dma_buffer){ .bytes = request->bytes, .device = device, .piece_count = pieces, .site = site };
	buffer->pieces = (struct phys_range *)(buffer + 1);
	buffer->segments = (struct device_segment *)(buffer->pieces + pieces);
	list_init(&buffer->link);
}

void dma_record_publish(struct memory *memory, struct dma_buffer *buffer)
{
	struct dma *dma = memory->dma;
	const uint64_t interrupts = spinlock_lock_interrupts(&dma->lock);

	buffer->state = DMA_STATE_LIVE;
	list_insert_last(&dma->buffers, &buffer->link);
	spinlock_unlock_interrupts(&dma->lock, interrupts);
	atomic_fetch_add_explicit(&dma->allocs, 1, memory_order_relaxed);
}

static bool event_locked(struct dma_buffer *buffer, enum dma_event event)
{
	const uint8_t next = buffer->state < DMA_STATES ? next_state[buffer->state][event] : DMA_WRONG;

	if (next == DMA_WRONG)
		platform_panic("dma: %p is freed twice, or is no DMA buffer", (void *)buffer);
	buffer->state = next;
	if (next == DMA_STATE_GONE)
		list_remove(&buffer->link);
	return next == DMA_STATE_GONE;
}

bool dma_record_event(struct memory *memory, struct dma_buffer *buffer, enum dma_event event)
{
	const uint64_t interrupts = spinlock_lock_interrupts(&memory->dma->lock);
	const bool gone = event_locked(buffer, event);

	spinlock_unlock_interrupts(&memory->dma->lock, interrupts);
	return gone;
}

/* Walks ------------------------------------------------------------------------------------------------------------------- */

void dma_walk_begin(struct memory *memory, struct dma_walk *walk)
{
	*walk = (struct dma_walk){ .dma = memory->dma };
	walk->interrupts = spinlock_lock_interrupts(&walk->dma->lock);
	list_insert_first(&walk->dma->buffers, &walk->place.link);
	dma_walk_release(walk);
}

void dma_walk_release(struct dma_walk *walk)
{
	spinlock_unlock_interrupts(&walk->dma->lock, walk->interrupts);
}

/* The places of other walks are passed by: they are GONE, which no buffer in the list is. */
struct dma_buffer *dma_walk_next(struct dma_walk *walk)
{
	struct list *const buffers = &walk->dma->buffers;
	struct list *link;

	walk->interrupts = spinlock_lock_interrupts(&walk->dma->lock);
	link = walk->place.link.next;
	while (link != buffers && container_of(link, struct dma_buffer, link)->state == DMA_STATE_GONE)
		link = link->next;
	list_remove(&walk->place.link);
	if (link != buffers) {
		list_insert_after(link, &walk->place.link);
		return container_of(link, struct dma_buffer, link);
	}
	dma_walk_release(walk);
	return NULL;
}

uint64_t dma_records_event(struct memory *memory, const struct device *device, bool quarantined, enum dma_event event)
{
	struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t bytes = 0;

	for (dma_walk_begin(memory, &walk); (buffer = dma_walk_next(&walk));) {
		const bool meant = buffer->device == device && dma_is_quarantined(buffer) == quarantined;
		bool gone = false;

		if (meant) {
			bytes += buffer->bytes;
			gone = event_locked(buffer, event);
		}
		dma_walk_release(&walk);
		if (gone)
			dma_buffer_destroy(memory, buffer);
	}
	return bytes;
}
