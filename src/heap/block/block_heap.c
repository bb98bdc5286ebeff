// SPDX-License-Identifier: BSD-2-Clause
/*
 * Descriptors, owners, and runs that change hands. The bitmap decides first: a run whose bits are
 * clear belongs to the request that cleared them, and a run is free only when its bits are set. So
 * the descriptors of a long run change in pieces, and the lock is released between two pieces.
 */
#include "block_heap.h"

#include "block_search.h"
#include "eviction_cost.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define PIECE_BLOCKS 512u /* blocks that change hands in one hold of the lock */
#define SEARCHES     4    /* searches for a run that is still free when it is taken */

/*
 * Block numbers (address >> BLOCK_SHIFT) of the whole blocks in a range. Block 0 is left out: its
 * address is NULL.
 */
static struct block_range range_blocks(const struct phys_range *range)
{
	return (struct block_range){
		.first = MAX(divide_round_up(range->start.value, BLOCK_BYTES), 1),
		.end = (range->start.value + range->bytes) >> BLOCK_SHIFT,
	};
}

static struct block_range ranges_extent(const struct phys_range *ranges, uint32_t count)
{
	struct block_range extent = { UINT64_MAX, 0 };

	for (uint32_t i = 0; i < count; i++) {
		const struct block_range blocks = range_blocks(&ranges[i]);

		if (blocks.first >= blocks.end)
			continue;
		extent.first = MIN(extent.first, blocks.first);
		extent.end = MAX(extent.end, blocks.end);
	}
	return extent;
}

uint64_t block_heap_metadata_bytes(const struct phys_range *ranges, uint32_t count)
{
	const struct block_range extent = ranges_extent(ranges, count);

	if (extent.first >= extent.end)
		return 0;
	const uint64_t blocks = extent.end - extent.first;
	const uint64_t words = bitmap_words(blocks);
	return blocks * sizeof(struct block) + count * sizeof(struct phys_range) +
	       (2 * words + bitmap_words(words)) * sizeof(uint64_t) + blocks * sizeof(uint16_t);
}

/*
 * Lists the ranges of present blocks. Adjacent ranges become one, so there are no more than the
 * creator named.
 */
static void ranges_find(struct block_heap *heap)
{
	for (uint64_t i = 0; i < heap->count; i++) {
		if (!heap->blocks[i].present)
			continue;
		if (i == 0 || !heap->blocks[i - 1].present)
			heap->ranges[heap->range_count++] = (struct phys_range){ block_address(heap, &heap->blocks[i]), 0 };
		heap->ranges[heap->range_count - 1].bytes += BLOCK_BYTES;
	}
}

status_t block_heap_init(struct block_heap *heap, const struct phys_range *ranges, uint32_t count, void *metadata)
{
	const struct block_range extent = ranges_extent(ranges, count);

	if (extent.first >= extent.end)
		return STATUS_INVALID;
	memset(heap, 0, sizeof(*heap));
	memset(metadata, 0, block_heap_metadata_bytes(ranges, count));
	spinlock_init(&heap->lock, "block heap");
	spinlock_init(&heap->caches_lock, "objcaches");
	list_init(&heap->owners);
	list_init(&heap->caches);
	heap->first_block = extent.first;
	heap->count = extent.end - extent.first;
	heap->blocks = metadata;
	heap->ranges = (struct phys_range *)(heap->blocks + heap->count);
	heap->free_map = (uint64_t *)(heap->ranges + count);
	heap->word_map = heap->free_map + bitmap_words(heap->count);
	heap->movable_map = heap->word_map + bitmap_words(bitmap_words(heap->count));
	heap->costs = (_Atomic uint16_t *)(heap->movable_map + bitmap_words(heap->count));
	for (uint32_t i = 0; i < count; i++) {
		const struct block_range blocks = range_blocks(&ranges[i]);

		for (uint64_t block = blocks.first; block < blocks.end; block++) {
			assert(!heap->blocks[block - heap->first_block].present);
			heap->blocks[block - heap->first_block].present = true;
			search_set_free(heap, block - heap->first_block);
			bitmap_set(heap->movable_map, block - heap->first_block);
			heap->total_blocks++;
		}
	}
	ranges_find(heap);
	for (uint64_t i = 0; i < heap->count; i++) {
		list_init(&heap->blocks[i].link);
		eviction_cost_update(heap, i);
	}
	atomic_init(&heap->free_blocks, heap->total_blocks);
	return STATUS_OK;
}

