// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the page heap share; no other file includes it.
 *
 *	page_heap.c		lists and scores, blocks that come and go, cursors
 *	page_heap_isolate.c	blocks that are to go
 *	page_heap_loan.c	groups of blocks, and loans
 */
#pragma once

#include "page_heap.h"
#include "pagecache/volume.h"

static inline struct volume *page_heap_volume(struct page_heap *heap)
{
	return container_of(heap, struct volume, eviction.heap);
}

/* The index in heap->levels for this score. */
unsigned page_heap_level(uint32_t score);

/*
 * page_heap_look_locked for a QUEUED block, with its page counts. The block keeps its place in its
 * level, or becomes the last of another level.
 */
void page_heap_count_locked(struct page_heap *heap, struct pageblock *pageblock, struct page_counts *counts);

/* The block is not on loan any more; the caller sets its new role. [R] is held. */
void page_heap_leave_loaned_locked(struct page_heap *heap, struct pageblock *pageblock);
