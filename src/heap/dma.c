#include "dma.h"

#include "dma_state.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

/* Small objects --------------------------------------------------------------------------------------------------------- */

/* An object of the device's zone; when the zone has none, it grows by a block that is waited for as the request says. */
static status_t small_alloc(struct memory *memory, const struct device *device, uint64_t bytes, uint64_t alignment,
			    enum memory_wait wait, uint64_t deadline_ns, void **object)
{
	struct dma_zone *zone = dma_zone_get(memory, device);

	if (!zone)
		return STATUS_NO_MEMORY;
	struct memory_source source = zone->source;
	struct objcache *cache = general_heap_cache(&zone->heap, bytes, alignment);
	source.wait = wait;
	source.deadline_ns = deadline_ns;
	while (!(*object = objcache_alloc_held(cache))) {
		const status_t status = objcache_grow(cache, &source.blocks);

		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}

static void small_free(struct memory *memory, void *object)
{
	struct objcache *cache = objcache_of(&memory->blocks, object);

	if (!cache)
		platform_panic("dma: free of %p, which is no DMA memory", object);
	objcache_free(cache, object);
}

/* Buffers --------------------------------------------------------------------------------------------------------------- */

/* The buffer and its lists are one allocation. */
static struct dma_buffer *buffer_new(struct memory *memory, const struct dma_plan *plan, struct phys_range **pieces,
				     struct device_segment **segments)
{
	const uint64_t piece_count = plan->small ? 1 : plan->runs + (plan->last_blocks != 0);
	const uint64_t list_bytes = piece_count * sizeof(**pieces) + plan->segments * sizeof(**segments);
	struct dma_buffer *buffer = general_heap_alloc(&memory->general, sizeof(*buffer) + list_bytes, 0);

