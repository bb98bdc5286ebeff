/*
 * Writeback: dirty pages go to the device in the order in which they became dirty, each with its dirty neighbours in one
 * request, in disk order. A page on its way is readable and stays as it is until the write has ended.
 */
#pragma once

#include "io.h"

/* Ends the writing of a page: it is DIRTY afterwards; drops the writer's pin. */
void page_written(struct volume *volume, struct page *page);

/*
 * Starts one write, of the first page of `list` (one of the volume's) that can be written, and of its dirty neighbours; a page
 * whose last write failed is written by itself, so that it does not spoil another one's. Returns the number of pages, 0: there
 * is none. May wait for an I/O object.
 */
uint32_t writeback_start(struct volume *volume, struct list *list);

/* Forgets what is new in a dirty page that is in none of the lists any more. [D] is held. */
void page_discard_locked(struct volume *volume, struct page *page);

/* Starts a write of this page if it is dirty, with its neighbours. The page stays where it is, by a pin or a fence. */
void writeback_start_page(struct volume *volume, struct page *page);

/*
 * For somebody who needs clean pages: sees to it that something of the volume is being written and waits until a write has
 * ended. False: nothing is dirty, or nothing of it can be written.
 */
bool writeback_make_progress(struct volume *volume);

/* Waits until the writes under way have ended. Nobody starts another one meanwhile. */
void writeback_settle(struct volume *volume);

/* Waits while too much memory is dirty. The status of the last failed write if this volume's pages cannot be written. */
status_t writeback_throttle(struct volume *volume) MUST_CHECK;

/* Moves what has been dirty, or failed, for long enough to `aged`. Any task context. */
void writeback_age(struct volume *volume);

/* Writes everything that is dirty now, failed pages included, and waits. volume->flush is held. */
void writeback_pass(struct volume *volume);
