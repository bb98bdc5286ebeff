// SPDX-License-Identifier: BSD-2-Clause
/*
 * Chunks in powers of two, one list of free chunks for each size. A free chunk holds the link to
 * the next one of its size. If none fits, a larger chunk is cut in halves, which are never merged
 * again.
 */
#include "bookkeeping.h"

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

struct bookkeeping_chunk {
	struct bookkeeping_chunk *next;
};

static unsigned order_of(size_t bytes)
{
	return bytes <= BOOKKEEPING_CHUNK_MIN ? 0 : log2_ceil(bytes) - log2_ceil(BOOKKEEPING_CHUNK_MIN);
}

static size_t order_bytes(unsigned order)
{
	return (size_t)BOOKKEEPING_CHUNK_MIN << order;
}

static void chunk_put(struct bookkeeping *bookkeeping, void *memory, unsigned order)
{
	struct bookkeeping_chunk *chunk = memory;

	chunk->next = bookkeeping->free[order];
	bookkeeping->free[order] = chunk;
}

/* Cuts the memory into chunks, the largest ones first. */
static void memory_add(struct bookkeeping *bookkeeping, char *memory, uint64_t bytes)
{
	for (unsigned order = BOOKKEEPING_ORDERS; order-- > 0;)
		for (; bytes >= order_bytes(order); bytes -= order_bytes(order), memory += order_bytes(order))
			chunk_put(bookkeeping, memory, order);
}

void bookkeeping_init(struct bookkeeping *bookkeeping, struct block_heap *heap, void *seed, uint64_t seed_bytes)
{
	memset(bookkeeping, 0, sizeof(*bookkeeping));
	spinlock_init(&bookkeeping->lock, "bookkeeping");
	owner_init(&bookkeeping->owner, "bookkeeping", false);
	bookkeeping->heap = heap;
	memory_add(bookkeeping, seed, seed_bytes);
}

static bool refill(struct bookkeeping *bookkeeping)
{
	const struct run_request request = { .blocks = 1, .owner = &bookkeeping->owner };
	struct phys_addr block;

	if (block_heap_alloc(bookkeeping->heap, &request, &block) != STATUS_OK)
		return false;
	memory_add(bookkeeping, platform_virt(block), BLOCK_BYTES);
	return true;
}

/* Takes the smallest free chunk that is large enough, and frees the rest of it in halves. */
static void *chunk_take(struct bookkeeping *bookkeeping, unsigned order)
{
	struct bookkeeping_chunk *chunk;
	unsigned larger = order;

	while (larger < BOOKKEEPING_ORDERS && !bookkeeping->free[larger])
		larger++;
	if (larger == BOOKKEEPING_ORDERS)
		return NULL;
	chunk = bookkeeping->free[larger];
	bookkeeping->free[larger] = chunk->next;
	while (larger-- > order)
		chunk_put(bookkeeping, (char *)chunk + order_bytes(larger), larger);
	return chunk;
}

void *bookkeeping_alloc(struct bookkeeping *bookkeeping, size_t bytes)
{
	const unsigned order = order_of(bytes);
	void *chunk;

	if (bytes > BOOKKEEPING_CHUNK_MAX || block_heap_must_fail(bookkeeping->heap, "bookkeeping", bytes))
		return NULL;
	spinlock_lock(&bookkeeping->lock);
	chunk = chunk_take(bookkeeping, order);
	if (!chunk && refill(bookkeeping))
		chunk = chunk_take(bookkeeping, order);
	if (chunk)
		bookkeeping->used_bytes += order_bytes(order);
	spinlock_unlock(&bookkeeping->lock);
	if (chunk)
		memset(chunk, 0, order_bytes(order));
	return chunk;
}

void bookkeeping_free(struct bookkeeping *bookkeeping, void *chunk, size_t bytes)
{
	const unsigned order = order_of(bytes);

	if (!chunk)
		return;
	spinlock_lock(&bookkeeping->lock);
	chunk_put(bookkeeping, chunk, order);
	bookkeeping->used_bytes -= order_bytes(order);
	spinlock_unlock(&bookkeeping->lock);
}
