// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page heap of a volume: pageblocks, in two queues. New pages go where a cursor stands. A
 * cursor walks its open block in address order; at each frame the rule of replacement
 * (replacement.h) decides about the page there, and a frame that is given up is refilled in place.
 * So the order of entry is the order of eviction, blocks have no holes, and a block never mixes
 * volumes.
 *
 *	source --> OPEN --cursor at its end--> QUEUED (youngest) --the rule's choice--> OPEN ...
 *	             \                            |
 *	              `--- page_heap_isolate -----+--> ISOLATED --page_heap_release--> source
 *	                                                   |----page_heap_put_back--> QUEUED
 *	                                                   `--page_heap_loan--> LOANED
 *	           LOANED --page_heap_put_back--> QUEUED
 *	           LOANED --page_heap_forget, when revoked--> none
 *
 * EMPTY blocks have no pages: fresh ones that no cursor needed, and those of which a drain leaves
 * `retain_bytes`. LONGTERM blocks are for mapped pages (longterm.h).
 *
 * Scores: the eviction cost of a block. QUEUED blocks lie in levels by the score of the last look;
 * since a hit only touches its page, the true score is that or higher. So a task that takes a block
 * from the lowest level looks at it again first, and moves it up if it has become hotter: the block
 * taken in the end is the coldest. Besides, the ageing hand goes on with the cursors: at every 16th
 * frame it looks at the score again that was looked at longest ago.
 *
 * Lock [R]: heap->lock, a leaf, behind [S] and [D]. It is held for the look at a block or two, or
 * at the scores of a bounded number of blocks (page_heap_find_group; page_heap_isolate releases it
 * between such parts). It is not held while a page is visited, copied or evicted: a visit counts in
 * pageblock->busy, which keeps the block where it is.
 */
#pragma once

#include "ghost.h"
#include "pagecache/page/pageblock_table.h"

#define SCORE_LEVELS 64

#define PAGE_HEAP_BUDGET (2 * PAGES_PER_BLOCK) /* frames that one take goes over, at most */

enum pageblock_role {
	PAGEBLOCK_NONE, /* in no page heap */
	PAGEBLOCK_EMPTY,
	PAGEBLOCK_OPEN,
	PAGEBLOCK_QUEUED,
	PAGEBLOCK_ISOLATED,
	PAGEBLOCK_LOANED,   /* on loan to the guarantee, or revoked and not reaped (loan.h) */
	PAGEBLOCK_LONGTERM, /* for mapped pages (longterm.h) */
};

struct page_heap {
	struct spinlock lock;
	struct owner owner;
	struct list empty;                   /* [R] */
	uint32_t empty_blocks;               /* [R] */
	struct list queues[QUEUES];          /* [R] QUEUED, oldest first */
	struct pageblock *open[QUEUES];      /* [R] or NULL */
	uint32_t queue_blocks[QUEUES];       /* [R] OPEN and QUEUED */
	struct list levels[SCORE_LEVELS];    /* [R] QUEUED */
	uint64_t level_mask;                 /* [R] bit i: levels[i] is not empty */
	uint32_t level_blocks[SCORE_LEVELS]; /* [R] */
	struct list longterm;                /* [R] LONGTERM */
	struct pageblock *longterm_open;     /* [R] the one with the cursor, or NULL */
	uint32_t longterm_blocks;            /* [R] */
	struct list aged;                    /* [R] QUEUED, the longest ago looked at first */
	_Atomic uint32_t blocks;             /* [R] all, in any role; read without */
	_Atomic uint32_t loaned_blocks;      /* [R] LOANED; read without */
	_Atomic uint64_t loaned_pages;       /* [R] cached in LOANED blocks; read without */
	uint32_t gone_blocks;                /* [R] given away lately and not yet replaced */
	uint32_t gone_turns;                 /* [R] blocks that the probation cursor has begun since */
	uint32_t drained_blocks;             /* [R] given by drains, of gone_blocks, at most */
	uint32_t demand_blocks;              /* [R] the most drained_blocks, slowly forgotten */
	uint32_t demand_turns;               /* [R] blocks that the probation cursor has begun since it became less */
	_Atomic uint64_t target;             /* [R] of the probation queue, see replacement.c; read without */
};

struct pagecache;
struct volume;

/*
 * Takes a block for pages, for this owner; it is in no page heap yet. Without waiting.
 * STATUS_NO_MEMORY.
 */
status_t pageblock_alloc(struct pagecache *pagecache, struct owner *owner, struct pageblock **pageblock) MUST_CHECK;

void page_heap_init(struct page_heap *heap, const char *name);

/*
 * Takes a frame at the cursor of this queue, TAKEN then. It may evict the page that was there, and
 * move others; it does not wait. NULL: the cursor came by nothing that it could evict, and the heap
 * cannot grow.
 */
struct page *page_heap_take(struct volume *volume, enum queue queue);

/*
 * The same for up to `most` neighbours at once. The cursor goes over at most *budget frames, which
 * are subtracted. Returns how many frames there are in `pages`, in address order; 0: there is none
 * to be had.
 */
unsigned page_heap_take_many(struct volume *volume, enum queue queue, struct page **pages, unsigned most, unsigned *budget);

/*
 * Keeps the block in this page heap for a short time, until page_heap_let_go; its pages come and go
 * as ever. False: the block is not there any more, or is to be drained.
 */
