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

#define BATCH_PAGES        512 /* evicted between two looks whether the request fits */
#define BOOKKEEPING_BLOCKS 2   /* for the buffers' own descriptors */

static struct frame_table *table_of(const struct lru *lru)
{
	return &lru->loads->environment->pagecache->pages.table;
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
	lru->left = heap_alloc(heap_of(lru), table_of(lru)->count * sizeof(*lru->left), 0);
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

/* The block's pages, if the volume has the block. */
static struct frames *frames_at(const struct lru *lru, uint64_t index)
{
	struct frames *frames = table_of(lru)->blocks[index];

	return frames && atomic_load(&frames->volume) == lru->loads->volume ? frames : NULL;
}

void lru_order(struct lru *lru)
{
	lru->pages = 0;
	for (uint64_t index = 0; index < table_of(lru)->count; index++) {
		const struct frames *frames = frames_at(lru, index);

		lru->left[index] = 0;
		for (unsigned i = 0; frames && i < PAGES_PER_BLOCK; i++) {
			const struct page *page = &frames->pages[i];

			if (!page_is_readable(page_state(page)))
				continue;
			lru->order[lru->pages++] =
				(uint64_t)lru->loads->stamps[page_key_number(page_key(page))] << 32 | page_frame(page);
			lru->left[index]++;
		}
	}
	sort_numbers(lru->order, lru->pages);
}

static bool evict(struct lru *lru, uint32_t frame)
{
	const struct page *page = frame_table_page(table_of(lru), frame);

	if (!node_evict_page(&lru->loads->volume->node, page_key_number(page_key(page))))
		return false;
	lru->left[frame / PAGES_PER_BLOCK - table_of(lru)->first_block]--;
	return true;
}

/* Free, or without a page, or an empty block that some heap keeps. */
static bool is_to_be_had(const struct lru *lru, uint64_t index)
{
	const struct block_heap *blocks = &lru->loads->environment->memory->blocks;
	const struct phys_addr address = { (table_of(lru)->first_block + index) << BLOCK_SHIFT };
	const struct block *block = block_heap_find(blocks, address);

	if (!block || !block->present)
		return false;
	if (!block->taken || (block->cache && objcache_block_is_empty(block)))
		return true;
	return frames_at(lru, index) && lru->left[index] == 0;
}

static bool fits(const struct lru *lru, const struct device *device, const struct dma_request *request, uint64_t count)
{
	const uint64_t piece = request->segments_max == 1 ? request->bytes : request->segment_bytes_min;
	const uint64_t wanted = count * request->bytes / piece;
	const uint64_t kept = lru->loads->environment->memory->config.min_bytes / BLOCK_BYTES + BOOKKEEPING_BLOCKS;
	uint64_t had = 0, row = 0, pieces = 0;

	for (uint64_t index = 0; index <= table_of(lru)->count; index++) {
		const uint64_t start = (table_of(lru)->first_block + index) << BLOCK_SHIFT;
		const bool is_had = index < table_of(lru)->count && is_to_be_had(lru, index);

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
