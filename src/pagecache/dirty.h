/*
 * The dirty pages of a node, by what keeps them from being clean:
 *
 *	DIRTY_WAITING  to be written
 *	DIRTY_FAILED   the last write failed (the page is FAILED, too)
 *	DIRTY_BUSY     met by the writeback while a writer has the page; claimed as soon as the writer is done
 *
 * Of each kind there are two sets, in the order of page numbers: new pages enter the young one; the writeback empties the old
 * one, and turns the two when the old one is empty. So a pass finds its pages in time proportional to their number, and what
 * becomes dirty meanwhile does not make it longer. All sets of a node are one treap through the descriptors of the pages. Links
 * are frame numbers, and a page's priority is a hash of its frame: inserting needs no memory, and each operation looks at some
 * 2 log2(pages) pages.
 *
 * Times are the volume's clock of passes, 64 bits: nanoseconds, and no two are the same. [D] is held for all of it.
 */
#pragma once

#include "frame_table.h"

enum dirty_kind {
	DIRTY_WAITING,
	DIRTY_FAILED,
	DIRTY_BUSY,
	DIRTY_KINDS,
};

struct dirty_set {
	uint32_t young;  /* which of the two */
	uint64_t turned; /* when the young one became the old one */
	uint64_t gone;   /* the pages that entered before have left */
};

struct dirty {
	const struct frame_table *table; /* [I] */
	struct dirty_set sets[DIRTY_KINDS];
	uint32_t root;  /* frame, or PAGE_NONE */
	uint64_t ready; /* no page of DIRTY_BUSY with a lower number can be claimed; UINT64_MAX: none can */
};

void dirty_init(struct dirty *dirty, const struct frame_table *table);

/* Enters the young pages of the kind. */
void dirty_insert(struct dirty *dirty, enum dirty_kind kind, struct page *page);
void dirty_remove(struct dirty *dirty, struct page *page);

/* Puts `to`, which has the key of `from`, in its place. */
void dirty_replace(struct dirty *dirty, struct page *from, struct page *to);

/* Moves a page that a writer has to the young pages of DIRTY_BUSY. */
void dirty_make_busy(struct dirty *dirty, struct page *page);
bool dirty_is_busy(const struct page *page);

/* The first page of the kind from this number on: of any age, or of the old ones. NULL: none. */
struct page *dirty_first(const struct dirty *dirty, enum dirty_kind kind, uint64_t number);
struct page *dirty_first_old(const struct dirty *dirty, enum dirty_kind kind);

/* The young pages become the old ones, if there are young ones and no old ones. */
void dirty_turn(struct dirty *dirty, enum dirty_kind kind, uint64_t now);

/* Whether all pages of the kind have left that were there at that time. */
bool dirty_has_left(const struct dirty *dirty, enum dirty_kind kind, uint64_t since);
