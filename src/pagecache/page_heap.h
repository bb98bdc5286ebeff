/*
 * The page heap of a volume: blocks of frames, in two queues. New pages go where a cursor stands, and a cursor walks its open
 * block in address order: at each frame it asks the rule (replacement.h) what becomes of the page there, and a frame that is
 * given up is refilled in place. So the order of entry is the order of eviction, blocks have no holes, and a block never mixes
 * volumes.
 *
 *	source --> OPEN --cursor at its end--> QUEUED (youngest) --the rule's choice--> OPEN ...
 *	             \                            |
 *	              `--- page_heap_fence -------+--> FENCED --page_heap_release--> source
 *	                                                 |------page_heap_unfence--> QUEUED
 *	                                                 `--page_heap_lend--> LENT --page_heap_unfence--> QUEUED
 *	                                                                         `---page_heap_forget--> none, when revoked
 *
 * EMPTY blocks have no pages: fresh ones that came too many, and those of which a drain leaves `retain_bytes`. APART ones are
 * for pages that are mapped (apart.h).
 *
 * Scores: what it would cost to lose a block. QUEUED blocks lie in levels by the score that they had when somebody looked last;
 * since a hit only touches its page, the true score is that or higher. So whoever takes a block from the lowest level looks
 * again first, and puts it higher if it has become hotter: what is taken in the end is the coldest. Besides, the ageing hand
 * goes on with the cursors: at every 16th frame it looks at the score anew that was looked at longest ago.
 *
 * Lock [R]: heap->lock, a leaf, behind [S] and [D]. It is held for the look at a block or two, or at the scores of a bounded
 * number of blocks (page_heap_find_group; page_heap_fence lets it go between such parts); not while a page is visited, copied
 * or evicted: a visit counts in frames->busy, which keeps the block where it is.
 */
#pragma once

#include "frame_table.h"
#include "ghost.h"

#define SCORE_LEVELS 64

#define PAGE_HEAP_BUDGET (2 * PAGES_PER_BLOCK) /* frames that a cursor goes over before somebody has to do something about it */

enum frames_role {
	FRAMES_NONE, /* in no page heap */
	FRAMES_EMPTY,
	FRAMES_OPEN,
	FRAMES_QUEUED,
	FRAMES_FENCED,
	FRAMES_LENT,  /* to the guarantee, or revoked by it and not yet settled (lend.h) */
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
	struct frames *apart_open;           /* [R] the one of them that frames are taken from, or NULL */
	uint32_t apart_blocks;               /* [R] */
	struct list aged;                    /* [R] QUEUED, the score that was looked at longest ago first */
	_Atomic uint32_t blocks;             /* [R] all, FENCED, LENT and APART ones included; read without */
	_Atomic uint32_t lent_blocks;        /* [R] LENT; read without */
	_Atomic uint64_t lent_pages;         /* [R] cached in these; read without */
	uint32_t gone_blocks;                /* [R] given away not long ago and not yet replaced */
	uint32_t gone_turns;                 /* [R] blocks that the probation cursor has begun since */
	uint32_t drained_blocks;             /* [R] of them given by drains for others, at most */
	uint32_t demand_blocks;              /* [R] the most of these at any time, somewhat less after each turn of the cache */
	uint32_t demand_turns;               /* [R] blocks that the probation cursor has begun since it became less */
	_Atomic uint64_t target;             /* [R] of the probation queue, see replacement.c; read without */
};

struct pagecache;
struct volume;

/* A block of the memory for pages, of this owner; it is in no page heap yet. Without waiting. STATUS_NO_MEMORY. */
status_t frames_alloc(struct pagecache *pagecache, struct owner *owner, struct frames **frames) MUST_CHECK;

void page_heap_init(struct page_heap *heap, const char *name);

/*
 * A frame at the cursor of this lane, TAKEN. May evict the page that was there, and move others; does not wait. NULL: nothing
 * that the cursor came by could be given up, and the heap cannot grow.
 */
struct page *page_heap_take(struct volume *volume, enum lane lane);

/*
 * The same for up to `most` neighbours at once, while the cursor goes over no more than *budget frames; those that it went over
 * are taken off. Returns how many there are in `pages`, in address order, at least one unless there is none to be had.
 */
unsigned page_heap_take_many(struct volume *volume, enum lane lane, struct page **pages, unsigned most, unsigned *budget);

/*
 * Has the block stay in this page heap, for a short time, until page_heap_let_go; its pages come and go as ever. False: it is
 * not there any more, or is to be drained.
 */
bool page_heap_hold(struct volume *volume, struct frames *frames);
void page_heap_let_go(struct volume *volume, struct frames *frames);

