/*
 * A cached page: 4 KB of a node in a frame of its volume's page heap. Its descriptor lies outside of the frame, in a table that
 * has one for every frame of the machine (frame_table.h): descriptors never go away, whatever becomes of their frames.
 *
 * The state word holds what the page contains, flags, the counter of hits, and the pins. What may follow what stands in one
 * table in page.c, which every change is checked against; docs/PAGECACHE.md draws it.
 *
 *	content    pins   meaning
 *	FREE       0      no page in this frame
 *	TAKEN      0      no page; the frame belongs to whoever took it: a miss, the target of a move, an eviction
 *	GONE       >= 1   out of the index; the last unpin frees the frame. Its read failed, and `key` holds the negated status;
 *			  or it has left a lent block, where pins do not count (lend.h)
 *	WRITING    >= 1   a writer waits for the other pins, then has the page for itself
 *	READING    >= 1   on its way from the device; the I/O holds a pin
 *	CLEAN      >= 0   as on the device
 *	DIRTY      >= 0   newer than the device
 *	WRITEBACK  >= 0   on its way to the device; readable, not writable
 *
 * LISTED: in a dirty set of its node, exactly while DIRTY, or WRITING what was DIRTY. FAILED: the last write of it failed; with
 * DIRTY, WRITING and WRITEBACK only. UNFLUSHED: the device has it, perhaps in a cache that it may lose yet (written.h). STALE:
 * read where the device has lost what was written, and not overwritten as a whole since. LOST: dirty, or on its way, and the
 * device has lost what was written of it before. MAIN: belongs to the main queue
 * (replacement.h). AHEAD: read ahead, not used yet.
 *
 * 1. A pin keeps the page as it is. It is taken without any lock, by one compare-and-swap on the state, which succeeds only
 *    from READING on; and it counts only if the page's key and generation are the right ones afterwards (index.h).
 * 2. A page without pins leaves its frame by a compare-and-swap of the state, so no pin can slip in. A page with pins stays
 *    what it is, but for READING that ends, and for what a single writer, or the writeback, does with it.
 * 3. Whoever holds pins does not wait for a page that is WRITING; a writer holds no pin but that of the page it writes.
 * 4. Who only copies what the page contains takes no pin: the version changes when a page becomes TAKEN or WRITING, right after
 *    that and before anything in its frame changes; one that becomes FREE at once keeps its version until it is taken again.
 *    What was copied while it was CLEAN, DIRTY or WRITEBACK counts if the version is still the same afterwards.
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
 * Node and page number in one word, so that a reader without locks sees both or none: 24 bits of node id, 40 of the number.
 * Key, generation and `next` change under the page's stripe lock [S]; whoever reads them without it looks again later.
 */
struct page {
	_Atomic uint32_t state;
	_Atomic uint32_t version;    /* it comes round after 4 billion changes: later than any copy ends */
	_Atomic uint64_t key;        /* [S] while it is in the index */
	_Atomic uint32_t next;       /* [S] frame (its address / 4096) of the next page in the bucket, or PAGE_NONE */
	_Atomic uint16_t generation; /* [S] that of its block when it was inserted; 0: not in the index, as FREE ones are */
	uint16_t set : 3;            /* [D] while LISTED: which of its node's dirty sets it is in (dirty.c) */
	uint16_t flush : 13;         /* [D] while UNFLUSHED: the latest device flush that had begun when it was written */
	uint32_t left;               /* [D] in the dirty set: frames, or PAGE_NONE */
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

/* FREE, or CLEAN without pins: as every page of a block that is lent. */
static inline bool page_is_lendable(uint32_t state)
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

/* Whether the state keeps the rules of its content, and whether the second may follow the first. */
bool page_state_is_legal(uint32_t state);
bool page_change_is_legal(uint32_t before, uint32_t after);

/* One try to change the state from *before, checked against the table; on failure *before is what it is now. */
bool page_try_change(struct page *page, uint32_t *before, uint32_t after);

/* Of a page that has just become WRITING or TAKEN. */
static inline void page_new_version(struct page *page)
{
	atomic_fetch_add_explicit(&page->version, 1, memory_order_acq_rel);
}

/*
 * Makes an idle page that has none of these flags TAKEN; *before is its state until then. False: it is something else. What
 * follows what is plain here, and in the two below, and they are for each page that is evicted: the table is not asked.
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

/* Makes a CLEAN page TAKEN, or GONE while it has pins, which none of their holders counts on. Returns the state before. */
uint32_t page_leave_pinned(struct page *page);

/* One try, for an idle page in state `before` that becomes FREE before its frame changes: so the version stays as it is. */
static inline bool page_try_leave_free(struct page *page, uint32_t before)
{
	return atomic_compare_exchange_strong_explicit(&page->state, &before, page_state_make(PAGE_TAKEN, 0),
						       memory_order_acq_rel, memory_order_acquire);
}

/* Gives back a frame that is TAKEN, and the caller's: a cursor will come by. */
static inline void page_set_free(struct page *page)
{
	debug_assert(page_is(page_state(page), PAGE_TAKEN));
	atomic_store_explicit(&page->state, page_state_make(PAGE_FREE, 0), memory_order_release);
}

/* Changes content and flags, whatever happens to the pins meanwhile; returns the state before. The caller has the right to. */
uint32_t page_change(struct page *page, enum page_content content, uint32_t clear, uint32_t set);

/* Sets the state of a page that is the caller's alone: TAKEN, or becoming so. */
void page_set(struct page *page, uint32_t state);
