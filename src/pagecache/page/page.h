// SPDX-License-Identifier: BSD-2-Clause
/*
 * A cached page: 4 KB of a node in a frame of its volume's page heap. Its descriptor lies outside
 * of the frame, in a table that has one for every frame of the machine (pageblock_table.h):
 * descriptors never go away, even when their frames leave the cache.
 *
 * The state word holds the content, the flags, the counter of hits, and the pins. One table in
 * page.c says which content may follow which, and every change is checked against it;
 * docs/PAGECACHE.md draws it.
 *
 *	content    pins   meaning
 *	FREE       0      no page in this frame
 *	TAKEN      0      no page; the frame belongs to the task that took it: for a miss, a move,
 *			  an eviction
 *	GONE       >= 1   out of the index; the last unpin frees the frame. Its read failed, and
 *			  `key` holds the negated status; or it has left a loaned block, where pins do not
 *			  count (loan.h)
 *	WRITING    >= 1   a writer waits for the other pins, then has the page for itself
 *	READING    >= 1   on its way from the device; the I/O holds a pin
 *	CLEAN      >= 0   as on the device
 *	DIRTY      >= 0   newer than the device
 *	WRITEBACK  >= 0   on its way to the device; readable, not writable
 *
 *	LISTED     in a dirty set of its node: exactly while DIRTY, or WRITING and DIRTY before
 *	FAILED     the last write of it failed; with DIRTY, WRITING and WRITEBACK only
 *	UNFLUSHED  the device has it, perhaps in a cache that it may still lose (written.h)
 *	STALE      read from where the device has lost written data, and not overwritten as a whole
 *	LOST       dirty or in writeback, and the device has lost what was written of it before
 *	MAIN       belongs to the main queue (replacement.h)
 *	AHEAD      read ahead, not used yet
 *
 * 1. A pin keeps the page as it is. A task takes it without any lock, by one compare-and-swap on
 *    the state, which succeeds only from READING on; it counts only if the page's key and
 *    generation are the right ones afterwards (index.h).
 * 2. A page without pins leaves its frame by a compare-and-swap of the state, so no pin can slip
 *    in. A page with pins stays as it is, except for READING that ends, and for changes by its
 *    single writer or by the writeback.
 * 3. A task that holds pins does not wait for a page that is WRITING; a writer holds no pin but
 *    that of the page it writes.
 * 4. A reader that only copies the content takes no pin. The version changes right after a page
 *    becomes TAKEN or WRITING, before anything in its frame changes; a page that becomes FREE at
 *    once keeps its version until it is TAKEN again. A copy made while the page was CLEAN, DIRTY or
 *    WRITEBACK counts if the version is still the same afterwards.
 */
#pragma once

#include "runtime/base/assert.h"
#include "runtime/base/atomic.h"
#include "runtime/base/types.h"

enum page_content {
	PAGE_FREE,
	PAGE_TAKEN,
	PAGE_GONE,
	PAGE_WRITING,
	PAGE_READING, /* from here on pages can be pinned */
	PAGE_CLEAN,
	PAGE_DIRTY,
	PAGE_WRITEBACK,
	PAGE_CONTENTS,
};

/* The state word. */
#define PAGE_PINS          0x00003fffu
#define PAGE_AHEAD         (1u << 14)
#define PAGE_MAIN          (1u << 15)
#define PAGE_HIT           (1u << 16) /* one hit of the counter */
#define PAGE_HITS_MAX      3u
#define PAGE_HITS          (PAGE_HITS_MAX * PAGE_HIT) /* the counter */
#define PAGE_FAILED        (1u << 18)
#define PAGE_LISTED        (1u << 19)
#define PAGE_UNFLUSHED     (1u << 20)
#define PAGE_STALE         (1u << 21)
#define PAGE_LOST          (1u << 22)
#define PAGE_CONTENT_SHIFT 28
#define PAGE_CONTENT       (0xfu << PAGE_CONTENT_SHIFT)
#define PAGE_PINNABLE      ((uint32_t)PAGE_READING << PAGE_CONTENT_SHIFT) /* states from here on can be pinned */

#define PAGE_NONE UINT32_MAX

/*
 * Node and page number are one word, so that a reader without locks sees both or none: 24 bits of
 * node id, 40 of the number. Key, generation and `next` change under the page's stripe lock [S]; a
 * reader without [S] checks them again later.
 */
struct page {
	_Atomic uint32_t state;
	_Atomic uint32_t version;    /* comes round later than any copy ends */
	_Atomic uint64_t key;        /* [S] while it is in the index */
	_Atomic uint32_t next;       /* [S] frame (its address / 4096) of the next page in the bucket, or PAGE_NONE */
	_Atomic uint16_t generation; /* [S] its block's at its insert; 0: not in the index */
	uint16_t set : 3;            /* [D] while LISTED: the dirty set of its node (dirty.c) */
	uint16_t flush : 13;         /* [D] while UNFLUSHED: the number in written.h */
	uint32_t left;               /* [D] in the dirty set: frame, or PAGE_NONE */
	uint32_t right;              /* [D] */
};

_Static_assert(sizeof(struct page) == 32, "two descriptors share a cache line");

#define PAGE_NUMBER_BITS 40
#define PAGE_NUMBER_MAX  ((1ull << PAGE_NUMBER_BITS) - 1)
#define PAGE_NODE_MAX    ((1u << 24) - 1)

