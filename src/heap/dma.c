/*
 * Requests. An ordinary one is served by the device's zone or by runs of blocks, with what reclaim gives; where that fails, or
 * nothing may be waited for, by the guarantee. A coherent object is a buffer of one segment that never waits.
 */
#include "dma_state.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* Small objects --------------------------------------------------------------------------------------------------------- */

/* An object of the device's zone; when the zone has none, it grows by a block that is waited for as the request says. */
static status_t fill_object(struct memory *memory, const struct dma_plan *plan, struct dma_buffer *buffer)
{
	struct dma_zone *zone = dma_zone_get(memory, plan->device);
	status_t status = STATUS_OK;

	if (!zone)
		return STATUS_NO_MEMORY;
	struct memory_source source = zone->source;
	struct objcache *cache = general_heap_cache(&zone->heap, plan->bytes, plan->constraints.alignment_bytes);
	source.wait = plan->request->wait;
	source.deadline_ns = plan->request->deadline_ns;
	while (status == STATUS_OK && !(buffer->memory = objcache_alloc_held(cache)))
		status = objcache_grow(cache, &source.blocks);
	if (status == STATUS_OK)
		*(struct phys_range *)buffer->pieces = (struct phys_range){ platform_phys(buffer->memory), plan->bytes };
	return status;
}

static void small_free(struct memory *memory, void *object)
{
	struct objcache *cache = objcache_of(&memory->blocks, object);

	if (!cache)
		platform_panic("dma: free of %p, which is no DMA memory", object);
	objcache_free(cache, object);
}

/* Buffers --------------------------------------------------------------------------------------------------------------- */

static void pieces_free(struct memory *memory, const struct phys_range *pieces, uint32_t count)
{
	while (count > 0)
		memory_blocks_free(memory, pieces[--count].start);
}

/* Addresses lie in the first half of the room for pieces, and are spread out from the last one on. */
static void pieces_spread(struct phys_range *pieces, const struct phys_addr *runs, uint32_t count, uint64_t bytes)
{
	while (count > 0) {
		const struct phys_addr start = runs[--count];

		pieces[count] = (struct phys_range){ start, bytes };
	}
}

/* In order of address, many runs turn out to be adjacent: fewer segments, and often no mapping. */
static void runs_sort(struct phys_addr *runs, uint32_t count)
{
	for (uint32_t gap = count / 2; gap > 0; gap /= 2) {
		for (uint32_t i = gap; i < count; i++) {
			const struct phys_addr run = runs[i];
			uint32_t place = i;

			for (; place >= gap && runs[place - gap].value > run.value; place -= gap)
				runs[place] = runs[place - gap];
			runs[place] = run;
		}
	}
}

static bool pieces_are_adjacent(const struct phys_range *pieces, uint32_t count)
{
	for (uint32_t i = 1; i < count; i++)
		if (pieces[i - 1].start.value + pieces[i - 1].bytes != pieces[i].start.value)
			return false;
	return true;
}

static status_t blocks_alloc(struct memory *memory, const struct dma_plan *plan, struct owner *owner, struct phys_range *pieces)
{
	const struct memory_request blocks = {
		.blocks = plan->run_blocks,
		.last_blocks = plan->last_blocks,
		.constraints = plan->constraints,
		.owner = owner,
		.wait = plan->request->wait,
		.deadline_ns = plan->request->deadline_ns,
	};
	const bool last = plan->last_blocks != 0;
	struct phys_addr *runs = (struct phys_addr *)pieces;
	const status_t status = memory_blocks_alloc_many(memory, &blocks, plan->runs, runs);

	if (status != STATUS_OK)
		return status;
	runs_sort(runs, plan->runs - last);
	pieces_spread(pieces, runs, plan->runs, plan->run_blocks << BLOCK_SHIFT);
	if (last)
		pieces[plan->runs - 1].bytes = plan->last_blocks << BLOCK_SHIFT;
	return STATUS_OK;
}

