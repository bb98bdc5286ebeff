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
 *	              `--- page_heap_fence -------+--> FENCED --page_heap_release--> source
 *	                                                 |------page_heap_unfence--> QUEUED
 *	                                                 `--page_heap_lend--> LENT
 *	           LENT --page_heap_unfence--> QUEUED
 *	           LENT --page_heap_forget, when revoked--> none
 *
 * EMPTY blocks have no pages: fresh ones that no cursor needed, and those of which a drain leaves
 * `retain_bytes`. APART blocks are for mapped pages (apart.h).
 *
 * Scores: the eviction cost of a block. QUEUED blocks lie in levels by the score of the last look;
 * since a hit only touches its page, the true score is that or higher. So a task that takes a block
 * from the lowest level looks at it again first, and moves it up if it has become hotter: the block
 * taken in the end is the coldest. Besides, the ageing hand goes on with the cursors: at every 16th
 * frame it looks at the score again that was looked at longest ago.
 *
 * Lock [R]: heap->lock, a leaf, behind [S] and [D]. It is held for the look at a block or two, or
 * at the scores of a bounded number of blocks (page_heap_find_group; page_heap_fence releases it
 * between such parts). It is not held while a page is visited, copied or evicted: a visit counts in
 * frames->busy, which keeps the block where it is.
 */
#pragma once

#include "frame_table.h"
#include "ghost.h"

#define SCORE_LEVELS 64

#define PAGE_HEAP_BUDGET (2 * PAGES_PER_BLOCK) /* frames that one take goes over, at most */

enum frames_role {
	FRAMES_NONE, /* in no page heap */
	FRAMES_EMPTY,
	FRAMES_OPEN,
	FRAMES_QUEUED,
	FRAMES_FENCED,
	FRAMES_LENT,  /* on loan to the guarantee, or revoked and not reaped (lend.h) */
	FRAMES_APART, /* for mapped pages (apart.h) */
};

