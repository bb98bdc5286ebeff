/*
 * Frames on their way: taken for a page that is missed, and left by pages that are evicted or moved. No lock is held by the
 * caller of any of these.
 */
#pragma once

#include "volume.h"

/*
 * A frame, TAKEN, from this lane if it has one, else from the other one; *lane is where it comes from. Does not wait. NULL: the
 * cursors find nothing to evict, and the heap cannot grow.
 */
struct page *frame_try_take(struct volume *volume, enum lane *lane);

/* The same, but writes dirty pages and drains others for config.frame_wait_ns. NULL: no memory. Without pins. */
struct page *frame_take(struct volume *volume, enum lane *lane);

/* Takes a clean page without pins out of the index; it is TAKEN then, the caller's. False: it is something else. */
bool page_evict(struct volume *volume, struct page *page);

/* The same; its frame is FREE then. */
bool page_drop(struct volume *volume, struct page *page);

/* page_drop for the page of that key, if it is cached. */
bool page_drop_key(struct volume *volume, uint64_t key);

/*
 * page_drop for the pages of a fenced block from `first` on, as long as they are idle, and their counters of hits have no other
 * bits than `hits` (index_evict_many). Returns the number of the page that it stopped at, or PAGES_PER_BLOCK.
 */
uint32_t frames_drop(struct volume *volume, struct frames *frames, uint32_t first, uint32_t hits);

/*
 * Takes a page out of a block that is lent, or was revoked and is not settled: a copy of it goes to `target`, which is TAKEN,
 * or, if that is NULL, the page is dropped. No pin in such a block counts (lend.h), so this waits for none: a page with pins is
 * GONE, and the last unpin frees its frame. False: the page is not there any more, and `target` is as it was.
 */
bool page_leave_lent(struct volume *volume, struct page *page, struct page *target);

/*
 * index_pin, for all pages that are cached: one in a block that is lent is moved out of it first. If there is no frame for it,
 * it is dropped, and not found.
 */
struct page *page_pin(struct volume *volume, uint64_t key, struct lookup *lookup);

/*
 * Moves a clean or dirty page without pins to main, as the rule says; its old frame is TAKEN then, the caller's. Readers go on
 * meanwhile. False: somebody uses it, or main has no frame for it. With a budget, main's cursor goes over no more than *budget
 * frames, which are taken off; a cursor that has no block to look in costs nothing, and then a cleaning task has the migration
 * reserve.
 */
bool page_move(struct volume *volume, struct page *page, unsigned *budget);

/* Moves a page to `target`, which is TAKEN, as it is. False: somebody uses it; then `target` is FREE. */
bool page_move_to(struct volume *volume, struct page *page, struct page *target);

/*
 * Moves a page that the caller has pinned, or has WRITING, with the only pin, to `target`, which is TAKEN: it goes there as it
 * is, pin and all; its old frame is TAKEN then, the caller's. False: others have pinned it, or it is on its way to the device.
 */
bool page_move_pinned(struct volume *volume, struct page *page, struct page *target);
