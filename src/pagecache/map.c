// SPDX-License-Identifier: BSD-2-Clause
/*
 * Mappings: pages that stay pinned while a program or a device uses them. Each page of a mapping
 * moves into a block that is set apart (longterm.h) if it can, is counted there, and has a pin of
 * the mapping's, or is WRITING.
 */
#include "map.h"

#include "pagecache/eviction/longterm.h"
#include "pagecache/page/exclusive.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

/*
 * Mappings take at most so many pins of a page; the others are for readers, each of which has at
 * most one.
 */
#define MAP_PINS_MAX (PAGE_PINS / 2)

static status_t map_check(const struct node *node, uint64_t offset, uint64_t bytes, enum map_access access)
{
	if (node_check_range(node, offset, bytes) != STATUS_OK || bytes > MAP_BYTES_MAX)
		return STATUS_RANGE;
	if (bytes == 0)
		return STATUS_INVALID;
	return access == MAP_WRITE ? node_check_writable(node) : STATUS_OK;
}

static struct mapping *mapping_alloc(struct node *node, enum map_access access, uint32_t pages)
{
	struct mapping *mapping;
	const size_t pages_bytes = pages * sizeof(mapping->pages[0]);

	mapping = heap_alloc(memory_general_heap(node->volume->pagecache->memory),
			     sizeof(*mapping) + pages_bytes + pages * sizeof(mapping->segments[0]), 0);
	if (!mapping)
		return NULL;
	*mapping = (struct mapping){ .node = node, .access = access };
	mapping->segments = (struct phys_range *)(void *)((char *)mapping->pages + pages_bytes);
	return mapping;
}

static status_t pin(struct node *node, uint64_t number, struct page **page)
{
	const status_t status = page_get(node, number, page);

	if (status != STATUS_OK || (page_state(*page) & PAGE_PINS) < MAP_PINS_MAX)
		return status;
	page_unpin(*page);
	return STATUS_BUSY;
}

/* Maps `bytes` bytes of page `number`, from `skip` on. */
static status_t add_page(struct mapping *mapping, uint64_t number, uint64_t skip, uint64_t bytes)
{
	struct node *node = mapping->node;
	struct page *page;
	status_t status;

	if (mapping->access == MAP_READ)
		status = pin(node, number, &page);
	else
		status = page_lock_writing(node, number, bytes == node_page_bytes(node, number), &page);
	if (status != STATUS_OK)
		return status;
	longterm_enter(node->volume, &page, &mapping->no_frames);
	mapping->pages[mapping->page_count++] = page;
	io_add_segment(mapping->segments, &mapping->segment_count, (struct phys_addr){ page_address(page).value + skip },
		       bytes);
	return STATUS_OK;
}

/*
 * Counts pages that are mapped for writing, which become dirty sooner or later. One such mapping is
 * always allowed.
 */
static bool reserve(struct volume *volume, uint64_t pages)
{
	const uint64_t before = atomic_fetch_add(&volume->writeback.mapped_pages, pages);

	if (before == 0 || before + pages <= writeback_limits(volume).max)
		return true;
	atomic_fetch_sub(&volume->writeback.mapped_pages, pages);
	return false;
}

/* Whether the mapping covers all of the page. */
static bool has_whole(const struct mapping *mapping, uint32_t i)
{
	const struct phys_range *last = &mapping->segments[mapping->segment_count - 1];
	const uint64_t own = node_own_bytes(mapping->node, page_key_number(page_key(mapping->pages[i])));

	return (i > 0 || mapping->segments[0].start.value % PAGE_BYTES == 0) &&
	       (i < mapping->page_count - 1 || (last->start.value + last->bytes - 1) % PAGE_BYTES + 1 == own);
}

/*
 * Ends the mapping. If nothing was transferred, the content of a page for writing counts only if
 * the page was dirty before: it may never have been read. A page that is UNFLUSHED may become dirty
 * at any time, by a loss, so its content counts, too.
 */
static void mapping_end(struct mapping *mapping, bool transferred)
{
	struct volume *volume = mapping->node->volume;

	for (uint32_t i = 0; i < mapping->page_count; i++) {
		struct page *page = mapping->pages[i];

		longterm_leave(volume, page);
		if (mapping->access == MAP_READ)
			page_unpin(page);
		else if (transferred || (page_state(page) & (PAGE_LISTED | PAGE_UNFLUSHED)))
			page_written(volume, page, transferred && has_whole(mapping, i) ? PAGE_STALE : 0);
		else
			page_discard(volume, page);
	}
	atomic_fetch_sub(&volume->writeback.mapped_pages, mapping->reserved);
	heap_free(memory_general_heap(volume->pagecache->memory), mapping);
}

status_t node_map_at(struct node *node, uint64_t offset, uint64_t bytes, enum map_access access, struct mapping **result,
		     const char *site)
{
	const uint64_t pages = divide_round_up(offset % PAGE_BYTES + bytes, PAGE_BYTES);
	status_t status = map_check(node, offset, bytes, access);
	struct mapping *mapping;

	if (status == STATUS_OK && access == MAP_WRITE)
		status = writeback_throttle(node, offset / PAGE_BYTES, pages);
	if (status != STATUS_OK)
		return status;
	mapping = mapping_alloc(node, access, (uint32_t)pages);
	if (!mapping)
		return STATUS_NO_MEMORY;
	if (access == MAP_WRITE && reserve(node->volume, pages))
		mapping->reserved = (uint16_t)pages;
	else if (access == MAP_WRITE)
		status = STATUS_BUSY;
	for (uint64_t done = 0; done < bytes && status == STATUS_OK;) {
		const uint64_t skip = (offset + done) % PAGE_BYTES;
		const uint64_t part = MIN(PAGE_BYTES - skip, bytes - done);

		status = add_page(mapping, (offset + done) / PAGE_BYTES, skip, part);
		done += part;
	}
	if (status != STATUS_OK) {
		mapping_end(mapping, false);
		return status;
	}
	mapping->site = site;
	spinlock_lock(&node->volume->writeback.lock);
	list_insert_last(&node->volume->mappings, &mapping->link); /* its pins may last from here on */
	spinlock_unlock(&node->volume->writeback.lock);
	*result = mapping;
	return STATUS_OK;
}

void node_unmap(struct mapping *mapping)
{
	struct volume *volume = mapping->node->volume;

	spinlock_lock(&volume->writeback.lock);
	list_remove(&mapping->link);
	spinlock_unlock(&volume->writeback.lock);
	mapping_end(mapping, true);
}
