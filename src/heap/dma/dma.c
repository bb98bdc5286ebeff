// SPDX-License-Identifier: BSD-2-Clause
/*
 * Requests. The device's zone serves small ones, runs of blocks serve the others, with what reclaim
 * gives. The guarantee serves a request where that fails, or where the caller may not wait. A
 * coherent object is a buffer of one segment that never waits.
 */
#include "dma_state.h"

#include "runtime/base/log.h"
#include "runtime/base/sort.h"
#include "runtime/base/string.h"

/* Where the memory comes from ------------------------------------------------------------------ */

/*
 * Takes an object of the device's zone. If the zone has none, it grows by a block, and the request
 * waits for the block as it says.
 */
static status_t fill_object(struct dma *dma, const struct dma_plan *plan, struct dma_buffer *buffer)
{
	struct dma_zone *zone = dma_zone_get(dma, plan->device);
	status_t status = STATUS_OK;
	void *object = NULL;

	if (!zone)
		return STATUS_NO_MEMORY;
	struct memory_source source = zone->source;
	struct objcache *cache = general_heap_cache(&zone->heap, plan->bytes, plan->run.constraints.alignment_bytes);
	source.request.wait = plan->run.wait;
	source.request.deadline_ns = plan->run.deadline_ns;
	while (status == STATUS_OK && !(object = objcache_alloc_held(cache)))
		status = objcache_grow(cache, &source.blocks);
	if (status == STATUS_OK)
		*(struct phys_range *)buffer->pieces = (struct phys_range){ platform_phys(object), plan->bytes };
	return status;
}

static status_t fill_blocks(struct dma *dma, const struct dma_plan *plan, struct dma_buffer *buffer)
{
	struct phys_range *pieces = (struct phys_range *)buffer->pieces;
	struct memory_request request = plan->run;
	/*
	 * The addresses lie in the first half of the room for pieces; the loop below spreads them
	 * out, from the last one on.
	 */
	struct phys_addr *runs = (struct phys_addr *)pieces;
	status_t status;

	if (plan->runs > 1 && !platform_may_sleep())
		return STATUS_NO_MEMORY;
	buffer->client = dma_client_get(dma, plan->device);
	if (!buffer->client)
		return STATUS_NO_MEMORY;
	request.owner = &buffer->client->owner;
	status = reclaim_blocks_alloc(dma->reclaim, &request, plan->runs, runs);
	if (status != STATUS_OK) {
		dma_client_put(dma, buffer->client);
		return status;
	}
	/*
	 * In order of address, many runs turn out to be adjacent: fewer segments, and often no
	 * mapping.
	 */
	sort_numbers(&runs->value, plan->runs - (request.last_blocks != 0));
	for (uint32_t i = plan->runs; i-- > 0;) {
		const struct phys_addr start = runs[i];

		pieces[i] = (struct phys_range){ start, request.blocks << BLOCK_SHIFT };
	}
	if (request.last_blocks != 0)
		pieces[plan->runs - 1].bytes = request.last_blocks << BLOCK_SHIFT;
	return STATUS_OK;
}

/* Buffers -------------------------------------------------------------------------------------- */

/*
 * Makes the pieces of a buffer contiguous in virtual memory: they lie so in the direct map if they
 * follow each other; otherwise they are mapped.
 */
static status_t buffer_map(struct dma_buffer *buffer)
{
	const struct phys_range *pieces = buffer->pieces;
	uint32_t i = 1;

	while (i < buffer->piece_count && pieces[i - 1].start.value + pieces[i - 1].bytes == pieces[i].start.value)
		i++;
	buffer->memory = platform_virt(pieces[0].start);
	return i == buffer->piece_count ? STATUS_OK : platform_map(pieces, buffer->piece_count, &buffer->memory);
}

void dma_buffer_destroy(struct dma *dma, struct dma_buffer *buffer)
{
	const struct phys_range *last = &buffer->pieces[buffer->piece_count - 1];
	const bool guaranteed = buffer->guaranteed;

	if (buffer->memory != platform_virt(buffer->pieces[0].start))
		platform_unmap(buffer->memory, (buffer->piece_count - 1) * buffer->pieces[0].bytes + last->bytes);
	/*
	 * The record of a guaranteed buffer lies beside its first piece, and goes with it: it is
	 * another buffer's at once.
	 */
	for (uint32_t i = buffer->piece_count; i-- > 0;) {
		const struct phys_addr start = buffer->pieces[i].start;

		if (guaranteed)
			guarantee_give(dma->guarantee, start);
		else if (buffer->client)
			reclaim_blocks_free(dma->reclaim, start);
		else
			objcache_free(objcache_of(dma->reclaim->blocks, platform_virt(start)), platform_virt(start));
	}
	if (guaranteed)
		return;
	if (buffer->client)
		dma_client_put(dma, buffer->client);
	general_heap_free(dma->general, buffer);
}

