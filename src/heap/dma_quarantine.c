/*
 * Quarantine: an event for each buffer of a device. The owner of the blocks goes into quarantine, too, so that reports name it
 * and the next driver begins with an owner of its own.
 */
#include "dma_quarantine.h"

#include "dma_state.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

/* Reports read names under the block heap's lock. */
static void owner_rename(struct block_heap *heap, struct owner *owner, const char *name)
{
	spinlock_lock(&heap->lock);
	owner->name = name;
	spinlock_unlock(&heap->lock);
}

static void client_quarantine(struct memory *memory, const struct device *device)
{
	struct dma *dma = memory->dma;
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	struct dma_client *client = dma_client_find_locked(dma, device);

	if (client) {
		client->quarantined = true;
		client->references++;
	}
	guarantee_unlock(&memory->guarantee, interrupts);
	if (!client)
		return;
	format_text(client->name, sizeof(client->name), "%s, quarantined", device->name);
	owner_rename(&memory->blocks, &client->owner, client->name);
	dma_client_put(memory, client);
}

uint64_t dma_quarantine(struct memory *memory, const struct device *device)
{
	const uint64_t bytes = dma_records_event(memory, device, false, DMA_EVENT_QUARANTINE);

	if (bytes > 0) {
		client_quarantine(memory, device);
		log_warn("dma: %llu bytes of %s are in quarantine until it has been reset", (unsigned long long)bytes,
			 device->name);
	}
	return bytes;
}

uint64_t dma_quarantine_end(struct memory *memory, const struct device *device)
{
	const uint64_t bytes = dma_records_event(memory, device, true, DMA_EVENT_RESET);

	if (bytes > 0)
		log_info("dma: %s has been reset: %llu bytes are out of quarantine", device->name, (unsigned long long)bytes);
	return bytes;
}

uint64_t dma_quarantine_bytes(struct memory *memory, const struct device *device)
{
	struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t bytes = 0;

	for (dma_walk_begin(memory, &walk); (buffer = dma_walk_next(&walk)); dma_walk_release(&walk))
		bytes += buffer->device == device && dma_is_quarantined(buffer) ? buffer->bytes : 0;
	return bytes;
}
