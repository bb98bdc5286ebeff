// SPDX-License-Identifier: BSD-2-Clause
/*
 * The dirty pages of a node, by what keeps them from being clean:
 *
 *	DIRTY_WAITING  to be written
 *	DIRTY_FAILED   the last write failed (the page is FAILED, too)
 *	DIRTY_BUSY     a writer had the page when the writeback came; claimed when the writer is done
 *
 * Each kind has two sets, in the order of page numbers. New pages enter the young set; the
 * writeback empties the old one, and turns the two when the old one is empty. So a pass finds its
 * pages in time proportional to their number, and pages that become dirty meanwhile do not make it
 * longer. All sets of a node are one treap through the descriptors of the pages. Links are frame
 * numbers, and a page's priority is a hash of its frame: an insert needs no memory, and each
 * operation looks at some 2 log2(pages) pages.
 *
 * Times are on the volume's clock of passes: nanoseconds in 64 bits, no two the same. [D] is held
 * for all of it.
 */
#pragma once

#include "pagecache/page/pageblock_table.h"

enum dirty_kind {
	DIRTY_WAITING,
	DIRTY_FAILED,
	DIRTY_BUSY,
	DIRTY_KINDS,
};

struct dirty_set {
	uint32_t young;  /* which of the two is young */
	uint64_t turned; /* when the young one became the old one */
	uint64_t gone;   /* all pages that entered before this time have left */
};

struct dirty {
	const struct pageblock_table *table; /* [I] */
	struct dirty_set sets[DIRTY_KINDS];
	uint32_t root;  /* frame, or PAGE_NONE */
	uint64_t ready; /* lower pages of DIRTY_BUSY cannot be claimed; UINT64_MAX: none can */
};

void dirty_init(struct dirty *dirty, const struct pageblock_table *table);

/* Inserts the page into the young set of the kind. */
void dirty_insert(struct dirty *dirty, enum dirty_kind kind, struct page *page);
void dirty_remove(struct dirty *dirty, struct page *page);

/* Replaces `from` by `to`, which gets its key. */
void dirty_replace(struct dirty *dirty, struct page *from, struct page *to);

/* Moves a page that a writer has to the young set of DIRTY_BUSY. */
void dirty_make_busy(struct dirty *dirty, struct page *page);
bool dirty_is_busy(const struct page *page);

/* The first page of the kind from this number on: of both sets, or of the old one. NULL: none. */
struct page *dirty_first(const struct dirty *dirty, enum dirty_kind kind, uint64_t number);
struct page *dirty_first_old(const struct dirty *dirty, enum dirty_kind kind);

/* Makes the young set the old one, if it has pages and the old set has none. */
void dirty_turn(struct dirty *dirty, enum dirty_kind kind, uint64_t now);

/* Whether all pages that the kind had at time `since` have left. */
bool dirty_has_left(const struct dirty *dirty, enum dirty_kind kind, uint64_t since);
