// SPDX-License-Identifier: BSD-2-Clause
/*
 * Nodes: opening, closing, flushing, and where their pages lie: a binary search over the extents.
 * Reading is in read.c, writing in write.c.
 */
#include "node.h"

#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "volume.h"

uint64_t node_pages(const struct node *node)
{
	return divide_round_up(node->bytes, PAGE_BYTES);
}

uint64_t node_own_bytes(const struct node *node, uint64_t number)
{
	return MIN(PAGE_BYTES, node->bytes - number * PAGE_BYTES);
}

uint64_t node_page_bytes(const struct node *node, uint64_t number)
{
	return align_up(node_own_bytes(node, number), node->volume->device->sector_bytes);
}

status_t node_check_range(const struct node *node, uint64_t offset, uint64_t bytes)
{
	return offset <= node->bytes && bytes <= node->bytes - offset ? STATUS_OK : STATUS_RANGE;
}

status_t node_check_writable(const struct node *node)
{
	if (node->volume->config.read_only || node->volume->device->read_only)
		return STATUS_READ_ONLY;
	return atomic_load_explicit(&node->volume->device->gone, memory_order_relaxed) ? STATUS_GONE : STATUS_OK;
}

static const struct extent *extent_of(const struct node *node, uint64_t number)
{
	uint32_t low = 0, high = node->extent_count;

	while (high - low > 1) {
		const uint32_t middle = low + (high - low) / 2;

		if (node->extents[middle].first <= number)
			low = middle;
		else
			high = middle;
	}
	return &node->extents[low];
}

uint64_t node_position(const struct node *node, uint64_t number)
{
	const struct extent *extent = extent_of(node, number);

	return extent->position + (number - extent->first) * PAGE_BYTES;
}

uint64_t node_run_end(const struct node *node, uint64_t number)
{
	const struct extent *extent = extent_of(node, number);

	return extent->first + extent->pages;
}

struct node *pagecache_node(const struct pagecache *pagecache, uint64_t key)
{
	return pagecache->nodes[page_key_node(key)];
}

uint64_t pagecache_position(const struct pagecache *pagecache, uint64_t key)
{
	return node_position(pagecache_node(pagecache, key), page_key_number(key));
}

uint64_t pagecache_page_bytes(const struct pagecache *pagecache, uint64_t key)
{
	return node_page_bytes(pagecache_node(pagecache, key), page_key_number(key));
}

/* Opening and closing -------------------------------------------------------------------------- */

/* Checks the extents. Of the last extent, the volume needs to have only the node's part. */
static status_t check_extents(const struct node *node)
{
	const struct volume *volume = node->volume;
	uint64_t pages = 0;

	if (node->bytes == 0 || node_pages(node) > PAGE_NUMBER_MAX)
		return STATUS_INVALID;
	for (uint32_t i = 0; i < node->extent_count; i++) {
		const struct extent *extent = &node->extents[i];
		const uint64_t bytes = MIN(extent->pages * PAGE_BYTES, node->bytes - pages * PAGE_BYTES);

		if (extent->first != pages || extent->pages == 0 || extent->pages > node_pages(node) - pages ||
		    !is_aligned(extent->position, volume->device->sector_bytes))
			return STATUS_INVALID;
		if (extent->position > volume->bytes || bytes > volume->bytes - extent->position)
			return STATUS_RANGE;
		pages += extent->pages;
	}
	return pages == node_pages(node) ? STATUS_OK : STATUS_INVALID;
}

static status_t take_id(struct node *node)
{
	struct pagecache *pagecache = node->volume->pagecache;
	uint32_t id = 0;

	spinlock_lock(&pagecache->nodes_lock);
	while (id < pagecache->config.nodes && pagecache->nodes[id])
		id++;
	if (id < pagecache->config.nodes)
		pagecache->nodes[id] = node;
	spinlock_unlock(&pagecache->nodes_lock);
	node->id = id;
	return id < pagecache->config.nodes ? STATUS_OK : STATUS_NO_MEMORY;
}

void node_forget(struct node *node)
{
	struct pagecache *pagecache = node->volume->pagecache;

	spinlock_lock(&pagecache->nodes_lock);
	pagecache->nodes[node->id] = NULL;
	spinlock_unlock(&pagecache->nodes_lock);
	readahead_fini(node);
}

status_t node_open(struct node *node, struct volume *volume, const struct extent *extents, uint32_t count, uint64_t bytes)
{
	status_t status;

	*node = (struct node){
		.volume = volume, .extent_count = count, .extents = extents, .bytes = bytes, .whole = node->whole
	};
	dirty_init(&node->dirty, &volume->pagecache->pages.table);
	list_init(&node->dirty_link);
	status = check_extents(node);
	if (status == STATUS_OK)
		status = take_id(node);
	if (status == STATUS_OK)
		readahead_init(node);
	return status;
}

status_t node_flush(struct node *node)
{
	return flush_wait(node->volume, node, PLATFORM_FOREVER);
}

status_t node_close(struct node *node, bool discard)
{
	const status_t status = node_flush(node);
	status_t dropped;

	if (status != STATUS_OK && !discard)
		return status;
	while ((dropped = node_discard(node, 0, node->bytes)) != STATUS_OK)
		assert(dropped == STATUS_NO_MEMORY); /* by an eviction; it made memory free */
	node_forget(node);
	return status;
}
