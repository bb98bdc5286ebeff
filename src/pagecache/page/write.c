// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writing into the cache, and discarding what is in it, page by page. A write copies into a page
 * that it alone has, and leaves it dirty; the disk sees it later. A discard of more pages than the
 * volume has goes through the frames, not through the page numbers.
 */
#include "exclusive.h"
#include "io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define BEHIND_STEPS 2 /* ranges of a request's size, before write-behind begins */

static status_t write_page(struct node *node, uint64_t offset, const char *data, size_t bytes)
{
	const uint64_t number = offset / PAGE_BYTES;
	struct page *page = NULL;
	status_t status = writeback_throttle(node, number, 1);

	if (status == STATUS_OK)
		status = page_lock_writing(node, number, bytes == node_page_bytes(node, number), &page);
	if (status != STATUS_OK)
		return status;
	memcpy((char *)page_memory(page) + offset % PAGE_BYTES, data, bytes);
	page_written(node->volume, page, bytes == node_own_bytes(node, number) ? PAGE_STALE : 0);
	return STATUS_OK;
}

/*
 * Write-behind: a writer without gaps does not come back soon. So each range of the length of the
 * largest request is written as soon as it is full, and the disk does not wait until much is dirty.
 * Several such writers on one node are not told apart.
 */
static void write_behind(struct node *node, uint64_t from, uint64_t to)
{
	const uint64_t step = io_pages_max(node->volume) * PAGE_BYTES;
	const uint64_t full = align_down(to, step);

	if (atomic_exchange_explicit(&node->written_to, to, memory_order_relaxed) != from)
		atomic_store_explicit(&node->written_from, from, memory_order_relaxed);
	if (full <= from || full - atomic_load_explicit(&node->written_from, memory_order_relaxed) < BEHIND_STEPS * step)
		return;
	(void)writeback_start_range(node, align_down(MAX(from, step) - step, step) / PAGE_BYTES, full / PAGE_BYTES, true);
}

status_t node_write(struct node *node, uint64_t offset, const void *buffer, size_t bytes)
{
	const char *data = buffer;
	const uint64_t from = offset;
	status_t status = node_check_range(node, offset, bytes);

	if (status == STATUS_OK)
		status = node_check_writable(node);
	while (status == STATUS_OK && bytes > 0) {
		const size_t length = (size_t)MIN((uint64_t)bytes, PAGE_BYTES - offset % PAGE_BYTES);

		status = write_page(node, offset, data, length);
		offset += length;
		data += length;
		bytes -= length;
	}
	if (status == STATUS_OK && offset > from)
		write_behind(node, from, offset);
	return status;
}

/* Discarding ----------------------------------------------------------------------------------- */

/* Discards a page. If it comes back meanwhile, another task has read it later. */
static status_t discard_page(struct node *node, uint64_t number)
{
	struct page *page = NULL;
	status_t status;
	uint32_t state;

	if (node_evict_page(node, number) ||
	    !index_find(&node->volume->pagecache->pages.index, page_key_make(node->id, number), &state))
		return STATUS_OK;
	status = page_lock_writing(node, number, true, &page);
	if (status == STATUS_OK)
		page_discard(node->volume, page);
	return status;
}

/* Discards the node's pages in the range that it finds, frame by frame. */
static status_t discard_frames(struct node *node, uint64_t first, uint64_t end)
{
	const struct pageblock_table *table = &node->volume->pagecache->pages.table;
	status_t status = STATUS_OK;

	for (uint64_t block = 0; block < table->count && status == STATUS_OK; block++) {
		struct pageblock *pageblock = table->blocks[block];

		for (uint32_t i = 0; pageblock && pageblock->ready && i < PAGES_PER_BLOCK && status == STATUS_OK; i++) {
			const uint64_t key = page_key(&pageblock->pages[i]);

			if (page_content(page_state(&pageblock->pages[i])) >= PAGE_WRITING && page_key_node(key) == node->id &&
			    page_key_number(key) >= first && page_key_number(key) < end)
				status = discard_page(node, page_key_number(key));
		}
	}
	return status;
}

/*
 * Under [D]: a page that is just being moved is nowhere, and seen in no frame, until its move has
 * ended.
 */
static uint32_t moves(struct node *node)
{
	spinlock_lock(&node->volume->writeback.lock);
	const uint32_t count = node->moves;
	spinlock_unlock(&node->volume->writeback.lock);
	return count;
}

/*
 * Discards by a walk over the cached pages, if these are fewer than the numbers in the range. A
 * page may have moved to a frame that the walk had passed; then it walks again.
 */
static status_t discard_cached(struct node *node, uint64_t first, uint64_t end)
{
	status_t status;
	uint32_t before;

	do {
		before = moves(node);
		status = discard_frames(node, first, end);
	} while (status == STATUS_OK && moves(node) != before);
	return status;
}

status_t node_discard(struct node *node, uint64_t offset, uint64_t bytes)
{
	status_t status = node_check_range(node, offset, bytes);
	uint64_t first, end;

	if (status != STATUS_OK)
		return status;
	first = divide_round_up(offset, PAGE_BYTES);
	end = offset + bytes == node->bytes ? node_pages(node) : (offset + bytes) / PAGE_BYTES;
	if (first < end && end - first > atomic_load(&node->volume->counts.cached_pages))
		return discard_cached(node, first, end);
	for (uint64_t number = first; number < end && status == STATUS_OK; number++)
		status = discard_page(node, number);
	return status;
}
