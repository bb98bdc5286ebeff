// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine's memory put together: each part gets pointers to those below it, and none knows struct
 * memory.
 */
#include "memory.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/*
 * Metadata beyond half of what the descriptors take: what the objcaches of the general heap and
 * this file need at first.
 */
#define SEED_BYTES (1024 * KIB)

status_t memory_objcache_init(struct memory *memory, struct objcache *cache, struct objcache_config config)
{
	config.source = &memory->reclaim.kernel_source.blocks;
	config.metadata = &memory->metadata;
	config.cleaners = &memory->reclaim.cleaners;
	return objcache_init(cache, &config);
}

/* Life ----------------------------------------------------------------------------------------- */

static uint64_t descriptors_bytes(const struct phys_range *ranges, uint32_t count)
{
	return align_up(block_heap_metadata_bytes(ranges, count), METADATA_CHUNK_MIN);
}

static uint64_t seed_bytes(uint64_t descriptors)
{
	return align_up(descriptors / 2, METADATA_CHUNK_MIN) + SEED_BYTES;
}

uint64_t memory_metadata_bytes(const struct phys_range *ranges, uint32_t count)
{
	const uint64_t descriptors = descriptors_bytes(ranges, count);

	return descriptors == 0 ? 0 : descriptors + seed_bytes(descriptors);
}

status_t memory_init(struct memory *memory, const struct memory_config *config, const struct phys_range *ranges, uint32_t count,
		     void *metadata)
{
	const uint64_t descriptors = descriptors_bytes(ranges, count);
	struct watermarks watermarks = config->watermarks;
	status_t status;

	if (watermarks.low_bytes < watermarks.min_bytes || watermarks.atomic_percent > 100 ||
	    (watermarks.high_bytes != 0 && watermarks.high_bytes < watermarks.low_bytes))
		return STATUS_INVALID;
	/*
	 * Watermarks are whole blocks, as memory is taken: or some would be free above low that no
	 * cache may take.
	 */
	watermarks.high_bytes = align_up(MAX(watermarks.high_bytes, watermarks.low_bytes), BLOCK_BYTES);
	watermarks.low_bytes = align_up(watermarks.low_bytes, BLOCK_BYTES);
	watermarks.min_bytes = align_up(watermarks.min_bytes, BLOCK_BYTES);
	memset(memory, 0, sizeof(*memory));
	status = block_heap_init(&memory->blocks, ranges, count, metadata);
	if (status != STATUS_OK)
		return status;
	metadata_heap_init(&memory->metadata, &memory->blocks, (char *)metadata + descriptors, seed_bytes(descriptors));
	status = reclaim_init(&memory->reclaim, &memory->blocks, &memory->metadata, &watermarks, config->trace_events);
	if (status != STATUS_OK)
		return status;
	tracked_heaps_init(&memory->tracked);
	const struct general_heap_config general = {
		.name = "general",
		.retain_bytes = config->general_retain_bytes,
		.guard = config->guard,
		.source = &memory->reclaim.kernel_source.blocks,
		.runs = &memory->reclaim.large_source.blocks,
		.metadata = &memory->metadata,
		.cleaners = &memory->reclaim.cleaners,
	};
	status = general_heap_init(&memory->general, &general);
	if (status == STATUS_OK)
		status = guarantee_init(&memory->guarantee, &memory->reclaim, memory_general_heap(memory), &config->guarantee);
	dma_init(&memory->dma, &memory->reclaim, &memory->guarantee, &memory->general, config->dma_retain_bytes);
	if (status == STATUS_OK)
		memory->own_bytes = general_heap_used_bytes(&memory->general);
	return status;
}

status_t memory_fini(struct memory *memory)
{
	/*
	 * A DMA buffer shows: its record belongs to the guarantee, or is an object of the general
	 * heap.
	 */
	if (!guarantee_is_idle(&memory->guarantee) || general_heap_used_bytes(&memory->general) != memory->own_bytes)
		return STATUS_BUSY;
	dma_fini(&memory->dma);
	guarantee_fini(&memory->guarantee);
	return general_heap_fini(&memory->general);
}

void memory_tracked_heap_init(struct memory *memory, struct tracked_heap *tracked, const char *owner)
{
	tracked_heap_init(tracked, &memory->tracked, &memory->general, owner);
}

bool memory_block_is_unused(struct memory *memory, struct phys_addr address)
{
	const struct block *block = block_heap_find(&memory->blocks, address);

	return block && (!block->taken || (block->cache && objcache_block_is_empty(block)));
}

void memory_set_fault_injector(struct memory *memory, struct fault_injector *fault)
{
	atomic_store_explicit(&memory->blocks.fault, fault, memory_order_release);
	objcaches_detach(&memory->blocks); /* so that the injector sees each allocation */
}