static inline uint64_t page_key_make(uint32_t node, uint64_t number)
{
	return (uint64_t)node << PAGE_NUMBER_BITS | number;
}

static inline uint32_t page_key_node(uint64_t key)
{
	return (uint32_t)(key >> PAGE_NUMBER_BITS);
}

static inline uint64_t page_key_number(uint64_t key)
{
	return key & PAGE_NUMBER_MAX;
}

static inline uint32_t page_state(const struct page *page)
{
	return atomic_load_explicit(&page->state, memory_order_acquire);
}

static inline uint64_t page_key(const struct page *page)
{
	return atomic_load_explicit(&page->key, memory_order_relaxed);
}

static inline enum page_content page_content(uint32_t state)
{
	return (enum page_content)(state >> PAGE_CONTENT_SHIFT);
}

static inline uint32_t page_hits(uint32_t state)
{
	return (state & PAGE_HITS) / PAGE_HIT;
}

/* Queue and hits in one number, below PAGE_RANKS: twice the hits, and 1 more in main. */
#define PAGE_RANKS (2 * (PAGE_HITS_MAX + 1))

static inline uint32_t page_rank(uint32_t state)
{
	return (state & (PAGE_HITS | PAGE_MAIN)) / PAGE_MAIN;
}

static inline bool page_is(uint32_t state, enum page_content content)
{
	return page_content(state) == content;
}

/* CLEAN without pins. */
static inline bool page_is_idle(uint32_t state)
{
	return ((state - ((uint32_t)PAGE_CLEAN << PAGE_CONTENT_SHIFT)) & (PAGE_CONTENT | PAGE_PINS)) == 0;
}

/* FREE, or CLEAN without pins and not UNFLUSHED: as every page of a loaned block. */
static inline bool page_is_loanable(uint32_t state)
{
	return page_is(state, PAGE_FREE) || (page_is_idle(state) && !(state & PAGE_UNFLUSHED));
}

/* CLEAN, DIRTY or WRITEBACK. */
static inline bool page_is_readable(uint32_t state)
{
	return page_content(state) >= PAGE_CLEAN;
}

/* Newer than the device: dirty, or on its way. */
static inline bool page_is_newer(uint32_t state)
{
	return state & PAGE_LISTED || page_is(state, PAGE_WRITEBACK);
}

/* The state with another content, flags cleared and flags set. */
static inline uint32_t page_state_with(uint32_t state, enum page_content content, uint32_t clear, uint32_t set)
{
	return (state & ~PAGE_CONTENT & ~clear) | set | (uint32_t)content << PAGE_CONTENT_SHIFT;
}

static inline uint32_t page_state_make(enum page_content content, uint32_t flags_and_pins)
{
	return (uint32_t)content << PAGE_CONTENT_SHIFT | flags_and_pins;
}

/* Whether the state is legal for its content, and whether `after` may follow `before`. */
bool page_state_is_legal(uint32_t state);
bool page_change_is_legal(uint32_t before, uint32_t after);

/*
 * One try to change the state from *before, checked against the table; on failure *before is the
 * state found.
 */
bool page_try_change(struct page *page, uint32_t *before, uint32_t after);

/* Called for a page that has just become WRITING or TAKEN. */
static inline void page_new_version(struct page *page)
{
	atomic_fetch_add_explicit(&page->version, 1, memory_order_acq_rel);
}

/*
 * Makes an idle page that has none of these flags TAKEN; *before is its state until then. False: it
 * is not idle, or has one. This function and the two below run for each evicted page, and what they
 * do is plainly legal: so they do not ask the table.
 */
static inline bool page_try_leave(struct page *page, uint32_t without, uint32_t *before)
{
	*before = page_state(page);
	do {
		if (!page_is_idle(*before) || (*before & without))
			return false;
	} while (!atomic_compare_exchange_strong_explicit(&page->state, before, page_state_make(PAGE_TAKEN, 0),
							  memory_order_acq_rel, memory_order_acquire));
	page_new_version(page);
	return true;
}

/*
 * Makes a CLEAN page TAKEN, or GONE while it has pins, on which no task counts. Returns the state
 * before.
 */
uint32_t page_leave_pinned(struct page *page);

/*
 * One try, for an idle page in state `before` that becomes FREE before its frame changes: so the
 * version stays.
 */
static inline bool page_try_leave_free(struct page *page, uint32_t before)
{
	return atomic_compare_exchange_strong_explicit(&page->state, &before, page_state_make(PAGE_TAKEN, 0),
						       memory_order_acq_rel, memory_order_acquire);
}

/* Frees a frame that is TAKEN, and the caller's: a cursor will come by. */
static inline void page_set_free(struct page *page)
{
	debug_assert(page_is(page_state(page), PAGE_TAKEN));
	atomic_store_explicit(&page->state, page_state_make(PAGE_FREE, 0), memory_order_release);
}

/*
 * Changes content and flags; pins may come and go meanwhile. Returns the state before. The caller
 * is the one that may change the page.
 */
uint32_t page_change(struct page *page, enum page_content content, uint32_t clear, uint32_t set);

/* Sets the state of a page that is TAKEN, and the caller's alone. */
void page_set(struct page *page, uint32_t state);
