// SPDX-License-Identifier: BSD-2-Clause
/*
 * A node: a space of pages on a volume, made of extents: a file, a partition's table, the whole
 * volume. Every volume has one node of the last kind, volume->node.
 *
 *	node_open -> node_read / node_write / node_flush / node_map ... -> node_close
 *
 * Reads and writes have any offset and length and copy once. A write and a read of the same page
 * exclude each other, so a reader sees a page as it was before or after a write, never in between;
 * across pages there is no such promise.
 *
 * A node may end anywhere in a sector. Bytes behind its end on the volume do not belong to the
 * node: no function here changes them, and the next node may begin at the next sector. The rest of
 * the node's last sector keeps what it was when the page was read, so a write to that sector reads
 * it first.
 *
 * Nodes may overlap, as a file and the whole volume do, and each has its own cached pages. So a
 * program that writes through one node must not use the other for that range, the last sector
 * included. All functions: where platform_may_sleep(), unless they say otherwise.
 */
#pragma once

#include "pagecache/page/readahead.h"
#include "pagecache/writeback/dirty.h"
#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct volume;

/*
 * Pages [first, first + pages) of the node, which lie one behind the other on the volume from
 * `position`, in bytes, on.
 */
struct extent {
	uint64_t first;
	uint64_t position;
	uint64_t pages;
};

struct node {
	struct volume *volume;         /* [I] */
	uint32_t id;                   /* [I] unique in its page cache while open */
	uint32_t extent_count;         /* [I] */
	const struct extent *extents;  /* [I] in the order of the node's pages, without gaps */
	uint64_t bytes;                /* [I] */
	struct extent whole;           /* [I] what `extents` is for volume->node */
	uint32_t moves;                /* [D] moves of its pages to other frames */
	_Atomic uint64_t failed_pages; /* dirty pages whose last write failed */
	struct dirty dirty;            /* [D] */
	struct list dirty_link;        /* [D] in volume->writeback.dirty_nodes, as long as `dirty` has pages */
	_Atomic uint64_t written_from; /* where the latest writer without gaps began, in bytes */
	_Atomic uint64_t written_to;   /* how far it is, in bytes */
	struct readahead readahead;
};

/*
 * Opens a node of `bytes` bytes. The extents hold exactly as many pages as that takes, lie within
 * the volume (the last page may reach beyond its end if the node ends before), begin at sectors,
 * and live until the node is closed. STATUS_INVALID: they do not add up; STATUS_RANGE: not within
 * the volume; STATUS_NO_MEMORY: as many nodes are open as pagecache_config.nodes allows.
 */
status_t node_open(struct node *node, struct volume *volume, const struct extent *extents, uint32_t count,
		   uint64_t bytes) MUST_CHECK;

/*
 * Flushes the node, drops its pages, and closes it. No task uses it any more. When the flush fails,
 * its status is returned and the node stays open, unless `discard`: then pages that could not be
 * written are lost.
 */
status_t node_close(struct node *node, bool discard) MUST_CHECK;

/*
 * Copies bytes [offset, offset + bytes) of the node to `buffer`, from the cache or through it.
 * STATUS_RANGE: the range does not lie within the node; nothing was read. STATUS_IO_ERROR and other
 * statuses of the device; STATUS_NO_MEMORY: not one frame can be had. On failure the content of the
 * buffer is undefined.
 */
status_t node_read(struct node *node, uint64_t offset, void *buffer, size_t bytes) MUST_CHECK;

/*
 * The same for a reader that keeps its own stream for readahead, all zeros before its first read of
 * the node. Readahead follows such a reader however many others there are. One call at a time uses
 * a stream; it needs no end.
 */
status_t node_read_stream(struct node *node, struct stream *stream, uint64_t offset, void *buffer, size_t bytes) MUST_CHECK;

/*
 * Copies `buffer` into the cache; the data reaches the device later. Waits while too much memory is
 * dirty. STATUS_RANGE: nothing was written; STATUS_READ_ONLY; STATUS_GONE, at once. STATUS_IO_ERROR
 * and other statuses of the device: a page that the range covers in part could not be read, or too
 * much is dirty and the volume's pages cannot be written back; STATUS_NO_MEMORY. On these, the
 * pages before the failing one are written.
 */
status_t node_write(struct node *node, uint64_t offset, const void *buffer, size_t bytes) MUST_CHECK;

/*
 * Makes every write to the node that returned before the call durable; as volume_flush, for these
 * pages.
 */
status_t node_flush(struct node *node) MUST_CHECK;

/*
 * Discards the cached pages that lie wholly in [offset, offset + bytes), dirty ones included: the
 * next read gets them from the device. Data of them that the device has lost is not written again
 * then; flushes tell of it (written.h). Waits for tasks that use one of the pages. STATUS_RANGE.
 */
status_t node_discard(struct node *node, uint64_t offset, uint64_t bytes) MUST_CHECK;

/* Gives up the id of a node that has no page any more. */
void node_forget(struct node *node);

/* Drops one page if it is cached, clean and not in use. True: it was dropped. Does not sleep. */
bool node_evict_page(struct node *node, uint64_t number);

/* The position of a page of the node, in bytes of the volume. */
uint64_t node_position(const struct node *node, uint64_t number);

/* The number behind the last page that is contiguous with this one on the volume. */
uint64_t node_run_end(const struct node *node, uint64_t number);

/* How many pages the node has; it may have only a part of the last one. */
uint64_t node_pages(const struct node *node);

/* Bytes of this page that belong to the node: 4096, or fewer at its end. */
uint64_t node_own_bytes(const struct node *node, uint64_t number);

/*
 * Bytes of this page that the device transfers: 4096, or fewer at the node's end, in whole sectors.
 */
uint64_t node_page_bytes(const struct node *node, uint64_t number);

/* STATUS_RANGE unless [offset, offset + bytes) lies within the node. */
status_t node_check_range(const struct node *node, uint64_t offset, uint64_t bytes) MUST_CHECK;

/* Whether the node can be written: STATUS_READ_ONLY, STATUS_GONE. */
status_t node_check_writable(const struct node *node) MUST_CHECK;
