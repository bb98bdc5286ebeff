// SPDX-License-Identifier: BSD-2-Clause
/*
 * The rule of replacement: S3-FIFO laid out in blocks. docs/PAGECACHE.md has the measurements.
 *
 *	        miss, unknown           miss, its ghost remembers it
 *	             |                          |
 *	             v                          v
 *	      +-- probation --+   hit twice  +- main ---------------+
 *	      | cursor        |------------->| cursor               |--- hit: stays, one hit less
 *	      +---------------+   (moved)    +----------------------+
 *	             | else                     | else
 *	             v                          v
 *	          evicted, a ghost           evicted, a ghost
 *
 * 1. New pages enter probation. A page whose ghost says that it left probation lately, by less than
 *    0.9 of the cache's pages in evictions, enters main.
 * 2. Probation's cursor moves a page of probation that was hit at least twice to main, without
 *    hits, and a page of main that was hit to main with one hit less; it evicts any other.
 * 3. Main's cursor makes a page of probation that was hit at least twice a page of main, in place;
 *    a page of main that was hit stays with one hit less; it evicts any other.
 * 4. Probation's next block is a fresh one; else, while probation is smaller than its target,
 *    main's oldest; else its own oldest. But if a fifth of that one is hot, and main's oldest has
 *    clearly fewer hot pages, the two change places.
 * 5. Main's next block is a fresh one when probation has reached its target; else probation's
 *    oldest, if probation is above its target; else main's oldest. But blocks that come back after
 *    a drain all go to probation, and while that is above its target main takes probation's oldest:
 *    so a run of blocks that was given in one piece stays cold in one piece, and can be given
 *    again.
 * 6. Probation's target begins at a tenth of the blocks. A miss whose ghost left probation just now
 *    adds a page, a miss whose ghost left main just now takes one away, within 2% and 60%; not
 *    while the cache is short of blocks that it has just given.
 * 7. Probation is no smaller than what drains took of the cache at a time, up to a third of the
 *    cache: so much will be wanted again, and is cold then. A 256th of that demand is forgotten
 *    with each turn of the cache. While it is more than the target, the target does not fall.
 * 8. When a block is drained, pages that were hit at least twice move to main while main has colder
 *    ones; all others are dropped.
 * 9. The block of the lowest score goes first. Of windows, the one whose blocks have the lowest
 *    sum, open blocks like others, and only if all of them can be given: a window with something in
 *    the way loses no page for nothing.
 *
 * Pages that are dirty, pinned or in writeback stay where they are when the cursor comes; the
 * background writer keeps the frames ahead of the cursors clean (writeback.h).
 */
#pragma once

#include "page_heap.h"

void replacement_init(struct page_heap *heap);

/* The queue for a page that was missed. */
enum queue replacement_admit(struct volume *volume, uint64_t key);

/*
 * The hand of a queue at a frame. True: the frame is TAKEN now, and the caller's. May evict or move
 * the page; no lock is held.
 */
bool replacement_visit(struct volume *volume, struct page *page, enum queue queue);

#define REPLACEMENT_HOT_HITS 2u /* of pages of probation, and of pages whose block is drained */

/* The bits of the counter of pages with fewer hits. */
#define REPLACEMENT_COLD_HITS ((REPLACEMENT_HOT_HITS - 1) * PAGE_HIT)
_Static_assert((REPLACEMENT_HOT_HITS & (REPLACEMENT_HOT_HITS - 1)) == 0, "hot is one bit or more of the counter");

/*
 * Whether a cursor spares the page; whether a drain moves it; and its state after a move to main,
 * or when main spares it.
 */
bool replacement_is_hot(uint32_t state);
bool replacement_is_worth_moving(uint32_t state);
uint32_t replacement_state_in_main(uint32_t state);

/* Whether the queue should get a fresh block. [R] is held. */
bool replacement_wants_fresh_locked(const struct page_heap *heap, enum queue queue);

/*
 * The block that the queue's cursor goes over next; it may be of the other queue. NULL: none. [R]
 * is held.
 */
struct pageblock *replacement_next_locked(struct page_heap *heap, enum queue queue);

/* A drain gave so many blocks to a request: as many may be wanted again. Takes [R]. */
void replacement_drained(struct page_heap *heap, uint64_t blocks);

/* A fresh block has come. [R] is held. */
void replacement_came_back_locked(struct page_heap *heap);

/* Called when probation's cursor begins a block. [R] is held. */
void replacement_turn_locked(struct page_heap *heap);

#define REPLACEMENT_SCORE_PAGE 20u /* a page that is missed */
#define REPLACEMENT_SCORE_MAX  (4 * REPLACEMENT_SCORE_PAGE * PAGES_PER_BLOCK)

/*
 * The score of the block now, its eviction cost in 20ths of a page that is missed, and its page
 * counts. [R] is held.
 */
uint32_t replacement_look(const struct pageblock *pageblock, struct page_counts *counts);

/* Its page counts, and the score without its place in the queue. [R] need not be held. */
uint32_t replacement_count(const struct pageblock *pageblock, struct page_counts *counts);

/*
 * The score of a block that a cursor begins: what it is expected to be worth, or what it is worth
 * now if that is more. [R] is held.
 */
uint32_t replacement_score_open(const struct pageblock *pageblock);
