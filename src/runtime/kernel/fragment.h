// SPDX-License-Identifier: BSD-2-Clause
/*
 * A fragment: a block of 2 MB of which only some pages are there to be given out, with two bitmaps
 * for them. Two bits say what a page is. No locking.
 */
#pragma once

#include "runtime/base/types.h"

#define FRAGMENT_WORDS (PAGES_PER_BLOCK / 64)

/*
 * used first
 *   0    0    free
 *   1    1    the first page of an allocation
 *   1    0    a later page of it
 *   0    1    not ours
 */
struct fragment {
	uint64_t block; /* its first byte */
	uint64_t free_pages;
	uint64_t used[FRAGMENT_WORDS];
	uint64_t first[FRAGMENT_WORDS];
};

/* No page is ours yet. */
void fragment_init(struct fragment *fragment, uint64_t block);

/* Pages [page, page + pages) become ours, and free. */
void fragment_add(struct fragment *fragment, uint64_t page, uint64_t pages);

/*
 * Where `pages` free pages follow each other, the first one at a multiple of `alignment_pages`.
 * False: nowhere.
 */
bool fragment_search(const struct fragment *fragment, uint64_t pages, uint64_t alignment_pages, uint64_t *page);

/* Takes what fragment_search found. */
void fragment_take(struct fragment *fragment, uint64_t page, uint64_t pages);

/*
 * Frees the allocation that begins at `page`, and returns its pages. Panics when none begins there.
 */
uint64_t fragment_free(struct fragment *fragment, uint64_t page);
