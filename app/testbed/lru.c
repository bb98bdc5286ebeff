// SPDX-License-Identifier: BSD-2-Clause
/*
 * LRU by single pages, built from stamps after the loads have stopped: sorting once is the same as
 * a list that was kept all the time. It counts the pages that each block has left, so one pass
 * over the blocks says whether a request fits.
 */
#include "lru.h"

#include "pagecache/volume.h"
#include "report.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define BATCH_PAGES     512 /* evicted between two looks whether the request fits */
#define METADATA_BLOCKS 2   /* for the buffers' own descriptors */

/* The number of blocks up to the end of memory. */
static uint64_t block_count(const struct lru *lru)
{
	const struct phys_range all = block_heap_range(memory_block_heap(lru->loads->environment->memory));

	return (all.start.value + all.bytes) >> BLOCK_SHIFT;
}

static struct heap *heap_of(const struct lru *lru)
{
	return memory_general_heap(lru->loads->environment->memory);
}

status_t lru_init(struct lru *lru, struct loads *loads)
{
	const uint64_t pages = memory_total_bytes(loads->environment->memory) / PAGE_BYTES;

	*lru = (struct lru){ .loads = loads };
	lru->order = heap_alloc(heap_of(lru), pages * sizeof(*lru->order), 0);
	lru->left = heap_alloc(heap_of(lru), block_count(lru) * sizeof(*lru->left), 0);
	if (lru->order && lru->left)
		return STATUS_OK;
	lru_fini(lru);
	return STATUS_NO_MEMORY;
}

void lru_fini(struct lru *lru)
{
	heap_free(heap_of(lru), lru->order);
	heap_free(heap_of(lru), lru->left);
	lru->order = NULL;
	lru->left = NULL;
}

static struct phys_addr frame_address(uint64_t frame)
{
	return (struct phys_addr){ frame * PAGE_BYTES };
}

void lru_order(struct lru *lru)
{
	uint64_t number;

	lru->pages = 0;
	memset(lru->left, 0, block_count(lru) * sizeof(*lru->left));
	for (uint64_t frame = 0; frame < block_count(lru) * PAGES_PER_BLOCK; frame++) {
		if (!volume_page_at(lru->loads->volume, frame_address(frame), &number))
			continue;
		lru->order[lru->pages++] = (uint64_t)lru->loads->stamps[number] << 32 | frame;
		lru->left[frame / PAGES_PER_BLOCK]++;
	}
	sort_numbers(lru->order, lru->pages);
}

static bool evict(struct lru *lru, uint32_t frame)
{
	uint64_t number;

	if (!volume_page_at(lru->loads->volume, frame_address(frame), &number) ||
	    !node_evict_page(volume_whole_node(lru->loads->volume), number))
		return false;
	lru->left[frame / PAGES_PER_BLOCK]--;
	return true;
}

/* Free, or without a page, or an empty block that some heap keeps. */
static bool is_to_be_had(const struct lru *lru, uint64_t index)
{
	const struct phys_addr address = { index << BLOCK_SHIFT };

	return memory_block_is_unused(lru->loads->environment->memory, address) ||
	       (lru->left[index] == 0 && volume_has_block(lru->loads->volume, address));
}

static bool fits(const struct lru *lru, const struct device *device, const struct dma_request *request, uint64_t count)
{
	const uint64_t piece = request->segments_max == 1 ? request->bytes : request->segment_bytes_min;
	const uint64_t wanted = count * request->bytes / piece;
	const uint64_t kept =
		reclaim_watermarks(memory_reclaim(lru->loads->environment->memory))->min_bytes / BLOCK_BYTES + METADATA_BLOCKS;
	uint64_t had = 0, row = 0, pieces = 0;

	for (uint64_t index = 0; index <= block_count(lru); index++) {
		const uint64_t start = index << BLOCK_SHIFT;
		const bool is_had = index < block_count(lru) && is_to_be_had(lru, index);

		had += is_had;
		if (is_had && start >= device->dma_lowest && start + BLOCK_BYTES - 1 <= device->dma_mask) {
			row++;
			continue;
		}
		pieces += row * BLOCK_BYTES / piece;
		row = 0;
	}
	return pieces >= wanted && had >= divide_round_up(count * request->bytes, BLOCK_BYTES) + kept;
}

bool lru_evict_until_fits(struct lru *lru, const struct device *device, const struct dma_request *request, uint64_t count)
{
	uint64_t evicted = 0;

	for (uint64_t i = 0; i < lru->pages; i++) {
		if (evicted % BATCH_PAGES == 0 && fits(lru, device, request, count))
			return true;
		evicted += evict(lru, (uint32_t)lru->order[i]);
	}
	return fits(lru, device, request, count);
}