static void set_movable(struct block_heap *heap, uint64_t index, bool movable)
{
	if (bitmap_test(heap->movable_map, index) == movable)
		return;
	heap->unmovable[search_part(heap, index)] += movable ? UINT64_MAX : 1;
	heap->movable_map[index / 64] ^= 1ull << (index % 64);
}

/* Gives the block to a new owner (NULL: none) and clears what belonged to the holder before. */
static void block_reset(struct block_heap *heap, uint64_t index, struct owner *owner)
{
	struct block *block = &heap->blocks[index];

	assert(!block->cache);
	set_movable(heap, index, !owner || owner->movable);
	block->taken = owner != NULL;
	block->generation++;
	block->run_blocks = 0;
	block->owner = owner;
	block->states = NULL;
	block->records = NULL;
	list_init(&block->link);
	block->credit = 0;
	block->floor = 0;
	block->role = 0;
	atomic_store_explicit(&block->cost, 0, memory_order_relaxed);
	eviction_cost_update(heap, index);
}

/* An owner is in the list while it has blocks. */
static void owner_change(struct block_heap *heap, struct owner *owner, uint64_t blocks)
{
	if (owner->blocks == 0)
		list_insert_last(&heap->owners, &owner->link);
	owner->blocks += blocks;
	if (owner->blocks != 0)
		return;
	owner->seen_blocks = 0;
	list_remove(&owner->link);
}

/* Called after every block that changes hands; `done`: the number of blocks so far. */
static void give_way_at(struct block_heap *heap, uint64_t done)
{
	if (done % PIECE_BLOCKS == 0)
		spinlock_give_way(&heap->lock);
}

/*
 * The bitmap says that the run is taken, so no other request finds it until all its descriptors say
 * so, too.
 */
static void run_take(struct block_heap *heap, uint64_t start, uint64_t blocks, struct owner *owner)
{
	atomic_fetch_sub_explicit(&heap->free_blocks, blocks, memory_order_relaxed);
	owner_change(heap, owner, blocks);
	if (blocks > PIECE_BLOCKS)
		spinlock_give_way(&heap->lock);
	for (uint64_t i = 0; i < blocks; i++) {
		assert(heap->blocks[start + i].present && !heap->blocks[start + i].taken);
		block_reset(heap, start + i, owner);
		give_way_at(heap, i + 1);
	}
	heap->blocks[start].run_blocks = (uint32_t)blocks;
}

static bool is_available(const struct block_heap *heap, const struct run_request *request)
{
	const uint64_t available = atomic_load_explicit(&heap->free_blocks, memory_order_relaxed);

	return request->blocks <= available && request->leave_free <= available - request->blocks;
}

static bool run_find(struct block_heap *heap, const struct run_request *request, uint64_t *start)
{
	for (unsigned i = 0; i < SEARCHES; i++) {
		if (!is_available(heap, request) || !search_free_run(heap, request, start))
			return false;
		if (is_available(heap, request) && search_take(heap, request, *start))
			return true;
	}
	return false;
}

bool block_constraints_allow(const struct block_constraints *constraints, uint64_t blocks)
{
	return blocks != 0 && is_power_or_zero(constraints->alignment_bytes) && is_power_or_zero(constraints->boundary_bytes) &&
	       (constraints->boundary_bytes == 0 || blocks <= constraints->boundary_bytes >> BLOCK_SHIFT);
}

status_t block_heap_alloc(struct block_heap *heap, const struct run_request *request, struct phys_addr *run)
{
	status_t status = STATUS_NO_MEMORY;
	uint64_t start;

	if (request->blocks > UINT32_MAX || !block_constraints_allow(&request->constraints, request->blocks))
		return STATUS_INVALID;
	if (block_heap_must_fail(heap, "block", request->blocks << BLOCK_SHIFT))
		return STATUS_NO_MEMORY;
	spinlock_lock(&heap->lock);
	if (run_find(heap, request, &start)) {
		run_take(heap, start, request->blocks, request->owner);
		*run = block_address(heap, &heap->blocks[start]);
		status = STATUS_OK;
	}
	spinlock_unlock(&heap->lock);
	return status;
}

