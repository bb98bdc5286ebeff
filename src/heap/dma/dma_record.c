// SPDX-License-Identifier: BSD-2-Clause
/*
 * The list of all DMA buffers, and the one table of their states and events. A transition is one
 * step under [E]; the thread that makes a buffer GONE takes it out of the list in that step, and
 * alone knows it from then on.
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

static enum dma_state state_of(const struct dma_buffer *buffer)
{
	return (enum dma_state)atomic_load_explicit(&buffer->state, memory_order_acquire);
}

/*
 * Applies an event to one buffer, in one step. An object of the guarantee that is GONE goes back in
 * this step. True: the buffer is GONE and in no list, and the caller destroys it.
 */
static bool event_locked(struct dma *dma, struct dma_buffer *buffer, enum dma_event event)
{
	const enum dma_state state = state_of(buffer);
	const uint8_t next = state < DMA_STATES ? next_state[state][event] : DMA_WRONG;

	if (next == DMA_WRONG)
		platform_panic("dma: %p is freed twice, or is no DMA buffer", (void *)buffer);
	atomic_store_explicit(&buffer->state, next, memory_order_relaxed);
	if (next != DMA_STATE_GONE)
		return false;
	list_remove(&buffer->link);
	if (!dma_is_guaranteed_object(buffer))
		return true;
	guarantee_give_locked(dma->guarantee, buffer->pieces[0].start);
	return false;
}

void dma_free(struct dma *dma, struct dma_buffer *buffer)
{
	if (!buffer)
		return;
	const uint64_t interrupts = guarantee_lock(dma->guarantee);
	const bool gone = event_locked(dma, buffer, DMA_EVENT_FREE);
	guarantee_unlock(dma->guarantee, interrupts);
	if (gone)
		dma_buffer_destroy(dma, buffer);
}

/* Walks ---------------------------------------------------------------------------------------- */

void dma_walk_begin(struct dma *dma, const struct device *device, bool quarantined, struct dma_walk *walk)
{
	*walk = (struct dma_walk){ .dma = dma, .device = device, .quarantined = quarantined };
	walk->interrupts = guarantee_lock(dma->guarantee);
	list_insert_first(&dma->buffers, &walk->place.link);
	dma_walk_release(walk);
}

void dma_walk_release(struct dma_walk *walk)
{
	guarantee_unlock(walk->dma->guarantee, walk->interrupts);
}

/* A buffer that is GONE is the place of another walk, or is not published yet. */
static bool is_meant(const struct dma_walk *walk, const struct dma_buffer *buffer)
{
	return state_of(buffer) != DMA_STATE_GONE &&
	       (!walk->device || (buffer->device == walk->device && dma_is_quarantined(buffer) == walk->quarantined));
}

/* Looks at one buffer in each hold of the lock, however many do not belong to the walk. */
struct dma_buffer *dma_walk_next(struct dma_walk *walk)
{
	struct list *const buffers = &walk->dma->buffers;

	for (;; dma_walk_release(walk)) {
		walk->interrupts = guarantee_lock(walk->dma->guarantee);
		struct list *const link = walk->place.link.next;
		struct dma_buffer *const buffer = container_of(link, struct dma_buffer, link);

		list_remove(&walk->place.link);
		if (link == buffers)
			break;
		list_insert_after(link, &walk->place.link);
		if (is_meant(walk, buffer))
			return buffer;
	}
	dma_walk_release(walk);
	return NULL;
}

uint64_t dma_records_event(struct dma *dma, const struct device *device, enum dma_event event)
{
	struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t bytes = 0;

	for (dma_walk_begin(dma, device, event == DMA_EVENT_RESET, &walk); (buffer = dma_walk_next(&walk));) {
		bytes += buffer->bytes;
		const bool gone = event_locked(dma, buffer, event);

		dma_walk_release(&walk);
		if (gone)
			dma_buffer_destroy(dma, buffer);
	}
	return bytes;
}