struct page_heap {
	struct spinlock lock;
	struct owner owner;
	struct list empty;                   /* [R] */
	uint32_t empty_blocks;               /* [R] */
	struct list queues[LANES];           /* [R] QUEUED, oldest first */
	struct frames *open[LANES];          /* [R] or NULL */
	uint32_t lane_blocks[LANES];         /* [R] OPEN and QUEUED */
	struct list levels[SCORE_LEVELS];    /* [R] QUEUED */
	uint64_t level_mask;                 /* [R] bit i: levels[i] is not empty */
	uint32_t level_blocks[SCORE_LEVELS]; /* [R] */
	struct list apart;                   /* [R] APART */
	struct frames *apart_open;           /* [R] the one with the cursor, or NULL */
	uint32_t apart_blocks;               /* [R] */
	struct list aged;                    /* [R] QUEUED, the longest ago looked at first */
	_Atomic uint32_t blocks;             /* [R] all, in any role; read without */
	_Atomic uint32_t lent_blocks;        /* [R] LENT; read without */
	_Atomic uint64_t lent_pages;         /* [R] cached in LENT blocks; read without */
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
status_t frames_alloc(struct pagecache *pagecache, struct owner *owner, struct frames **frames) MUST_CHECK;

void page_heap_init(struct page_heap *heap, const char *name);

/*
 * Takes a frame at the cursor of this queue, TAKEN then. It may evict the page that was there, and
 * move others; it does not wait. NULL: the cursor came by nothing that it could evict, and the heap
 * cannot grow.
 */
struct page *page_heap_take(struct volume *volume, enum lane lane);

/*
 * The same for up to `most` neighbours at once. The cursor goes over at most *budget frames, which
 * are subtracted. Returns how many frames there are in `pages`, in address order; 0: there is none
 * to be had.
 */
unsigned page_heap_take_many(struct volume *volume, enum lane lane, struct page **pages, unsigned most, unsigned *budget);

/*
 * Keeps the block in this page heap for a short time, until page_heap_let_go; its pages come and go
 * as ever. False: the block is not there any more, or is to be drained.
 */
bool page_heap_hold(struct volume *volume, struct frames *frames);
void page_heap_let_go(struct volume *volume, struct frames *frames);

/*
 * Isolates an empty block, else the block of the lowest score, and counts what lay in it at that
 * moment. Only blocks within the target's addresses; its `wanted` goes before blocks that are not
 * clearly colder. `open`: open blocks, too, and retained ones, so that nothing is left. NULL: none
 * is left. It ends by page_heap_release or page_heap_unfence.
 */
struct frames *page_heap_fence(struct volume *volume, const struct reclaim_target *target, bool open,
			       struct frames_census *census);

/*
 * Isolates this block, if it is the volume's and QUEUED, EMPTY, or, if `open`, OPEN. In constant
 * time, for all blocks of a window.
 */
bool page_heap_fence_block(struct volume *volume, struct frames *frames, bool open, struct frames_census *census);

/*
 * A fresh block takes the place of an isolated one, whose pages are to be moved there:
 * page_heap_unfence will make it the youngest of its queue. The isolated block does not count as
 * gone, and must be released, or taken back by page_heap_unfence.
 */
struct frames *page_heap_replace(struct volume *volume, struct frames *frames, struct phys_addr block);

/*
 * Gives an isolated block back to the memory. False: it has a page, or a cursor still looks at it;
 * it stays isolated.
 */
bool page_heap_release(struct volume *volume, struct frames *frames);

/*
 * Puts an isolated or loaned block back into its queue, as the oldest, or, if it has lost many
 * pages, into probation; a block that was open, as the youngest.
 */
void page_heap_unfence(struct page_heap *heap, struct frames *frames);

/* Adjacent blocks, as many as a piece of the guarantee has and aligned to their number, all QUEUED in one page heap. */
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
bool page_heap_find_group(struct volume *volume, const struct guarantee_wish *wish, uint64_t lowest_score,
			  struct heap_group *group);

/*
 * Loans an isolated block. False: a cursor still looks at it, or a page is not lendable, and it is
 * as it was. See lend.h.
 */
bool page_heap_lend(struct volume *volume, struct frames *frames);

/*
 * Whether the block is this volume's, in one of these roles (bits). [R] is held; the role is under
 * [R] of the heap that has the block.
 */
#define ROLE_BIT(role) (1u << (role))
bool page_heap_has_locked(const struct volume *volume, const struct frames *frames, unsigned roles);

/*
 * Counts a page that has left a LENT block (note_left: a block that may be LENT), before its frame
 * is FREE.
 */
void page_heap_note_left_locked(struct page_heap *heap, struct frames *frames);
void page_heap_note_left(struct volume *volume, struct frames *frames);

/* A loaned block that was revoked, and has no page any more, leaves the heap. */
void page_heap_forget(struct page_heap *heap, struct frames *frames);

#define HEAP_AHEAD_BLOCKS 16u

struct heap_ahead {
	struct frames *frames;
	uint32_t first; /* frame */
};

/*
 * Finds the blocks that cursors, or drains, come to soon: the rest of the open ones, and the older
 * half of probation, up to HEAP_AHEAD_BLOCKS. A page that is dirty and cold there has been written
 * to once and will hardly be written to again. Returns how many there are.
 */
unsigned page_heap_find_ahead(struct page_heap *heap, struct heap_ahead *ahead);

/* The oldest block of the queue; NULL: the queue is empty. [R] is held. */
struct frames *page_heap_oldest_locked(struct page_heap *heap, enum lane lane);

/* Takes the block out of its queue, its levels and its counts. [R] is held. */
void page_heap_unlink_locked(struct page_heap *heap, struct frames *frames);

/* Puts the block into a queue, as the youngest or as the oldest, with its score. [R] is held. */
void page_heap_queue_locked(struct page_heap *heap, struct frames *frames, enum lane lane, bool youngest);

/* Computes the score of a QUEUED or OPEN block anew; does nothing to another block. [R] is held. */
void page_heap_look_locked(struct page_heap *heap, struct frames *frames);

/*
 * A block that is in no page heap enters this one, in a role and for a queue. The caller puts it in
 * a list. [R] is held.
 */
void page_heap_enter_locked(struct page_heap *heap, struct frames *frames, enum frames_role role, enum lane lane);

/*
 * Makes a block that is in no list the open one of a queue that has none; closes the open one of a
 * queue, if there is one.
 */
void page_heap_open_locked(struct page_heap *heap, struct frames *frames, enum lane lane);
void page_heap_close_locked(struct page_heap *heap, enum lane lane);

/* The block, which is in no list, leaves this heap. [R] is held. */
void page_heap_leave_locked(struct page_heap *heap, struct frames *frames);
