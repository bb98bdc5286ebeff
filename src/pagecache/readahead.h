/*
 * Readahead: a node's readers are watched where they miss, and where they first use a page that was read ahead; hits on other
 * pages do not come here. What one reader does is a stream: pieces of some pages, each `stride` pages behind the last one. A
 * stream that did the expected twice is read ahead of, by no more than it has read so far: so its window doubles while it goes
 * on, up to `readahead_bytes`, and one that ends early has wasted little. The next part is asked for when half of the window
 * has been used: so requests stay in flight. Several streams on one node do not disturb each other; random accesses make no
 * stream.
 *
 * What is read ahead enters probation without a hit and is evicted from there like anything else, so it pushes out nothing that
 * was used twice. Pages that leave unused (volume_statistics: ahead_wasted) make a
 * stream prove itself anew.
 *
 * Lock: readahead->lock, a leaf; who finds it taken does without.
 */
#pragma once

#include "runtime/base/spinlock.h"
#include "runtime/base/types.h"

#define READAHEAD_STREAMS 16

struct node;

struct stream {
	uint64_t last;   /* first page of the last piece */
	uint64_t count;  /* pages of a piece */
	int64_t stride;  /* to the next piece; 0: not known yet */
	uint64_t ahead;  /* first page of the next piece that has not been asked for */
	uint64_t run;    /* pages that it has read since it does what is expected */
	uint32_t window; /* pages; 0: not trusted yet */
	uint32_t used;   /* when it was used last, on readahead->clock */
};

struct readahead {
	struct spinlock lock;
	struct stream streams[READAHEAD_STREAMS]; /* [lock] */
	uint32_t clock;                           /* [lock] */
	uint64_t wasted;                          /* [lock] the volume's ahead_wasted when somebody looked last */
};

void readahead_init(struct readahead *readahead);

/* Somebody reads these pages, and missed one of them or was the first to use it. Starts reads; does not wait for them. */
void readahead_note(struct node *node, uint64_t first, uint64_t count);
