// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clients, which own the blocks of DMA buffers, and zones, which small objects come from. Both are
 * made outside of the lock and then looked for once more under it: a CPU that finds that another
 * CPU was faster deletes its own.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/format.h"

/* Clients -------------------------------------------------------------------------------------- */

/*
 * The device's client that is not in quarantine, or else `fresh` (may be NULL), with one more
 * reference.
 */
static struct dma_client *client_find(struct dma *dma, const struct device *device, struct dma_client *fresh)
{
	const uint64_t interrupts = guarantee_lock(dma->guarantee);
	struct dma_client *found = fresh;

	list_for_each (link, &dma->clients) {
		struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device == device && client->owner.name != client->quarantined)
			found = client;
	}
	if (found && found == fresh)
		list_insert_last(&dma->clients, &fresh->link);
	if (found)
		found->references++;
	guarantee_unlock(dma->guarantee, interrupts);
	return found;
}

struct dma_client *dma_client_get(struct dma *dma, const struct device *device)
{
	struct dma_client *client = client_find(dma, device, NULL);
	struct dma_client *fresh;

	if (client)
		return client;
	fresh = general_heap_alloc(dma->general, sizeof(*fresh), 0);
	if (!fresh)
		return NULL;
	*fresh = (struct dma_client){ .device = device };
	format_text(fresh->quarantined, sizeof(fresh->quarantined), "%s, quarantined", device->name);
	owner_init(&fresh->owner, device->name, false);
	client = client_find(dma, device, fresh);
	if (client != fresh)
		general_heap_free(dma->general, fresh);
	return client;
}

void dma_client_put(struct dma *dma, struct dma_client *client)
{
	const uint64_t interrupts = guarantee_lock(dma->guarantee);
	const bool last = --client->references == 0;

	if (last)
		list_remove(&client->link);
	guarantee_unlock(dma->guarantee, interrupts);
	if (last)
		general_heap_free(dma->general, client);
}

/* Zones ---------------------------------------------------------------------------------------- */

/* The zone with these constraints, or else `fresh` (may be NULL). */
static struct dma_zone *zone_find(struct dma *dma, const struct block_constraints *constraints, struct dma_zone *fresh)
{
	const uint64_t interrupts = guarantee_lock(dma->guarantee);
	struct dma_zone *found = fresh;

	list_for_each (link, &dma->zones) {
		struct dma_zone *zone = container_of(link, struct dma_zone, link);

		if (zone->source.request.constraints.lowest.value == constraints->lowest.value &&
		    zone->source.request.constraints.highest.value == constraints->highest.value)
			found = zone;
	}
	if (found && found == fresh)
		list_insert_last(&dma->zones, &fresh->link);
	guarantee_unlock(dma->guarantee, interrupts);
	return found;
}

static void zone_delete(struct dma *dma, struct dma_zone *zone)
{
	const status_t status = general_heap_fini(&zone->heap);

	assert(status == STATUS_OK);
	metadata_heap_free(dma->reclaim->metadata, zone, sizeof(*zone));
}

static struct dma_zone *zone_new(struct dma *dma, const struct block_constraints *constraints)
{
	const uint64_t lowest = constraints->lowest.value, highest = constraints->highest.value;
	struct dma_zone *zone = metadata_heap_alloc(dma->reclaim->metadata, sizeof(*zone));

	if (!zone)
		return NULL;
	memory_source_init(&zone->source, dma->reclaim, constraints);
	if (lowest != 0)
		format_text(zone->name, sizeof(zone->name), "dma-from-%lluM", (unsigned long long)(lowest / MIB));
	else if (highest == UINT64_MAX)
		format_text(zone->name, sizeof(zone->name), "dma");
	else
		format_text(zone->name, sizeof(zone->name), "dma-%ubit", log2_floor(highest) + 1);

	const struct general_heap_config config = {
		.name = zone->name,
		.powers_only = true,
		.retain_bytes = dma->retain_bytes,
		.source = &zone->source.blocks,
		.runs = &zone->source.blocks,
		.metadata = dma->reclaim->metadata,
	};
	if (general_heap_init(&zone->heap, &config) != STATUS_OK) {
		metadata_heap_free(dma->reclaim->metadata, zone, sizeof(*zone));
		return NULL;
	}
	return zone;
}

struct dma_zone *dma_zone_get(struct dma *dma, const struct device *device)
{
	const struct phys_range all = block_heap_range(dma->reclaim->blocks);
	const struct block_constraints constraints = {
		.lowest = { device->dma_lowest <= all.start.value ? 0 : device->dma_lowest },
		.highest = { device->dma_mask >= all.start.value + all.bytes - 1 ? UINT64_MAX : device->dma_mask },
	};
	struct dma_zone *zone = zone_find(dma, &constraints, NULL);
	struct dma_zone *fresh;

	if (zone)
		return zone;
	fresh = zone_new(dma, &constraints);
	zone = fresh ? zone_find(dma, &constraints, fresh) : NULL;
	if (zone != fresh) {
		zone_delete(dma, fresh);
	} else if (zone) { /* not before: a zone with a cleaner goes only where platform_may_sleep() */
		zone->heap.config.cleaners = &dma->reclaim->cleaners;
		cleaner_register(&dma->reclaim->cleaners, &zone->heap.group.cleaner);
	}
	return zone;
}

/* Life ----------------------------------------------------------------------------------------- */

void dma_init(struct dma *dma, struct reclaim *reclaim, struct guarantee *guarantee, struct general_heap *general,
	      uint64_t retain_bytes)
{
	*dma = (struct dma){ .reclaim = reclaim,
			     .guarantee = guarantee,
			     .general = general,
			     .explainer = { dma_explain },
			     .retain_bytes = retain_bytes };
	reclaim->explainer = &dma->explainer;
	list_init(&dma->buffers);
	list_init(&dma->clients);
	list_init(&dma->zones);
}

void dma_fini(struct dma *dma)
{
	for (struct list *link; (link = list_take_first(&dma->zones));)
		zone_delete(dma, container_of(link, struct dma_zone, link));
}
