/*
 * A node: a space of pages on a volume. Every volume has one, volume->node, the whole of it, whose page n lies n pages behind
 * the volume's start; I/O counts on that.
 *
 * Reads and writes have any offset and length and copy once. A write and a read of the same page exclude each other, so a page
 * is seen as it was before or after a write, never in between; across pages there is no such promise.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct volume;

struct node {
	struct volume *volume; /* [I] */
	uint32_t id;           /* [I] unique in its page cache */
	uint64_t bytes;        /* [I] */
};

/*
 * Copies bytes [offset, offset + bytes) of the node to `buffer`, from the cache or through it. STATUS_RANGE: the range does not
 * lie within the node; nothing was read. STATUS_IO_ERROR and what else the device says; STATUS_NO_MEMORY: not one frame can be
 * had. On failure the buffer's contents are undefined.
 */
status_t node_read(struct node *node, uint64_t offset, void *buffer, size_t bytes) MUST_CHECK;

/*
 * Copies `buffer` into the cache; it reaches the device later. Waits while too much memory is dirty. STATUS_RANGE, nothing was
 * written; STATUS_READ_ONLY. STATUS_IO_ERROR and what else the device says: a page of which only a part is written could not be
 * read, or too much is dirty and the volume's pages cannot be written back; STATUS_NO_MEMORY. On these, pages before the
 * failing one are written.
 */
status_t node_write(struct node *node, uint64_t offset, const void *buffer, size_t bytes) MUST_CHECK;

/* Drops one page if it is cached, clean and not in use. True: it was dropped. Does not sleep. */
bool node_evict_page(struct node *node, uint64_t number);
