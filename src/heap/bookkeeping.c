/* A free chunk holds the link to the next one; nothing but its own size class knows it. A larger chunk is cut when none fits.
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

void bookkeeping_init(struct bookkeeping *bookkeeping, struct block_heap *heap, void *seed, uint64_t seed_bytes)
{
	memset(bookkeeping, 0, sizeof(*bookkeeping));
	spinlock_init(&bookkeeping->lock, "bookkeeping");
	owner_init(&bookkeeping->owner, "bookkeeping", false);
	bookkeeping->heap = heap;
	bookkeeping->fresh = seed;
	bookkeeping->fresh_end = bookkeeping->fresh + align_down(seed_bytes, BOOKKEEPING_CHUNK_MIN);
}

static void chunk_put(struct bookkeeping *bookkeeping, void *memory, unsigned order)
{
	struct bookkeeping_chunk *chunk = memory;

	chunk->next = bookkeeping->free[order];
	bookkeeping->free[order] = chunk;
}

static void *chunk_take(struct bookkeeping *bookkeeping, unsigned order)
{
	struct bookkeeping_chunk *chunk = bookkeeping->free[order];

	bookkeeping->free[order] = chunk->next;
	return chunk;
}

/* Takes from the smallest larger free chunk and frees the rest of it in halves. */
static void *chunk_cut(struct bookkeeping *bookkeeping, unsigned order)
{
	for (unsigned larger = order; larger < BOOKKEEPING_ORDERS; larger++) {
		if (!bookkeeping->free[larger])
			continue;
		char *chunk = chunk_take(bookkeeping, larger);
		while (larger > order) {
			larger--;
			chunk_put(bookkeeping, chunk + order_bytes(larger), larger);
		}
		return chunk;
	}
	return NULL;
}

/* Frees what is left of the fresh memory and replaces it by a block. */
static bool fresh_refill(struct bookkeeping *bookkeeping)
{
	const struct run_request request = { .blocks = 1, .owner = &bookkeeping->owner };
	struct phys_addr block;

	if (block_heap_alloc(bookkeeping->heap, &request, &block) != STATUS_OK)
		return false;
	for (unsigned order = BOOKKEEPING_ORDERS; order-- > 0;) {
		while ((size_t)(bookkeeping->fresh_end - bookkeeping->fresh) >= order_bytes(order)) {
			chunk_put(bookkeeping, bookkeeping->fresh, order);
			bookkeeping->fresh += order_bytes(order);
		}
	}
	bookkeeping->fresh = platform_virt(block);
	bookkeeping->fresh_end = bookkeeping->fresh + BLOCK_BYTES;
	return true;
}

static void *chunk_fresh(struct bookkeeping *bookkeeping, unsigned order)
{
	char *chunk;

	if ((size_t)(bookkeeping->fresh_end - bookkeeping->fresh) < order_bytes(order) && !fresh_refill(bookkeeping))
		return NULL;
	chunk = bookkeeping->fresh;
	bookkeeping->fresh += order_bytes(order);
	return chunk;
}

void *bookkeeping_alloc(struct bookkeeping *bookkeeping, size_t bytes)
{
	const unsigned order = order_of(bytes);
	void *chunk;

	if (bytes > BOOKKEEPING_CHUNK_MAX || block_heap_must_fail(bookkeeping->heap, "bookkeeping", bytes))
		return NULL;
	spinlock_lock(&bookkeeping->lock);
	chunk = chunk_cut(bookkeeping, order);
	if (!chunk)
		chunk = chunk_fresh(bookkeeping, order);
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
