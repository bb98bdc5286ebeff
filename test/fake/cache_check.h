// SPDX-License-Identifier: BSD-2-Clause
/*
 * A walker over everything that a page cache keeps, held against the rules of page.h, page_heap.h,
 * longterm.h and loan.h.
 */
#pragma once

#include "pagecache/pagecache.h"
#include "pagecache/writeback/dirty.h"

/* Checks every invariant of pages, index, page heaps and counts, with nothing under way. */
bool pagecache_is_valid(struct pagecache *pagecache);

/* Number of pages in the sets of a node, with the order checked; UINT64_MAX: it is not right. */
uint64_t dirty_count_checked(const struct dirty *dirty);
