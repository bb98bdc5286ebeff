#include "dma_quarantine.h"

#include "dma_state.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

static uint64_t client_bytes(const struct dma_client *client)
{
	return client->buffer_bytes + client->coherent_bytes;
}

/* A client of the device that has anything, and is in quarantine, or is not. [D] is held. */
static struct dma_client *client_find_locked(struct dma *dma, const struct device *device, bool quarantined)
{
	list_for_each (link, &dma->clients) {
		struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device == device && client->quarantined == quarantined && client_bytes(client) > 0)
			return client;
	}
	return NULL;
}

/* Reports read names under the block heap's lock. */
static void owner_rename(struct block_heap *heap, struct owner *owner, const char *name)
{
	spinlock_lock(&heap->lock);
	owner->name = name;
	spinlock_unlock(&heap->lock);
}

uint64_t dma_quarantine(struct memory *memory, const struct device *device)
{
	struct dma *dma = memory->dma;
	struct dma_client *client;
	uint64_t bytes = dma_guaranteed_quarantine(memory, device);

	spinlock_lock(&dma->lock);
	client = client_find_locked(dma, device, false);
	if (client) {
		client->quarantined = true;
		client->references++;
		bytes += client_bytes(client);
	}
	spinlock_unlock(&dma->lock);
	if (client) {
		format_text(client->name, sizeof(client->name), "%s, quarantined", device->name);
		owner_rename(&memory->blocks, &client->owner, client->name);
		dma_client_put(memory, client);
	}
	if (bytes > 0)
		log_warn("dma: %llu bytes of %s are in quarantine until it has been reset", (unsigned long long)bytes,
			 device->name);
	return bytes;
}

/* Takes one thing out of quarantine; false: there is none. */
static bool free_one(struct memory *memory, const struct device *device)
{
	struct dma *dma = memory->dma;
	struct list *buffer = NULL, *object = NULL;
	struct dma_client *client;

	spinlock_lock(&dma->lock);
	client = client_find_locked(dma, device, true);
	if (client) {
		buffer = list_first(&client->buffers);
		object = buffer ? NULL : list_first(&client->objects);
	}
	if (buffer)
		dma_buffer_unlist_locked(container_of(buffer, struct dma_buffer, link));
	if (object)
		dma_object_unlist_locked(container_of(object, struct dma_object, link));
	spinlock_unlock(&dma->lock);
	if (buffer)
		dma_buffer_destroy(memory, container_of(buffer, struct dma_buffer, link));
	if (object)
		dma_object_destroy(memory, container_of(object, struct dma_object, link));
	return buffer || object;
}

uint64_t dma_quarantine_end(struct memory *memory, const struct device *device)
{
	const uint64_t bytes = dma_quarantine_bytes(memory, device);

	dma_guaranteed_quarantine_end(memory, device);
	while (free_one(memory, device))
		;
	if (bytes > 0)
		log_info("dma: %s has been reset: %llu bytes are out of quarantine", device->name, (unsigned long long)bytes);
	return bytes;
}

uint64_t dma_quarantine_bytes(struct memory *memory, const struct device *device)
{
	uint64_t bytes = dma_guaranteed_quarantine_bytes(memory, device);

	spinlock_lock(&memory->dma->lock);
	list_for_each (link, &memory->dma->clients) {
		const struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device == device && client->quarantined)
			bytes += client_bytes(client);
	}
	spinlock_unlock(&memory->dma->lock);
	return bytes;
}
