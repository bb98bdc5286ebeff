// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clients, which own the blocks of DMA buffers, and zones, which small objects come from. Both are
 * made outside of the lock and then looked for once more under it: a CPU that finds that another
 * CPU was faster deletes its own.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/format.h"

/* Clients --------------------------------------------------------------------------------------------------------------- */

/*
 * The device's client that is not in quarantine, or else `fresh` (may be NULL), with one more
 * reference.
 */
static struct dma_client *client_find(struct memory *memory, const struct device *device, struct dma_client *fresh)
{
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	struct dma_client *found = fresh;

	list_for_each (link, &memory->dma.clients) {
		struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device == device && !dma_client_is_quarantined(client))
			found = client;
	}
	if (found && found == fresh)
		list_insert_last(&memory->dma.clients, &fresh->link);
	if (found)
		found->references++;
	guarantee_unlock(&memory->guarantee, interrupts);
	return found;
}

struct dma_client *dma_client_get(struct memory *memory, const struct device *device)
{
	struct dma_client *client = client_find(memory, device, NULL);
	struct dma_client *fresh;

	if (client)
		return client;
	fresh = general_heap_alloc(&memory->general, sizeof(*fresh), 0);
	if (!fresh)
		return NULL;
	*fresh = (struct dma_client){ .device = device };
	format_text(fresh->quarantined, sizeof(fresh->quarantined), "%s, quarantined", device->name);
	owner_init(&fresh->owner, device->name, false);
	client = client_find(memory, device, fresh);
	if (client != fresh)
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

/* The zone with these constraints, or else `fresh` (may be NULL). */
static struct dma_zone *zone_find(struct memory *memory, const struct block_constraints *constraints, struct dma_zone *fresh)
{
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	struct dma_zone *found = fresh;

	list_for_each (link, &memory->dma.zones) {
		struct dma_zone *zone = container_of(link, struct dma_zone, link);

		if (zone->source.request.constraints.lowest.value == constraints->lowest.value &&
		    zone->source.request.constraints.highest.value == constraints->highest.value)
			found = zone;
	}
	if (found && found == fresh)
		list_insert_last(&memory->dma.zones, &fresh->link);
	guarantee_unlock(&memory->guarantee, interrupts);
	return found;
}

static void zone_delete(struct memory *memory, struct dma_zone *zone)
{
	const status_t status = general_heap_fini(&zone->heap);

	assert(status == STATUS_OK);
	bookkeeping_free(&memory->bookkeeping, zone, sizeof(*zone));
}

static struct dma_zone *zone_new(struct memory *memory, const struct block_constraints *constraints)
{
	const uint64_t lowest = constraints->lowest.value, highest = constraints->highest.value;
	struct dma_zone *zone = bookkeeping_alloc(&memory->bookkeeping, sizeof(*zone));

	if (!zone)
		return NULL;
	memory_source_init(&zone->source, &memory->reclaim, constraints);
	if (lowest != 0)
		format_text(zone->name, sizeof(zone->name), "dma-from-%lluM", (unsigned long long)(lowest / MIB));
	else if (highest == UINT64_MAX)
		format_text(zone->name, sizeof(zone->name), "dma");
	else
		format_text(zone->name, sizeof(zone->name), "dma-%ubit", log2_floor(highest) + 1);

	const struct general_heap_config config = {
		.name = zone->name,
		.powers_only = true,
		.retain_bytes = memory->dma.retain_bytes,
		.source = &zone->source.blocks,
		.runs = &zone->source.blocks,
		.bookkeeping = &memory->bookkeeping,
	};
	if (general_heap_init(&zone->heap, &config) != STATUS_OK) {
		bookkeeping_free(&memory->bookkeeping, zone, sizeof(*zone));
		return NULL;
	}
	return zone;
}

struct dma_zone *dma_zone_get(struct memory *memory, const struct device *device)
{
	const struct block_heap *heap = &memory->blocks;
	const uint64_t end = (heap->first_block + heap->count) << BLOCK_SHIFT;
	const struct block_constraints constraints = {
		.lowest = { device->dma_lowest <= heap->first_block << BLOCK_SHIFT ? 0 : device->dma_lowest },
		.highest = { device->dma_mask >= end - 1 ? UINT64_MAX : device->dma_mask },
	};
	struct dma_zone *zone = zone_find(memory, &constraints, NULL);
	struct dma_zone *fresh;

	if (zone)
		return zone;
	fresh = zone_new(memory, &constraints);
	zone = fresh ? zone_find(memory, &constraints, fresh) : NULL;
	if (zone != fresh) {
		zone_delete(memory, fresh);
	} else if (zone) { /* not before: a zone with a cleaner goes only where platform_may_sleep() */
		zone->heap.config.cleaners = &memory->reclaim.cleaners;
		cleaner_register(&memory->reclaim.cleaners, &zone->heap.group.cleaner);
	}
	return zone;
}

/* Life ------------------------------------------------------------------------------------------------------------------ */

void dma_init(struct memory *memory)
{
	memory->dma.explainer.explain = dma_explain;
	memory->reclaim.explainer = &memory->dma.explainer;
	list_init(&memory->dma.buffers);
	list_init(&memory->dma.clients);
	list_init(&memory->dma.zones);
}

void dma_fini(struct memory *memory)
{
	for (struct list *link; (link = list_take_first(&memory->dma.zones));)
		zone_delete(memory, container_of(link, struct dma_zone, link));
}