status_t dma_buffer_map(struct dma_buffer *buffer)
{
	status_t status = STATUS_OK;

	if (pieces_are_adjacent(buffer->pieces, buffer->piece_count)) {
		buffer->memory = platform_virt(buffer->pieces[0].start);
		return STATUS_OK;
	}
	status = platform_map(buffer->pieces, buffer->piece_count, &buffer->memory);
	buffer->mapped = status == STATUS_OK;
	return status;
}

static status_t fill_blocks(struct memory *memory, const struct dma_plan *plan, struct dma_buffer *buffer)
{
	struct phys_range *pieces = (struct phys_range *)buffer->pieces;
	status_t status;

	if (buffer->piece_count > 1 && !platform_may_sleep())
		return STATUS_NO_MEMORY;
	status = blocks_alloc(memory, plan, &buffer->client->owner, pieces);
	if (status != STATUS_OK)
		return status;
	status = dma_buffer_map(buffer);
	if (status != STATUS_OK)
		pieces_free(memory, pieces, buffer->piece_count);
	return status;
}

void dma_buffer_finish(struct memory *memory, const struct dma_plan *plan, struct dma_buffer *buffer)
{
	buffer->segment_count =
		dma_plan_cut(plan, buffer->pieces, buffer->piece_count, (struct device_segment *)buffer->segments);
	if (plan->request->zero)
		memset(buffer->memory, 0, plan->bytes);
	atomic_store_explicit(&buffer->state, DMA_STATE_LIVE, memory_order_release);
	atomic_fetch_add_explicit(&memory->dma->allocs, 1, memory_order_relaxed);
}

static status_t buffer_alloc(struct memory *memory, struct dma_client *client, const struct dma_plan *plan,
			     struct dma_buffer **result)
{
	const uint32_t pieces = plan->runs;
	struct dma_buffer *buffer = general_heap_alloc(&memory->general, dma_record_bytes(pieces, plan->segments), 0);
	status_t status;

	if (!buffer)
		return STATUS_NO_MEMORY;
	dma_record_init(buffer, plan, pieces, plan->small ? DMA_SOURCE_OBJECT : DMA_SOURCE_BLOCKS);
	buffer->client = client;
	status = plan->small ? fill_object(memory, plan, buffer) : fill_blocks(memory, plan, buffer);
	if (status != STATUS_OK) {
		general_heap_free(&memory->general, buffer);
		return status;
	}
	const uint64_t interrupts = guarantee_lock(&memory->guarantee);
	dma_record_insert_locked(memory, buffer);
	guarantee_unlock(&memory->guarantee, interrupts);
	dma_buffer_finish(memory, plan, buffer);
	*result = buffer;
	return STATUS_OK;
}

static bool could_succeed(struct memory *memory, const struct dma_plan *plan)
{
	const struct memory_request request = {
		.blocks = plan->run_blocks,
		.last_blocks = plan->last_blocks,
		.constraints = plan->constraints,
	};

	return memory_could_give(memory, &request, plan->runs);
}

/* From the heaps, with what reclaim the request allows. */
static status_t ordinary_alloc(struct memory *memory, const struct dma_plan *plan, struct dma_buffer **buffer)
{
	struct dma_client *client;
	status_t status;

	if (platform_in_handler())
		return STATUS_NO_MEMORY;
	if (!could_succeed(memory, plan))
		return STATUS_RANGE;
	client = dma_client_get(memory, plan->device);
	if (!client)
		return STATUS_NO_MEMORY;
	status = buffer_alloc(memory, client, plan, buffer);
	if (status != STATUS_OK)
		dma_client_put(memory, client);
	return status;
}

/* A coherent object is never one of the guarantee's. */
static status_t alloc(struct memory *memory, const struct dma_plan *plan, struct dma_buffer **buffer)
{
	status_t status = STATUS_NO_MEMORY;

	if (!block_heap_must_fail(&memory->blocks, "dma", plan->request->bytes)) {
		status = ordinary_alloc(memory, plan, buffer);
		if (status != STATUS_OK && !plan->coherent && dma_guaranteed_alloc(memory, plan, buffer) == STATUS_OK)
			status = STATUS_OK;
		if (status == STATUS_NO_MEMORY && !could_succeed(memory, plan))
			status = STATUS_RANGE;
	}
	if (status == STATUS_OK)
		return STATUS_OK;
	atomic_fetch_add_explicit(&memory->dma->failures, 1, memory_order_relaxed);
	if (platform_may_sleep())
		log_debug("dma: %s: %llu bytes: %s", plan->device->name, (unsigned long long)plan->request->bytes,
			  status_text(status));
	return status;
}