static _Noreturn void free_is_wrong(const struct block *block, struct phys_addr run)
{
	const char *why = "no memory of this heap";

	if (block && !block->taken)
		why = "free already";
	else if (block && block->cache)
		why = "in use by an objcache";
	else if (block)
		why = "not the start of a run";
	platform_panic("block heap: free of 0x%llx, which is %s%s%s", (unsigned long long)run.value, why,
		       block && block->owner ? "; owner: " : "", block && block->owner ? block->owner->name : "");
}

uint64_t block_heap_free(struct block_heap *heap, struct phys_addr run)
{
	struct block *block = block_heap_find(heap, run);

	spinlock_lock(&heap->lock);
	if (!block || !block->taken || block->run_blocks == 0 || block->cache || !is_aligned(run.value, BLOCK_BYTES))
		free_is_wrong(block, run);

	const uint64_t start = (uint64_t)(block - heap->blocks);
	const uint64_t blocks = block->run_blocks;
	struct owner *owner = block->owner;
	for (uint64_t i = start; i < start + blocks; i++) {
		block_reset(heap, i, NULL);
		search_set_free(heap, i);
		heap->watched_blocks += i >= heap->watch.first && i < heap->watch.end;
		give_way_at(heap, i + 1 - start);
	}
	atomic_fetch_add_explicit(&heap->free_blocks, blocks, memory_order_relaxed);
	owner_change(heap, owner, -blocks);
	spinlock_unlock(&heap->lock);
	return blocks;
}

void block_heap_hand_over(struct block_heap *heap, struct phys_addr start, uint64_t blocks, struct owner *owner)
{
	const uint64_t first = (start.value >> BLOCK_SHIFT) - heap->first_block;

	spinlock_lock(&heap->lock);
	for (uint64_t i = first; i < first + blocks; i++) {
		assert(heap->blocks[i].taken);
		owner_change(heap, heap->blocks[i].owner, -1ull);
		block_reset(heap, i, owner);
		give_way_at(heap, i + 1 - first);
	}
	heap->blocks[first].run_blocks = (uint32_t)blocks;
	owner_change(heap, owner, blocks);
	spinlock_unlock(&heap->lock);
}

struct phys_addr block_heap_cut_last(struct block_heap *heap, struct block *run)
{
	struct block *last;

	spinlock_lock(&heap->lock);
	last = run + run->run_blocks - 1;
	if (last != run)
		run->run_blocks--;
	last->run_blocks = 1;
	spinlock_unlock(&heap->lock);
	return block_address(heap, last);
}

uint64_t block_heap_free_within(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest)
{
	const struct block_range range = block_range_of(heap, lowest, highest);

	if (range.first >= range.end)
		return 0;
	if (range.end - range.first == heap->count)
		return atomic_load_explicit(&heap->free_blocks, memory_order_relaxed);
	spinlock_lock(&heap->lock);
	const uint64_t blocks = bitmap_count(heap->free_map, range.first, range.end);
	spinlock_unlock(&heap->lock);
	return blocks;
}

void block_heap_isolate(struct block_heap *heap, struct phys_addr start, uint64_t blocks)
{
	spinlock_lock(&heap->lock);
	heap->isolated.first = blocks == 0 ? 0 : (start.value >> BLOCK_SHIFT) - heap->first_block;
	heap->isolated.end = heap->isolated.first + blocks;
	spinlock_unlock(&heap->lock);
}

uint64_t block_heap_watch(struct block_heap *heap, struct phys_addr lowest, struct phys_addr highest)
{
	spinlock_lock(&heap->lock);
	const uint64_t blocks = heap->watched_blocks;
	heap->watch = block_range_of(heap, lowest, highest);
	heap->watched_blocks = 0;
	spinlock_unlock(&heap->lock);
	return blocks;
}

struct block *block_heap_find(const struct block_heap *heap, struct phys_addr address)
{
	const uint64_t index = (address.value >> BLOCK_SHIFT) - heap->first_block;

	return index < heap->count && heap->blocks[index].present ? &heap->blocks[index] : NULL;
}
