// SPDX-License-Identifier: BSD-2-Clause
/*
 * Quarantine: an event for each buffer of a device. The owner of the blocks enters quarantine, too:
 * reports name it so, and the next driver begins with an owner of its own.
 */
#include "dma_quarantine.h"

#include "dma_state.h"
#include "runtime/base/log.h"

/* Changes the owners' names; reports read them under the block heap's lock. */
static void clients_quarantine(struct dma *dma, const struct device *device)
{
	spinlock_lock(&dma->reclaim->blocks->lock);
	const uint64_t interrupts = guarantee_lock(dma->guarantee);
	list_for_each (link, &dma->clients) {
		struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device == device)
			client->owner.name = client->quarantined;
	}
	guarantee_unlock(dma->guarantee, interrupts);
	spinlock_unlock(&dma->reclaim->blocks->lock);
}

uint64_t dma_quarantine(struct dma *dma, const struct device *device)
{
	const uint64_t bytes = dma_records_event(dma, device, DMA_EVENT_QUARANTINE);

	if (bytes > 0) {
		clients_quarantine(dma, device);
		log_warn("dma: %llu bytes of %s are in quarantine until it has been reset", (unsigned long long)bytes,
			 device->name);
	}
	return bytes;
}

uint64_t dma_quarantine_end(struct dma *dma, const struct device *device)
{
	const uint64_t bytes = dma_records_event(dma, device, DMA_EVENT_RESET);

	if (bytes > 0)
		log_info("dma: %s has been reset: %llu bytes are out of quarantine", device->name, (unsigned long long)bytes);
	return bytes;
}

uint64_t dma_quarantine_bytes(struct dma *dma, const struct device *device)
{
	struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t bytes = 0;

	for (dma_walk_begin(dma, device, true, &walk); (buffer = dma_walk_next(&walk)); dma_walk_release(&walk))
		bytes += buffer->bytes;
	return bytes;
}
