/* Who owns the blocks of DMA buffers, and where small objects for each address mask come from. */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/string.h"

/* Clients --------------------------------------------------------------------------------------------------------------- */

struct dma_client *dma_client_find_locked(struct dma *dma, const struct device *device)
{
	list_for_each (link, &dma->clients) {
		struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device == device && !client->quarantined)
			return client;
	}
	return NULL;
}

static struct dma_client *client_new(struct memory *memory, const struct device *device)
{
	struct dma_client *client = general_heap_alloc(&memory->general, sizeof(*client), 0);

	if (!client)
		return NULL;
	memset(client, 0, sizeof(*client));
	client->device = device;
	owner_init(&client->owner, device->name, false);
	return client;
}

struct dma_client *dma_client_get(struct memory *memory, const struct device *device)
{
	struct dma *dma = memory->dma;
	struct dma_client *client;
	struct dma_client *fresh = NULL;

	for (;;) {
		const uint64_t interrupts = guarantee_lock(&memory->guarantee);

		client = dma_client_find_locked(dma, device);
		if (!client && fresh) {
			list_insert_last(&dma->clients, &fresh->link);
			client = fresh;
			fresh = NULL;
		}
		if (client)
			client->references++;
		guarantee_unlock(&memory->guarantee, interrupts);
		if (client)
			break;
		fresh = client_new(memory, device);
		if (!fresh)
			return NULL;
	}
	general_heap_free(&memory->general, fresh);
	return client;
}

void dma_client_put(struct memory *memory, struct dma_client *client)
{
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	const bool last = --client->references == 0;

	if (last)
		list_remove(&client->link);
	guarantee_unlock(&memory->guarantee, interrupts);
	if (last)
		general_heap_free(&memory->general, client);
}

/* Zones ----------------------------------------------------------------------------------------------------------------- */

static struct dma_zone *zone_find_locked(struct dma *dma, uint64_t lowest, uint64_t mask)
{
	list_for_each (link, &dma->zones) {
		struct dma_zone *zone = container_of(link, struct dma_zone, link);

		if (zone->lowest == lowest && zone->mask == mask)
			return zone;
	}
	return NULL;
}

static struct dma_zone *zone_new(struct memory *memory, uint64_t lowest, uint64_t mask)
{
	struct dma_zone *zone = bookkeeping_alloc(&memory->bookkeeping, sizeof(*zone));
	const struct block_constraints constraints = { .lowest = { lowest }, .highest = { mask } };

	if (!zone)
		return NULL;
	memory_source_init(&zone->source, memory, &constraints);
	zone->lowest = lowest;
	zone->mask = mask;
	if (lowest != 0)
		format_text(zone->name, sizeof(zone->name), "dma-from-%lluM", (unsigned long long)(lowest / MIB));
	else if (mask == UINT64_MAX)
		format_text(zone->name, sizeof(zone->name), "dma");
	else
		format_text(zone->name, sizeof(zone->name), "dma-%ubit", log2_floor(mask) + 1);

	const struct general_heap_config config = {
		.name = zone->name,
		.powers_only = true,
		.retain_bytes = memory->config.dma_retain_bytes,
		.source = &zone->source.blocks,
		.runs = &zone->source.runs,
		.bookkeeping = &memory->bookkeeping,
	};
	if (general_heap_init(&zone->heap, &config) != STATUS_OK) {
		bookkeeping_free(&memory->bookkeeping, zone, sizeof(*zone));
		return NULL;
	}
	return zone;
}

static void zone_delete(struct memory *memory, struct dma_zone *zone)
{
	const status_t status = general_heap_fini(&zone->heap);

	assert(status == STATUS_OK);
	bookkeeping_free(&memory->bookkeeping, zone, sizeof(*zone));
}

struct dma_zone *dma_zone_get(struct memory *memory, const struct device *device)
{
	const struct block_heap *heap = &memory->blocks;
	const uint64_t end = (heap->first_block + heap->count) << BLOCK_SHIFT;
	const uint64_t mask = device->dma_mask >= end - 1 ? UINT64_MAX : device->dma_mask;
	const uint64_t lowest = device->dma_lowest <= heap->first_block << BLOCK_SHIFT ? 0 : device->dma_lowest;
	struct dma_zone *zone, *fresh = NULL;

	for (;;) {
		const uint64_t interrupts = guarantee_lock(&memory->guarantee);

		zone = zone_find_locked(memory->dma, lowest, mask);
		if (!zone && fresh)
			list_insert_last(&memory->dma->zones, &fresh->link);
		guarantee_unlock(&memory->guarantee, interrupts);
		if (zone || fresh)
			break;
		fresh = zone_new(memory, lowest, mask);
		if (!fresh)
			return NULL;
	}
	if (zone && fresh)
		zone_delete(memory, fresh);
	else if (fresh)
		general_heap_register(&fresh->heap, &memory->cleaners);
	return zone ? zone : fresh;
}

/* Life ------------------------------------------------------------------------------------------------------------------ */

status_t dma_init(struct memory *memory)
{
	struct dma *dma = bookkeeping_alloc(&memory->bookkeeping, sizeof(*dma));

	if (!dma)
		return STATUS_NO_MEMORY;
	list_init(&dma->buffers);
	list_init(&dma->clients);
	list_init(&dma->zones);
	memory->dma = dma;
	return STATUS_OK;
}

status_t dma_fini(struct memory *memory)
{
	struct dma *dma = memory->dma;

	if (!list_is_empty(&dma->buffers) || !list_is_empty(&dma->clients))
		return STATUS_BUSY;
	for (struct list *link; (link = list_take_first(&dma->zones));)
		zone_delete(memory, container_of(link, struct dma_zone, link));
	memory->dma = NULL;
	bookkeeping_free(&memory->bookkeeping, dma, sizeof(*dma));
	return STATUS_OK;
}