status_t dma_buffer_finish(struct dma *dma, const struct dma_plan *plan, struct dma_buffer *buffer, struct dma_buffer **result)
{
	const status_t status = buffer_map(buffer);

	if (status != STATUS_OK) {
		dma_buffer_destroy(dma, buffer);
		return status;
	}
	buffer->segment_count =
		dma_plan_cut(plan, buffer->pieces, buffer->piece_count, (struct device_segment *)buffer->segments);
	if (plan->request->zero)
		memset(buffer->memory, 0, plan->bytes);
	atomic_store_explicit(&buffer->state, DMA_STATE_LIVE, memory_order_release);
	if (!dma_is_guaranteed_object(buffer)) {
		const uint64_t interrupts = guarantee_lock(dma->guarantee);

		list_insert_last(&dma->buffers, &buffer->link);
		guarantee_unlock(dma->guarantee, interrupts);
	}
	atomic_fetch_add_explicit(&dma->allocs, 1, memory_order_relaxed);
	*result = buffer;
	return STATUS_OK;
}

/* Allocates from the heaps, with as much reclaim as the request allows. */
static status_t ordinary_alloc(struct dma *dma, const struct dma_plan *plan, struct dma_buffer **result)
{
	struct dma_buffer *buffer;
	status_t status;

	if (!reclaim_could_give(dma->reclaim, &plan->run, plan->runs))
		return STATUS_RANGE;
	buffer = general_heap_alloc(dma->general, dma_record_bytes(plan->runs, plan->segments), 0);
	if (!buffer)
		return STATUS_NO_MEMORY;
	dma_record_init(buffer, plan, plan->runs, false);
	status = plan->small ? fill_object(dma, plan, buffer) : fill_blocks(dma, plan, buffer);
	if (status == STATUS_OK)
		return dma_buffer_finish(dma, plan, buffer, result);
	general_heap_free(dma->general, buffer);
	return status;
}

/* A coherent object lies within a block, and never comes from the guarantee. */
static status_t alloc(struct dma *dma, const struct device *device, const struct dma_request *request, bool coherent,
		      const char *site, struct dma_buffer **result)
{
	struct dma_plan plan;
	status_t status = dma_plan_make(device, request, &plan);

	if (coherent && (status != STATUS_OK || !plan.small))
		return STATUS_INVALID;
	if (status != STATUS_OK)
		return status;
	plan.site = site;
	plan.coherent = coherent;
	status = STATUS_NO_MEMORY; /* in handlers */
	if (!block_heap_must_fail(dma->reclaim->blocks, "dma", request->bytes)) {
		status = platform_in_handler() ? STATUS_NO_MEMORY : ordinary_alloc(dma, &plan, result);
		if (status != STATUS_OK && !coherent && dma_guaranteed_alloc(dma, &plan, result) == STATUS_OK)
			status = STATUS_OK;
		if (status == STATUS_NO_MEMORY && !reclaim_could_give(dma->reclaim, &plan.run, plan.runs))
			status = STATUS_RANGE;
	}
	if (status == STATUS_OK)
		return STATUS_OK;
	atomic_fetch_add_explicit(&dma->failures, 1, memory_order_relaxed);
	if (platform_may_sleep())
		log_debug("dma: %s: %llu bytes: %s", device->name, (unsigned long long)request->bytes, status_text(status));
	return status;
}

status_t dma_alloc_at(struct dma *dma, const struct device *device, const struct dma_request *request,
		      struct dma_buffer **buffer, const char *site)
{
	return alloc(dma, device, request, false, site, buffer);
}

/* Coherent objects ----------------------------------------------------------------------------- */

status_t dma_coherent_alloc_at(struct dma *dma, const struct device *device, size_t bytes, size_t alignment,
			       struct dma_coherent *coherent, const char *site)
{
	const struct dma_request request = {
		.bytes = bytes,
		.alignment_bytes = alignment,
		.segments_max = 1,
		.wait = MEMORY_WAIT_NEVER,
		.zero = true,
	};
	struct dma_buffer *buffer;
	const status_t status = alloc(dma, device, &request, true, site, &buffer);

	if (status == STATUS_OK)
		*coherent = (struct dma_coherent){ buffer->memory, buffer->segments[0].start, buffer };
	return status;
}

void dma_coherent_free(struct dma *dma, struct dma_coherent *coherent)
{
	if (coherent->memory)
		dma_free(dma, coherent->buffer);
	*coherent = (struct dma_coherent){ 0 };
}

/* For drivers ---------------------------------------------------------------------------------- */

uint64_t dma_device_leaks(struct dma *dma, const struct device *device)
{
	const struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t leaks = 0;

	for (dma_walk_begin(dma, device, false, &walk); (buffer = dma_walk_next(&walk));) {
		const struct dma_buffer left = *buffer;

		dma_walk_release(&walk);
		log_warn("dma: %s still has a %s of %llu bytes at %p, taken at %s", device->name,
			 left.coherent ? "coherent object" : "buffer", (unsigned long long)left.bytes, left.memory, left.site);
		leaks++;
	}
	return leaks;
}
