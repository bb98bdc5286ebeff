/*
 * Pages for one at a time: pinned and read, or WRITING with the caller's as the only pin. What read, write, map and discard are
 * made of.
 */
#pragma once

#include "frame.h"

/* Counts lookups that hit, that missed, and those that were the first use of a page that had been read ahead. */
void volume_count_lookups(struct volume *volume, uint64_t hits, uint64_t misses, uint64_t first_uses);

/* STATUS_RANGE unless [offset, offset + bytes) lies within the node. */
status_t node_check_range(const struct node *node, uint64_t offset, uint64_t bytes) MUST_CHECK;

/* Whether the node can be written: STATUS_READ_ONLY, STATUS_GONE. */
status_t node_check_writable(const struct node *node) MUST_CHECK;

/* Puts a page that is TAKEN into the index; false: that key is cached already, and the frame was given back. */
bool page_insert(struct node *node, struct page *page, enum lane lane, uint64_t number, uint32_t state);

/* Waits until a pinned page has been read. On failure the pin is gone. */
status_t page_wait_read(struct page *page) MUST_CHECK;

/* Pins a page that is cached and read. The caller holds no other pin. */
status_t page_get(struct node *node, uint64_t number, struct page **page) MUST_CHECK;

/*
 * Gives the page, WRITING, with the only pin; `whole`: what it contains does not matter, so it is not read. It ends by
 * page_written or, if nothing was changed, page_give_up. The caller holds no other pin, but may hold pages of lower numbers of
 * the same node that are WRITING.
 */
status_t page_get_writing(struct node *node, uint64_t number, bool whole, struct page **page) MUST_CHECK;

/* Takes a page that is WRITING, with the only pin, out of the cache, whatever is new in it. */
void page_give_up(struct volume *volume, struct page *page);