/* What a fence may take. */
struct fence_limits {
	struct phys_addr lowest;  /* only blocks wholly within [lowest, highest] */
	struct phys_addr highest; /* last byte */
	struct phys_addr wanted;  /* rather this block, unless others are clearly colder than all that will go; 0: none */
	bool open;                /* open blocks, too, and the empty ones that are retained: nothing is to be left */
};

/*
 * Fences an empty block, else the one of the lowest score, and says what lay in it at that moment. NULL: none left. It ends by
 * page_heap_release or page_heap_unfence.
 */
struct frames *page_heap_fence(struct volume *volume, const struct fence_limits *limits, struct frames_census *census);

/* Fences this block, if it is the volume's and QUEUED, EMPTY, or, if `open`, OPEN. In constant time, for all of a window. */
bool page_heap_fence_block(struct volume *volume, struct frames *frames, bool open, struct frames_census *census);

/*
 * A fresh block of memory takes the place of a fenced one, whose pages are to be moved there: in its lane as the youngest, when
 * it is unfenced. The fenced one does not count as gone, and must be released, or taken back by page_heap_unfence.
 */
struct frames *page_heap_replace(struct volume *volume, struct frames *frames, struct phys_addr block);

/* Gives a fenced block back to the memory. False: a page is left, or a cursor still looks at it; it stays fenced. */
bool page_heap_release(struct volume *volume, struct frames *frames);

/* After a drain that gave so many blocks, or a part of one: what is gone now may be wanted again. */
void page_heap_note_demand(struct volume *volume, uint64_t blocks);

/*
 * Puts a block that is fenced, or lent, back into its queue, as the oldest, or, if it has lost many pages, into probation's;
 * one that was open, as the youngest.
 */
void page_heap_unfence(struct volume *volume, struct frames *frames);

/* Adjacent blocks, as many as a piece of the guarantee has and aligned to their number, all QUEUED in one page heap. */
struct heap_group {
	struct volume *volume;
	struct phys_addr start;
	uint64_t score; /* sum over its blocks, when they were looked at last, and for frames that are empty */
};

/*
 * The group of the lowest score, but at least of this one, among those around the coldest blocks that the wish admits, but for
 * its deadline; frames that are empty count as they were looked at last. False: there is none.
 */
bool page_heap_find_group(struct volume *volume, const struct guarantee_wish *wish, uint64_t lowest_score,
			  struct heap_group *group);

/* A fenced block is lent; false: a cursor still looks at it, or a page is not lendable, and it is as it was. See lend.h. */
bool page_heap_lend(struct volume *volume, struct frames *frames);

/* Whether the block is this volume's, in one of these roles: bits. [R] is held: the role is the heap's that has the block. */
#define ROLE_BIT(role) (1u << (role))
bool page_heap_has_locked(const struct volume *volume, const struct frames *frames, unsigned roles);

/* Counts a page that has left a LENT block; the second one, a page that has left any. Before its frame is FREE. */
void page_heap_note_left_locked(struct page_heap *heap, struct frames *frames);
void page_heap_note_left(struct volume *volume, struct frames *frames);

/* A lent block that was revoked, and has no page any more, leaves the heap. */
void page_heap_forget(struct volume *volume, struct frames *frames);

/*
 * How long ago the block was filled that will be refilled next, in blocks that any cursor has begun since; `now` is
 * pagecache->clock. 0: there is none.
 */
uint32_t page_heap_age(struct page_heap *heap, uint32_t now);

/* The block of the queue that is refilled next; NULL: it has none. [R] is held. */
struct frames *page_heap_oldest_locked(struct page_heap *heap, enum lane lane);

/* Takes the block out of its queue, its levels and its counts. [R] is held. */
void page_heap_unlink_locked(struct page_heap *heap, struct frames *frames);

/* Puts it into the queue of a lane, as the youngest or as the oldest, with its score. [R] is held. */
void page_heap_queue_locked(struct page_heap *heap, struct frames *frames, enum lane lane, bool youngest);

/* Looks at the score of a block again that is QUEUED or OPEN; does nothing to another one. [R] is held. */
void page_heap_look_locked(struct page_heap *heap, struct frames *frames);

/* A block that is in no page heap becomes this one's, in a role and for a lane. The caller puts it in a list. [R] is held. */
void page_heap_enter_locked(struct page_heap *heap, struct frames *frames, enum frames_role role, enum lane lane);

/* Makes a block that is in no list the open one of a lane that has none; closes the one of a lane, if there is one. */
void page_heap_open_locked(struct page_heap *heap, struct frames *frames, enum lane lane);
void page_heap_close_locked(struct page_heap *heap, enum lane lane);

/* The block does not belong to this heap any more; it is in no list. [R] is held. */
void page_heap_leave_locked(struct page_heap *heap, struct frames *frames);
