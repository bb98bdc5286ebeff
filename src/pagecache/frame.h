/*
 * Frames: what a page heap (an objcache with the cursor policy) hands out, seen as pages. Taking a frame may evict the page
 * that lies at the cursor; nothing else here evicts. No lock is held by the caller of frame_take.
 */
#pragma once

#include "volume.h"

/* The page heap of a volume, before it is attached. */
status_t frames_init(struct volume *volume) MUST_CHECK;

/* A frame without a page: state 0. Does not wait. NULL: the cursor finds nothing to evict, and the heap cannot grow. */
struct page *frame_try_take(struct volume *volume);

/* The same, but writes dirty pages and drains others before it gives up. NULL: no memory. Without pins. */
struct page *frame_take(struct volume *volume);

/* Gives back the frame of a page in state 0. */
void frame_return(struct page *page);

/* The page whose frame this is. */
struct page *frame_page(struct volume *volume, const void *frame);
void *page_memory(const struct page *page);

/* Any task context. The last unpin of a page that is not cached returns its frame. */
void page_unpin(struct page *page);

/* Takes a clean page without pins out of the index; its frame then belongs to the caller. False: it is something else. */
bool page_evict(struct volume *volume, struct page *page);
bool page_evict_locked(struct volume *volume, struct page *page); /* [S] is held */

/* Moves a dirty page without pins to another frame of the volume; its old frame then belongs to the caller. */
bool page_move(struct volume *volume, struct page *page);

/* The entry stamp of the volume's oldest block, UINT64_MAX without one. */
uint64_t frames_oldest(struct volume *volume);
