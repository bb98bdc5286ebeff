/*
 * The rule of replacement: S3-FIFO laid out in blocks. docs/PAGECACHE.md says what was measured.
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
 *  1. New pages enter probation. One whose ghost says that it left probation not long ago, less than 0.9 of the cache's pages
 *     in evictions, enters main.
 *  2. Probation's cursor: a page of its own that was hit at least twice is moved to main, without hits; one of main that was
 *     hit is moved there with one hit less; any other is evicted.
 *  3. Main's cursor: a page of probation that was hit at least twice becomes one of main, in place; one of main that was hit
 *     stays with one hit less; any other is evicted.
 *  4. Probation's next block: a fresh one; else, while it is smaller than its target, the oldest of main; else its oldest. But
 *     if a fifth of that one is hot, and main's oldest has clearly fewer hot pages, the two change places.
 *  5. Main's next block: a fresh one when probation has reached its target; else probation's oldest, if that is above it; else
 *     main's oldest. But blocks that come back after a drain all go to probation, while that is above its target main takes its
 *     oldest: so a run of blocks that was given in one piece stays cold in one piece, and can be given again.
 *  6. Probation's target begins at a tenth of the blocks. A miss whose ghost left probation just now adds a page, one whose
 *     ghost left main just now takes one away, within 2% and 60%; not while the cache is short of blocks that it has just
 *     given.
 *  7. Probation is no smaller than what drains took of the cache at a time, up to a third of it: so much will be wanted
 *     again, and is cold then. A 256th of it is forgotten with each turn of the cache. While it is more than the target, that
 *     does not become less.
 *
 *  8. When a block is drained, pages that were hit at least twice are moved to main while main has colder ones, all others are
 *     dropped.
 *  9. The block of the lowest score goes first. Of runs, the one whose blocks have the lowest sum, open blocks like others, and
 *     only if all of them can be given; none of what is in the way of a run is touched for nothing.
 *
 * Pages that are dirty, pinned or on their way stay where they are when the cursor comes; the writer keeps the frames ahead of
 * the cursors clean (writeback.h).
 */
#pragma once

#include "page_heap.h"

void replacement_init(struct page_heap *heap);

/* Where a page that has been missed goes. */
enum lane replacement_admit(struct volume *volume, uint64_t key);

/*
 * The hand of a lane at a frame: true: the page is now TAKEN, and the caller's. May evict or move; no lock is held.
 */
bool replacement_visit(struct volume *volume, struct page *page, enum lane lane);

#define REPLACEMENT_HOT_HITS 2u /* of a page of probation, and of any page whose block is drained */

/* The bits of the counter that pages with fewer hits have. */
#define REPLACEMENT_COLD_HITS ((REPLACEMENT_HOT_HITS - 1) * PAGE_HIT)
_Static_assert((REPLACEMENT_HOT_HITS & (REPLACEMENT_HOT_HITS - 1)) == 0, "hot is one bit or more of the counter");

/* Whether a cursor spares the page; whether a drain moves it; and its state when it is moved to main, or spared there. */
bool replacement_is_hot(uint32_t state);
bool replacement_is_worth_moving(uint32_t state);
uint32_t replacement_state_in_main(uint32_t state);

/* Whether a fresh block should come in for this lane. [R] is held. */
bool replacement_wants_fresh_locked(const struct page_heap *heap, enum lane lane);

/* The block that the cursor of this lane goes over next; it may belong to the other queue. NULL: none. [R] is held. */
struct frames *replacement_next_locked(struct page_heap *heap, enum lane lane);

/* So many blocks that have gone were wanted by others; a fresh one has come. [R] is held. */
void replacement_drained_locked(struct page_heap *heap, uint64_t blocks);
void replacement_came_back_locked(struct page_heap *heap);

/* Probation's cursor begins a block. [R] is held. */
void replacement_turn_locked(struct page_heap *heap);

#define REPLACEMENT_SCORE_PAGE 20u /* a page that is missed */
#define REPLACEMENT_SCORE_MAX  (4 * REPLACEMENT_SCORE_PAGE * PAGES_PER_BLOCK)

/* What it would cost to lose the block now, in 20ths of a page that is missed, and what lies in it. [R] is held. */
uint32_t replacement_look(const struct frames *frames, struct frames_census *census);

/* What lies in it, and the score without its place in the queue; [R] need not be held. */
uint32_t replacement_census(const struct frames *frames, struct frames_census *census);

/* The score of a block that its cursor begins: what it will be worth, unless what is in it now is worth more. [R] is held. */
uint32_t replacement_score_open(const struct frames *frames);
