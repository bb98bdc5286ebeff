// SPDX-License-Identifier: BSD-2-Clause
/*
 * Zero copy: a range of a node as a scatter-gather list of its cached pages, which a device may
 * read, or fill, by DMA.
 *
 *	node_map(node, offset, bytes, MAP_READ, &mapping)
 *	... the device reads mapping->segments ...
 *	node_unmap(mapping)
 *
 * MAP_READ: the pages are read if need be, and pinned: other tasks can read them, and cannot write,
 * evict or move them. MAP_WRITE: the pages are the caller's alone until node_unmap, and dirty from
 * then on. Of the first and the last page, if the range covers only a part, the rest is read.
 *
 * Each mapping knows the line that made it (CALL_SITE in heap/block/owner.h), for reports of
 * requests that it is in the way of.
 *
 * Pages move to a block that is set apart (longterm.h) before they are mapped, and stay there while
 * they are mapped, out of the way of large requests. A page that other tasks use just then, or for
 * which there is no memory, is mapped where it is, and holds up its block; pagecache_statistics
 * counts these. Still, map for the time of a transfer, not for good.
 *
 * A task that holds a mapping does not read, write, map, discard or directly write the same pages,
 * and, if the mapping is for writing, does not flush their volume: it would wait for itself. A
 * flush or write by another task waits until the mapping ends.
 */
#pragma once

#include "heap/block/owner.h"
#include "node.h"

/* The most bytes of one mapping; for more, map twice. */
#define MAP_BYTES_MAX (4 * MIB)

enum map_access {
	MAP_READ,
	MAP_WRITE,
};

struct mapping {
	struct node *node;           /* [I] */
	enum map_access access;      /* [I] */
	bool no_frames;              /* [I] there was no memory to set further pages apart */
	uint16_t reserved;           /* [I] its pages in volume->writeback.mapped_pages */
	const char *site;            /* [I] where node_map was called */
	struct list link;            /* [D] in volume->mappings, once all pages are mapped */
	uint32_t page_count;         /* [I] */
	uint32_t segment_count;      /* [I] */
	struct phys_range *segments; /* [I] bytes [offset, offset + bytes) in order, neighbours joined */
	struct page *pages[];        /* [I] */
};

/*
 * The memory for `mapping` comes from the general heap. STATUS_RANGE: the range does not lie within
 * the node, or is longer than MAP_BYTES_MAX; STATUS_INVALID: no bytes; STATUS_READ_ONLY,
 * STATUS_GONE; STATUS_BUSY: a page has too many pins already, or the volume's mappings for writing
 * already have as many pages as may be dirty: unmap some; STATUS_NO_MEMORY; the device's status. On
 * failure nothing is mapped. The caller holds no pins, and no other mapping of these pages. Where
 * platform_may_sleep().
 */
#define node_map(node, offset, bytes, access, mapping) node_map_at(node, offset, bytes, access, mapping, CALL_SITE)
status_t node_map_at(struct node *node, uint64_t offset, uint64_t bytes, enum map_access access, struct mapping **mapping,
		     const char *site) MUST_CHECK;

/* Where platform_may_sleep(). */
void node_unmap(struct mapping *mapping);
