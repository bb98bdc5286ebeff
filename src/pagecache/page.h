/*
 * A cached page: 4 KB of a node in a frame of its volume's page heap. Its descriptor lies outside of the frame, in a table that
 * has one for every frame of the machine (frame_table.h): descriptors never go away, whatever becomes of their frames.
 *
 * The state word holds a count of pins and these flags. Every legal combination is a row; `page_state_is_legal` checks it.
 *
 *	state            pins  meaning                                           leaves it by
 *	0                0     no page: frame free, or on its way to the index   insert -> READING or WRITING
 *	CACHED READING   >= 1  being read; the reader's I/O holds a pin          I/O done -> CACHED; failed -> 0 flags
 *	CACHED           >= 0  clean                                             write -> WRITING; evict -> 0 (no pins)
 *	CACHED WRITING   >= 1  a writer waits for the other pins, then copies    done -> DIRTY
 *	CACHED DIRTY     >= 0  newer than the disk                               writeback starts -> WRITEBACK; move (no pins)
 *	CACHED WRITEBACK >= 0  on its way to the disk; readable, not writable    I/O done -> CACHED; failed -> DIRTY FAILED
 *	no CACHED        >= 1  its read failed; gone from the index; `number`    last unpin frees the frame
 *			       holds the negated status
 *
 * WRITING may come with DIRTY (written again), FAILED only with DIRTY, WRITING or WRITEBACK. HIT says that the page was used.
 *
 * 1. A page gets pins only under its stripe lock (index.h) and never while WRITING, so a pin is the right to read.
 * 2. Only without pins and with no flag but CACHED, DIRTY, FAILED and HIT may a page leave its frame; under its stripe lock.
 * 3. Whoever holds pins does not wait for a page that is WRITING; a writer holds no pin but that of the page it writes.
 * 4. A page is in one of its volume's dirty lists exactly while DIRTY and not WRITEBACK.
 */
#pragma once

#include <stdatomic.h>

#include "runtime/base/list.h"
#include "runtime/base/types.h"

enum page_flags {
	PAGE_PINS = 0x0fff, /* mask */
	PAGE_CACHED = 1 << 12,
	PAGE_READING = 1 << 13,
	PAGE_WRITING = 1 << 14,
	PAGE_DIRTY = 1 << 15,
	PAGE_WRITEBACK = 1 << 16,
	PAGE_FAILED = 1 << 17,
	PAGE_HIT = 1 << 18,
};

#define PAGE_NONE UINT32_MAX

/* Node and number change under the page's stripe lock [S]; who reads them without it only learns which lock to take. */
struct page {
	_Atomic uint32_t state;
	uint32_t frame;          /* [I] physical address / 4096 */
	_Atomic uint32_t node;   /* [S] with CACHED: id of the node */
	uint32_t next;           /* [S] frame of the next page in the bucket, or PAGE_NONE */
	_Atomic uint64_t number; /* [S] with CACHED: page number within the node */
	struct list dirty;       /* [D] volume->lock: in one of the dirty lists */
};

_Static_assert(sizeof(struct page) == 40, "bookkeeping of a page is at most 1% of it");

static inline struct phys_addr page_address(const struct page *page)
{
	return (struct phys_addr){ (uint64_t)page->frame << PAGE_SHIFT };
}

static inline uint32_t page_state(const struct page *page)
{
	return atomic_load_explicit(&page->state, memory_order_acquire);
}

static inline uint32_t page_node(const struct page *page)
{
	return atomic_load_explicit(&page->node, memory_order_relaxed);
}

static inline uint64_t page_number(const struct page *page)
{
	return atomic_load_explicit(&page->number, memory_order_relaxed);
}

static inline void page_set_identity(struct page *page, uint32_t node, uint64_t number)
{
	atomic_store_explicit(&page->node, node, memory_order_relaxed);
	atomic_store_explicit(&page->number, number, memory_order_relaxed);
}

/* The table above. */
bool page_state_is_legal(uint32_t state);

/* Changes flags, checks that the result is legal, and returns the state before. */
uint32_t page_change(struct page *page, uint32_t clear, uint32_t set);
