// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames on their way: taken for a page that is missed, and left by pages that are evicted or
 * moved. The caller of these functions holds no lock.
 */
#pragma once

#include "pagecache/volume.h"

/*
 * Takes a frame, TAKEN then, from *queue or else from the other queue; *queue is the one that it
 * comes from. Does not wait. NULL: the cursors find nothing to evict, and the heap cannot grow.
 */
struct page *frame_try_take(struct volume *volume, enum queue *queue);

/*
 * The same, but for up to config.frame_wait_ns it has dirty pages written and other volumes
 * drained. NULL: no memory. The caller holds no pins.
 */
struct page *frame_take(struct volume *volume, enum queue *queue);

/*
 * Takes a frame of the main queue, within *budget frames unless that is NULL; a drain gets one of
 * the migration reserve if the cursor finds none. A cursor that has no block to look in uses
 * nothing of the budget.
 */
struct page *frame_take_in_main(struct volume *volume, unsigned *budget);

/*
 * Takes a clean page without pins out of the index; the frame is TAKEN then, and the caller's.
 * False: the page is not clean, or pinned.
 */
bool page_evict(struct volume *volume, struct page *page);

/* The same, but the frame is FREE then. */
bool page_drop(struct volume *volume, struct page *page);

/*
 * page_drop for the pages of an isolated block from `first` on, as long as they are idle and their
 * counters of hits have no bits but `hits` (index_evict_many). Returns the number of the page that
 * it stopped at, or PAGES_PER_BLOCK.
 */
uint32_t pageblock_drop(struct volume *volume, struct pageblock *pageblock, uint32_t first, uint32_t hits);

/*
 * Moves a clean or dirty page without pins to main, by the rule of replacement; its old frame is
 * TAKEN then, and the caller's. Readers go on meanwhile. False: the page is in use, or main has no
 * frame for it.
 *
 * With a budget, main's cursor goes over at most *budget frames, which are subtracted. A cursor
 * that has no block to look in uses nothing of it; a cleaning task then gets a frame of the
 * migration reserve.
 */
bool page_move(struct volume *volume, struct page *page, unsigned *budget);

/*
 * Moves a page, as it is, to `target`, which is TAKEN. False: it is in use; `target` is FREE then.
 */
bool page_move_to(struct volume *volume, struct page *page, struct page *target);

/*
 * Moves a page that the caller has pinned, or has WRITING, with the only pin, to `target`, which is
 * TAKEN. It goes there as it is, pin and all; its old frame is TAKEN then, and the caller's. False:
 * other tasks have pinned it, or it is on its way to the device.
 */
bool page_move_pinned(struct volume *volume, struct page *page, struct page *target);

/* Counts the eviction of pages that had the flags of `state`. */
static inline void frame_count_evicted(struct volume *volume, uint32_t count, uint32_t state)
{
	atomic_fetch_sub_explicit(&volume->counts.cached_pages, count, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.evicted_pages, count, memory_order_relaxed);
	if (state & PAGE_AHEAD)
		atomic_fetch_add_explicit(&volume->counts.ahead_wasted, count, memory_order_relaxed);
}

/* Counts the eviction of one page, and leaves a ghost. */
static inline void frame_note_evicted(struct volume *volume, uint64_t key, uint32_t state)
{
	frame_count_evicted(volume, 1, state);
	ghosts_add(&volume->pagecache->eviction.ghosts, key, state & PAGE_MAIN ? QUEUE_MAIN : QUEUE_PROBATION);
}