status_t dma_alloc_at(struct memory *memory, const struct device *device, const struct dma_request *request,
		      struct dma_buffer **buffer, const char *site)
{
	struct dma_plan plan;
	const status_t status = dma_plan_make(device, request, &plan);

	if (status != STATUS_OK)
		return status;
	plan.site = site;
	return alloc(memory, &plan, buffer);
}

/* The record of a guaranteed buffer lies beside its first piece, and goes with it. */
static void guaranteed_give(struct memory *memory, const struct dma_buffer *buffer)
{
	for (uint32_t i = buffer->piece_count; i > 0; i--)
		guarantee_give(&memory->guarantee, buffer->pieces[i - 1].start);
}

void dma_buffer_destroy(struct memory *memory, struct dma_buffer *buffer)
{
	struct dma_client *client = buffer->client;

	if (buffer->mapped)
		platform_unmap(buffer->memory, (buffer->piece_count - 1) * buffer->pieces[0].bytes +
						       buffer->pieces[buffer->piece_count - 1].bytes);
	if (buffer->source == DMA_SOURCE_GUARANTEED) {
		guaranteed_give(memory, buffer);
		return;
	}
	if (buffer->source == DMA_SOURCE_OBJECT)
		small_free(memory, buffer->memory);
	else
		pieces_free(memory, buffer->pieces, buffer->piece_count);
	general_heap_free(&memory->general, buffer);
	dma_client_put(memory, client);
}

void dma_free(struct memory *memory, struct dma_buffer *buffer)
{
	if (buffer && dma_record_event(memory, buffer, DMA_EVENT_FREE))
		dma_buffer_destroy(memory, buffer);
}

/* Coherent objects ------------------------------------------------------------------------------------------------------ */

status_t dma_coherent_alloc_at(struct memory *memory, const struct device *device, size_t bytes, size_t alignment,
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
	struct dma_plan plan;
	status_t status;

	if (dma_plan_make(device, &request, &plan) != STATUS_OK || !plan.small)
		return STATUS_INVALID;
	plan.site = site;
	plan.coherent = true;
	status = alloc(memory, &plan, &buffer);
	if (status != STATUS_OK)
		return status;
	*coherent = (struct dma_coherent){ buffer->memory, buffer->segments[0].start, bytes, device, buffer };
	return STATUS_OK;
}

void dma_coherent_free(struct memory *memory, struct dma_coherent *coherent)
{
	if (coherent->memory)
		dma_free(memory, coherent->buffer);
	*coherent = (struct dma_coherent){ 0 };
}

/* For drivers ----------------------------------------------------------------------------------------------------------- */

status_t dma_address(const struct device *device, struct phys_addr address, uint64_t bytes, struct device_addr *result)
{
	if (bytes == 0 || address.value < device->dma_lowest || address.value > device->dma_mask ||
	    bytes - 1 > device->dma_mask - address.value)
		return STATUS_RANGE;
	*result = (struct device_addr){ address.value };
	return STATUS_OK;
}

uint64_t dma_device_leaks(struct memory *memory, const struct device *device)
{
	const struct dma_buffer *buffer;
	struct dma_walk walk;
	uint64_t leaks = 0;

	for (dma_walk_begin(memory, &walk); (buffer = dma_walk_next(&walk));) {
		const struct dma_buffer left = *buffer;

		dma_walk_release(&walk);
		if (left.device != device || dma_is_quarantined(&left))
			continue;
		log_warn("dma: %s still has a %s of %llu bytes at %p, taken at %s", device->name,
			 left.coherent ? "coherent object" : "buffer", (unsigned long long)left.bytes, left.memory, left.site);
		leaks++;
	}
	return leaks;
}
