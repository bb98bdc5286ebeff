// SPDX-License-Identifier: BSD-2-Clause
/*
 * Readahead watches readers where they miss, and where they first use a page that was read ahead;
 * hits on other pages do not come here. The reads of one reader are a stream: pieces of some pages,
 * each behind the last one or overlapping its last page, or each `stride` pages from the last one,
 * forwards or backwards. For a stream that did the expected, readahead reads ahead, by no more than
 * the stream has read so far. So its window grows while it goes on, up to `readahead_bytes`, and a
 * stream that ends early has wasted little. The next part is asked for when the device can take a
 * whole request, or when most of a smaller window has been used.
 *
 * A reader may keep its stream itself (node_read_stream). For others, each node has a table of
 * streams, one for each 256 KB of the node and READAHEAD_STREAMS at most. A piece that no stream
 * expects begins a new stream, in the place of the oldest one that has not done the expected yet,
 * as long as these have a quarter of the table: so random accesses do not push streams out. Nor do
 * neighbours that take turns: a piece that continues no stream gets a stream of its own even if it
 * looks like a stride of others.
 *
 * All windows together have a share of the cache: the more other streams read between two pieces of
 * a stream, the smaller is its window. Pages that are read ahead enter probation without a hit and
 * are evicted from there like any others, so they push out nothing that was used twice. A stream
 * that misses pages that were read ahead for it gets half the window, and grows anew.
 *
 * Lock: readahead->lock, a leaf; a reader that finds it taken goes on without readahead.
 */
#pragma once

#include "runtime/base/spinlock.h"
#include "runtime/base/types.h"

#define READAHEAD_STREAMS 96

struct node;

/* All zeros: nothing has been read yet. */
struct stream {
	uint64_t first;  /* first page of the last piece */
	uint64_t end;    /* page behind it */
	int64_t stride;  /* from `first` to that of the next piece; 0: the next begins at `end` */
	uint64_t ahead;  /* first page of the next piece that has not been asked for; 0: none has been */
	uint64_t run;    /* pages read since it does the expected */
	uint32_t window; /* pages; 0: not trusted yet */
	uint32_t used;   /* when it was used last, on the clock */
	uint32_t turns;  /* pieces of the volume between two of its own; a mean */
};

struct readahead {
	struct spinlock lock;
	struct stream *streams; /* [I] and [lock]; NULL: there was no memory for them */
	struct stream *latest;  /* [lock] used last */
	uint32_t count;         /* [I] */
	_Atomic uint32_t clock; /* pieces so far; that of volume->node counts for the volume */
};

/* For the opening and closing of a node. */
void readahead_init(struct node *node);
void readahead_fini(struct node *node);

/*
 * Called for a reader that reads the pages [first, end), of which `misses` were not cached, or is
 * the first to use one of them. `stream`: its own, or NULL. Starts reads; does not wait for them.
 */
void readahead_note(struct node *node, struct stream *stream, uint64_t first, uint64_t end, uint64_t misses);
