// SPDX-License-Identifier: BSD-2-Clause
/*
 * Access to single pages: pinned and read, or WRITING with the caller's pin as the only one.
 * Reading, writing, mapping and discarding are built on it.
 */
#pragma once

#include "pagecache/eviction/frame.h"

/*
 * Puts a TAKEN page into the index. False: that key is cached already, and the frame was given
 * back.
 */
bool page_insert(struct node *node, struct page *page, enum queue queue, uint64_t number, uint32_t state);

/* Waits until a pinned page has been read. On failure the pin is gone. */
status_t page_wait_read(struct page *page) MUST_CHECK;

/* Pins a page that is cached and read. The caller holds no other pin. */
status_t page_get(struct node *node, uint64_t number, struct page **page) MUST_CHECK;

/*
 * Gets the page, WRITING, with the only pin. `whole`: the caller overwrites all of it, so it is not
 * read. The caller ends it by page_written or, if it changed nothing, by page_discard. The caller
 * holds no other pin, but may hold pages of lower numbers of the same node that are WRITING.
 */
status_t page_lock_writing(struct node *node, uint64_t number, bool whole, struct page **page) MUST_CHECK;

/* Discards a page that is WRITING, with the only pin, dirty or not. */
void page_discard(struct volume *volume, struct page *page);