	if (!buffer)
		return NULL;
	memset(buffer, 0, sizeof(*buffer));
	*pieces = (struct phys_range *)(buffer + 1);
	*segments = (struct device_segment *)(*pieces + piece_count);
	buffer->pieces = *pieces;
	buffer->segments = *segments;
	buffer->small = plan->small;
	list_init(&buffer->link);
	return buffer;
}

static void pieces_free(struct memory *memory, const struct phys_range *pieces, uint32_t count)
{
	while (count > 0)
		dma_piece_free(memory, pieces[--count].start);
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

static status_t blocks_alloc(struct memory *memory, const struct dma_request *request, const struct dma_plan *plan,
			     struct owner *owner, struct phys_range *pieces)
{
	struct memory_request blocks = {
		.blocks = plan->run_blocks,
		.constraints = plan->constraints,
		.owner = owner,
		.wait = request->wait,
		.deadline_ns = request->deadline_ns,
	};
	struct phys_range *last = &pieces[plan->runs];
	status_t status;

	status = memory_blocks_alloc_many(memory, &blocks, plan->runs, (struct phys_addr *)pieces);
	if (status != STATUS_OK)
		return status;
	runs_sort((struct phys_addr *)pieces, plan->runs);
	pieces_spread(pieces, (const struct phys_addr *)pieces, plan->runs, plan->run_blocks << BLOCK_SHIFT);
	if (plan->last_blocks == 0)
		return STATUS_OK;
	blocks.blocks = plan->last_blocks;
	last->bytes = plan->last_blocks << BLOCK_SHIFT;
	status = memory_blocks_alloc(memory, &blocks, &last->start);
	if (status != STATUS_OK)
		pieces_free(memory, pieces, plan->runs);
	return status;
}

static status_t buffer_fill_small(struct memory *memory, const struct device *device, const struct dma_request *request,
				  const struct dma_plan *plan, struct dma_buffer *buffer, struct phys_range *pieces)
{
	status_t status;

	status = small_alloc(memory, device, plan->bytes, plan->constraints.alignment_bytes, request->wait,
			     request->deadline_ns, &buffer->memory);
	if (status != STATUS_OK)
		return status;
	pieces[0] = (struct phys_range){ platform_phys(buffer->memory), plan->bytes };
	buffer->piece_count = 1;
	return STATUS_OK;
}

static status_t buffer_fill_blocks(struct memory *memory, const struct dma_request *request, const struct dma_plan *plan,
				   struct dma_buffer *buffer, struct phys_range *pieces)
{
	const uint32_t count = plan->runs + (plan->last_blocks != 0);
	status_t status;

	if (count > 1 && !platform_may_sleep())
		return STATUS_NO_MEMORY;
	status = blocks_alloc(memory, request, plan, &buffer->client->owner, pieces);
	if (status != STATUS_OK && dma_guaranteed_pieces(memory, buffer->device, plan, pieces) != STATUS_OK)
		return status;
	buffer->piece_count = count;
	if (pieces_are_adjacent(pieces, count)) {
		buffer->memory = platform_virt(pieces[0].start);
		return STATUS_OK;
	}
	status = platform_map(pieces, count, &buffer->mapping);
	if (status != STATUS_OK) {
		pieces_free(memory, pieces, count);
		return status;
	}
	for (uint32_t i = 0; i < count; i++)
		buffer->mapping_bytes += pieces[i].bytes;
	buffer->memory = buffer->mapping;
	return STATUS_OK;
}

static void buffer_publish(struct memory *memory, struct dma_buffer *buffer)
{
	struct dma *dma = memory->dma;

	atomic_fetch_add_explicit(&dma->allocs, 1, memory_order_relaxed);
	spinlock_lock(&dma->lock);
	list_insert_last(&buffer->client->buffers, &buffer->link);
	buffer->client->buffer_bytes += buffer->bytes;
	spinlock_unlock(&dma->lock);
}

static status_t buffer_alloc(struct memory *memory, struct dma_client *client, const struct dma_request *request,
			     const struct dma_plan *plan, const char *site, struct dma_buffer **result)
{
	struct device_segment *segments;
	struct phys_range *pieces;
	struct dma_buffer *buffer;
	status_t status;

	buffer = buffer_new(memory, plan, &pieces, &segments);
	if (!buffer)
		return STATUS_NO_MEMORY;
	buffer->bytes = request->bytes;
	buffer->site = site;
	buffer->device = client->device;
	buffer->client = client;
	if (plan->small)
		status = buffer_fill_small(memory, client->device, request, plan, buffer, pieces);
	else
		status = buffer_fill_blocks(memory, request, plan, buffer, pieces);
	if (status != STATUS_OK) {
		general_heap_free(&memory->general, buffer);
		return status;
	}
	buffer->segment_count = dma_plan_cut(plan, pieces, buffer->piece_count, segments);
	if (request->zero)
		memset(buffer->memory, 0, plan->bytes);
	buffer_publish(memory, buffer);
	*result = buffer;
	return STATUS_OK;
}

static status_t failed(struct memory *memory, const struct device *device, uint64_t bytes, status_t status)
{
	atomic_fetch_add_explicit(&memory->dma->failures, 1, memory_order_relaxed);
	if (!platform_in_handler())
		log_debug("dma: %s: %llu bytes: %s", device->name, (unsigned long long)bytes, status_text(status));
	return status;
}

/* From the heaps, with whatever reclaim the request allows. */
static status_t ordinary_alloc(struct memory *memory, const struct device *device, const struct dma_request *request,
			       const struct dma_plan *plan, const char *site, struct dma_buffer **buffer)
{
	struct dma_client *client;
	status_t status;

	if (platform_in_handler())
		return STATUS_NO_MEMORY;
	client = dma_client_get(memory, device);
	if (!client)
		return STATUS_NO_MEMORY;
	status = buffer_alloc(memory, client, request, plan, site, buffer);
	if (status != STATUS_OK)
		dma_client_put(memory, client);
	return status;
}

status_t dma_alloc_at(struct memory *memory, const struct device *device, const struct dma_request *request,
		      struct dma_buffer **buffer, const char *site)
{
	struct dma_plan plan;
	status_t status;

	status = dma_plan_make(device, request, &plan);
	if (status != STATUS_OK)
		return status;
	if (plan.bytes > memory_total_bytes(memory))
		return STATUS_RANGE;
	if (block_heap_must_fail(&memory->blocks, "dma", request->bytes))
		return failed(memory, device, request->bytes, STATUS_NO_MEMORY);
	status = ordinary_alloc(memory, device, request, &plan, site, buffer);
	if (status == STATUS_NO_MEMORY || status == STATUS_TIMEOUT)
		if (dma_guaranteed_alloc(memory, device, request, &plan, site, buffer) == STATUS_OK)
			status = STATUS_OK;
	return status == STATUS_OK ? STATUS_OK : failed(memory, device, request->bytes, status);
}

void dma_buffer_unlist_locked(struct dma_buffer *buffer)
{
	list_remove(&buffer->link);
	buffer->client->buffer_bytes -= buffer->bytes;
}

void dma_buffer_destroy(struct memory *memory, struct dma_buffer *buffer)
{
	struct dma_client *client = buffer->client;

	if (buffer->mapping)
		platform_unmap(buffer->mapping, buffer->mapping_bytes);
	if (buffer->small)
		small_free(memory, buffer->memory);
	else
		pieces_free(memory, buffer->pieces, buffer->piece_count);
	general_heap_free(&memory->general, buffer);
	dma_client_put(memory, client);
}

void dma_free(struct memory *memory, struct dma_buffer *buffer)
{
	bool stays;

	if (!buffer || dma_guaranteed_free(memory, buffer))
		return;
	spinlock_lock(&memory->dma->lock);
	stays = buffer->client->quarantined;
	if (!stays)
		dma_buffer_unlist_locked(buffer);
	spinlock_unlock(&memory->dma->lock);
	if (!stays)
		dma_buffer_destroy(memory, buffer);
}

/* Coherent objects ------------------------------------------------------------------------------------------------------ */

static struct dma_object *object_new(struct memory *memory, struct dma_client *client, void *object, size_t bytes,
				     const char *site)
{
	struct dma_object *record = general_heap_alloc(&memory->general, sizeof(*record), 0);

	if (!record)
		return NULL;
	*record = (struct dma_object){ .client = client, .memory = object, .bytes = bytes, .site = site };
	spinlock_lock(&memory->dma->lock);
	list_insert_last(&client->objects, &record->link);
	client->coherent_objects++;
	client->coherent_bytes += bytes;
	spinlock_unlock(&memory->dma->lock);
	return record;
}

void dma_object_unlist_locked(struct dma_object *object)
{
	list_remove(&object->link);
	object->client->coherent_objects--;
	object->client->coherent_bytes -= object->bytes;
}

void dma_object_destroy(struct memory *memory, struct dma_object *object)
{
	struct dma_client *client = object->client;

	small_free(memory, object->memory);
	general_heap_free(&memory->general, object);
	dma_client_put(memory, client);
}

status_t dma_coherent_alloc_at(struct memory *memory, const struct device *device, size_t bytes, size_t alignment,
			       struct dma_coherent *coherent, const char *site)
{
	struct dma_object *record;
	struct dma_client *client;
	status_t status;
	void *object;

	if (bytes == 0 || bytes > OBJCACHE_OBJECT_MAX || alignment > OBJCACHE_OBJECT_MAX ||
	    !is_power_of_two(MAX(alignment, 1)) || device->dma_mask == 0 || device->dma_lowest > device->dma_mask)
		return STATUS_INVALID;
	if (block_heap_must_fail(&memory->blocks, "dma", bytes))
		return failed(memory, device, bytes, STATUS_NO_MEMORY);
	client = dma_client_get(memory, device);
	if (!client)
		return failed(memory, device, bytes, STATUS_NO_MEMORY);
	status = small_alloc(memory, device, bytes, alignment, MEMORY_WAIT_NEVER, 0, &object);
	if (status != STATUS_OK)
		goto failed;
	record = object_new(memory, client, object, bytes, site);
	if (!record) {
		small_free(memory, object);
		status = STATUS_NO_MEMORY;
		goto failed;
	}
	memset(object, 0, bytes);
	*coherent = (struct dma_coherent){ object, { platform_phys(object).value }, bytes, device, record };
	return STATUS_OK;
failed:
	dma_client_put(memory, client);
	return failed(memory, device, bytes, status);
}

void dma_coherent_free(struct memory *memory, struct dma_coherent *coherent)
{
	struct dma_object *object = coherent->object;
	bool stays;

	if (!coherent->memory)
		return;
	spinlock_lock(&memory->dma->lock);
	stays = object->client->quarantined;
	if (!stays)
		dma_object_unlist_locked(object);
	spinlock_unlock(&memory->dma->lock);
	if (!stays)
		dma_object_destroy(memory, object);
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
	uint64_t leaks = dma_guaranteed_leaks(memory, device);

	spinlock_lock(&memory->dma->lock);
	list_for_each (link, &memory->dma->clients) {
		const struct dma_client *client = container_of(link, struct dma_client, link);

		if (client->device != device || client->quarantined)
			continue;
		list_for_each (entry, &client->buffers) {
			const struct dma_buffer *buffer = container_of(entry, struct dma_buffer, link);

			log_warn("dma: %s still has a buffer of %llu bytes at %p, taken at %s", device->name,
				 (unsigned long long)buffer->bytes, buffer->memory, buffer->site);
			leaks++;
		}
		list_for_each (entry, &client->objects) {
			const struct dma_object *object = container_of(entry, struct dma_object, link);

			log_warn("dma: %s still has a coherent object of %llu bytes at %p, taken at %s", device->name,
				 (unsigned long long)object->bytes, object->memory, object->site);
			leaks++;
		}
	}
	spinlock_unlock(&memory->dma->lock);
	return leaks;
}