bool page_heap_hold(struct volume *volume, struct pageblock *pageblock);
void page_heap_let_go(struct volume *volume, struct pageblock *pageblock);

/*
 * Isolates an empty block, else the block of the lowest score, and counts what lay in it at that
 * moment. Only blocks within the target's addresses; its `wanted` goes before blocks that are not
 * clearly colder. `open`: open blocks, too, and retained ones, so that nothing is left. NULL: none
 * is left. It ends by page_heap_release or page_heap_put_back.
 */
struct pageblock *page_heap_isolate(struct volume *volume, const struct reclaim_target *target, bool open,
				    struct page_counts *counts);

/*
 * Isolates this block, if it is the volume's and QUEUED, EMPTY or OPEN. Not the open blocks of a
 * volume that has no queued ones, unless `open`. In constant time, for all blocks of a window.
 */
bool page_heap_isolate_block(struct volume *volume, struct pageblock *pageblock, bool open, struct page_counts *counts);

/*
 * A fresh block takes the place of an isolated one, whose pages are to be moved there:
 * page_heap_put_back will make it the youngest of its queue. The isolated block does not count as
 * gone, and must be released, or taken back by page_heap_put_back.
 */
struct pageblock *page_heap_replace(struct volume *volume, struct pageblock *pageblock, struct phys_addr block);

/*
 * Gives an isolated block back to the memory. False: it has a page, or a cursor still looks at it;
 * it stays isolated.
 */
bool page_heap_release(struct volume *volume, struct pageblock *pageblock);

/*
 * Puts an isolated or loaned block back into its queue, as the oldest, or, if it has lost many
 * pages, into probation; a block that was open, as the youngest.
 */
void page_heap_put_back(struct page_heap *heap, struct pageblock *pageblock);

/*
 * Adjacent blocks, as many as a piece of the guarantee has and aligned to their number, all QUEUED
 * in one page heap.
 */
struct heap_group {
	struct volume *volume;
	struct phys_addr start;
	uint64_t score; /* sum over its blocks at the last looks, and for empty frames */
};

/*
 * Finds the group of the lowest score that is at least `lowest_score`, among those around the
 * coldest blocks that the loan request admits, but for its deadline; frames that were empty at the
 * last look count, too. False: there is none.
 */
bool page_heap_find_group(struct volume *volume, const struct loan_request *wanted, uint64_t lowest_score,
			  struct heap_group *group);

/*
 * Loans an isolated block. False: a cursor still looks at it, or a page is not loanable, and it is
 * as it was. See loan.h.
 */
bool page_heap_loan(struct volume *volume, struct pageblock *pageblock);

/*
 * Whether the block is this volume's, in one of these roles (bits). [R] is held; the role is under
 * [R] of the heap that has the block.
 */
#define ROLE_BIT(role) (1u << (role))
bool page_heap_has_locked(const struct volume *volume, const struct pageblock *pageblock, unsigned roles);

/*
 * Counts a page that has left a LOANED block (note_left: a block that may be LOANED), before its
 * frame is FREE.
 */
void page_heap_note_left_locked(struct page_heap *heap, struct pageblock *pageblock);
void page_heap_note_left(struct volume *volume, struct pageblock *pageblock);

/* A loaned block that was revoked, and has no page any more, leaves the heap. */
void page_heap_forget(struct page_heap *heap, struct pageblock *pageblock);

#define HEAP_AHEAD_BLOCKS 16u

struct heap_ahead {
	struct pageblock *pageblock;
	uint32_t first; /* frame */
};

/*
 * Finds the blocks that cursors, or drains, come to soon: the rest of the open ones, and the older
 * half of probation, up to HEAP_AHEAD_BLOCKS. A page that is dirty and cold there has been written
 * to once and will hardly be written to again. Returns how many there are.
 */
unsigned page_heap_find_ahead(struct page_heap *heap, struct heap_ahead *ahead);

/* The oldest block of the queue; NULL: the queue is empty. [R] is held. */
struct pageblock *page_heap_oldest_locked(struct page_heap *heap, enum queue queue);

/* Takes the block out of its queue, its levels and its counts. [R] is held. */
void page_heap_unlink_locked(struct page_heap *heap, struct pageblock *pageblock);

/* Puts the block into a queue, as the youngest or as the oldest, with its score. [R] is held. */
void page_heap_queue_locked(struct page_heap *heap, struct pageblock *pageblock, enum queue queue, bool youngest);

/* Computes the score of a QUEUED or OPEN block anew; does nothing to another block. [R] is held. */
void page_heap_look_locked(struct page_heap *heap, struct pageblock *pageblock);

/*
 * A block that is in no page heap enters this one, in a role and for a queue. The caller puts it in
 * a list. [R] is held.
 */
void page_heap_enter_locked(struct page_heap *heap, struct pageblock *pageblock, enum pageblock_role role, enum queue queue);

/*
 * Makes a block that is in no list the open one of a queue that has none; closes the open one of a
 * queue, if there is one.
 */
void page_heap_open_locked(struct page_heap *heap, struct pageblock *pageblock, enum queue queue);
void page_heap_close_locked(struct page_heap *heap, enum queue queue);

/* The block, which is in no list, leaves this heap. [R] is held. */
void page_heap_leave_locked(struct page_heap *heap, struct pageblock *pageblock);
