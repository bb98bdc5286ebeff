// SPDX-License-Identifier: BSD-2-Clause
/*
 * Chunks in powers of two, one list of free chunks for each size. A free chunk holds the link to
 * the next one of its size. If none fits, a larger chunk is cut in halves, which are never merged
 * again.
 */
#include "metadata_heap.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

struct metadata_chunk {
	struct metadata_chunk *next;
};

static unsigned order_of(size_t bytes)
{
	return bytes <= METADATA_CHUNK_MIN ? 0 : log2_ceil(bytes) - log2_ceil(METADATA_CHUNK_MIN);
}

static size_t order_bytes(unsigned order)
{
	return (size_t)METADATA_CHUNK_MIN << order;
}

static void chunk_put(struct metadata_heap *metadata, void *memory, unsigned order)
{
	struct metadata_chunk *chunk = memory;

	chunk->next = metadata->free[order];
	metadata->free[order] = chunk;
}

/* Cuts the memory into chunks, the largest ones first. */
static void memory_add(struct metadata_heap *metadata, char *memory, uint64_t bytes)
{
	for (unsigned order = METADATA_ORDERS; order-- > 0;)
		for (; bytes >= order_bytes(order); bytes -= order_bytes(order), memory += order_bytes(order))
			chunk_put(metadata, memory, order);
}

void metadata_heap_init(struct metadata_heap *metadata, struct block_heap *heap, void *seed, uint64_t seed_bytes)
{
	memset(metadata, 0, sizeof(*metadata));
	spinlock_init(&metadata->lock, "metadata heap");
	owner_init(&metadata->owner, "metadata", false);
	metadata->heap = heap;
	memory_add(metadata, seed, seed_bytes);
}

static bool refill(struct metadata_heap *metadata)
{
	const struct run_request request = { .blocks = 1, .owner = &metadata->owner };
	struct phys_addr block;

	if (block_heap_alloc(metadata->heap, &request, &block) != STATUS_OK)
		return false;
	memory_add(metadata, platform_virt(block), BLOCK_BYTES);
	return true;
}

/* Takes the smallest free chunk that is large enough, and frees the rest of it in halves. */
static void *chunk_take(struct metadata_heap *metadata, unsigned order)
{
	struct metadata_chunk *chunk;
	unsigned larger = order;

	while (larger < METADATA_ORDERS && !metadata->free[larger])
		larger++;
	if (larger == METADATA_ORDERS)
		return NULL;
	chunk = metadata->free[larger];
	metadata->free[larger] = chunk->next;
	while (larger-- > order)
		chunk_put(metadata, (char *)chunk + order_bytes(larger), larger);
	return chunk;
}

void *metadata_heap_alloc(struct metadata_heap *metadata, size_t bytes)
{
	const unsigned order = order_of(bytes);
	void *chunk;

	if (bytes > METADATA_CHUNK_MAX || block_heap_must_fail(metadata->heap, "metadata", bytes))
		return NULL;
	spinlock_lock(&metadata->lock);
	chunk = chunk_take(metadata, order);
	if (!chunk && refill(metadata))
		chunk = chunk_take(metadata, order);
	if (chunk)
		metadata->used_bytes += order_bytes(order);
	spinlock_unlock(&metadata->lock);
	if (chunk)
		memset(chunk, 0, order_bytes(order));
	return chunk;
}

void metadata_heap_free(struct metadata_heap *metadata, void *chunk, size_t bytes)
{
	const unsigned order = order_of(bytes);

	if (!chunk)
		return;
	spinlock_lock(&metadata->lock);
	chunk_put(metadata, chunk, order);
	metadata->used_bytes -= order_bytes(order);
	spinlock_unlock(&metadata->lock);
}
