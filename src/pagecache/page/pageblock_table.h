// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pageblock table: a `struct pageblock` for every block of the machine's memory, with the
 * descriptors of its frames. It is made once at start-up, so a page heap grows and shrinks without
 * memory for metadata, and any task may look at a descriptor at any time.
 *
 * A block's generation changes when it leaves its page heap. Entries of the index carry the
 * generation that their block had; so a loaned block is revoked first, and its entries leave the
 * index later (loan.h).
 */
#pragma once

#include "heap/memory.h"
#include "page.h"

/* A bit beside the generation: the block is loaned. Its pages can be read, but not pinned. */
#define GENERATION_LOANED 0x10000u

/* One pageblock. [R]: the lock of the page heap that has it (page_heap.h). */
struct pageblock {
	struct volume *_Atomic volume; /* [R] of the page heap that has the block; NULL: none has */
	struct phys_addr block;        /* [I] */
	struct list link;              /* [R] in its queue, or a list of the task that isolated it */
	struct list scored;            /* [R] QUEUED: in the level of its score */
	struct list aged;              /* [R] QUEUED: in heap->aged */
	_Atomic uint32_t generation;   /* 16 bits, not 0, and GENERATION_LOANED; changes under [R], or as loan.h says */
	_Atomic uint32_t entered; /* [R] when its cursor last went over it, on the page cache's clock of blocks; read without */
	uint32_t score;           /* [R] what its loss would cost, at the last look */
	_Atomic uint32_t cached;  /* [R] its pages at the last look; LOANED: now; read without */
	uint32_t mapped;          /* [R] pages in it that are mapped (longterm.h) */
	uint32_t busy;            /* [R] visits of cursors that go on, and holds: it must stay */
	uint32_t position;        /* [R] OPEN: next frame of the cursor */
	uint8_t role;             /* [R] enum pageblock_role */
	uint8_t queue;            /* [R] enum queue: where it is, or was */
	_Atomic bool ready;       /* `pages` have been made; lasts */
	struct page pages[PAGES_PER_BLOCK] __attribute__((aligned(64)));
};

/* Page counts: what lies in a block, as far as it matters to a task that wants the block. */
struct page_counts {
	uint32_t used;   /* frames that are not FREE */
	uint32_t cached; /* pages */
	uint32_t dirty;  /* dirty, movable */
	uint32_t stuck;  /* in use, being read or written, or TAKEN */
	uint32_t ends;   /* those of them in writeback, which ends by itself */
	uint32_t failed; /* the last write failed; a drain does not try again */
};

struct pageblock_table {
	struct memory *memory;
	struct pageblock **blocks; /* [I] by block number - first_block; NULL: no memory there */
	uint64_t first_block;      /* [I] */
	uint64_t count;            /* [I] */
	struct owner owner;        /* of the blocks that hold the descriptors */
};

/* STATUS_NO_MEMORY: nothing is left behind. */
status_t pageblock_table_init(struct pageblock_table *table, struct memory *memory) MUST_CHECK;
void pageblock_table_fini(struct pageblock_table *table);

/* The pageblock at this address; sets its pages up if that has not been done yet. */
struct pageblock *pageblock_prepare(const struct pageblock_table *table, struct phys_addr block);

/*
 * Gives the block a new generation: its entries in the index do not count any more, and it is not
 * loaned.
 */
void pageblock_invalidate(struct pageblock *pageblock);

/* NULL: no memory lies there. */
static inline struct pageblock *pageblock_table_block(const struct pageblock_table *table, struct phys_addr address)
{
	const uint64_t index = (address.value >> BLOCK_SHIFT) - table->first_block;

	return index < table->count ? table->blocks[index] : NULL;
}

static inline struct page *pageblock_table_page(const struct pageblock_table *table, uint32_t frame)
{
	return &table->blocks[frame / PAGES_PER_BLOCK - table->first_block]->pages[frame % PAGES_PER_BLOCK];
}

/* The pageblock of a descriptor: pageblocks fill blocks of their own from the start on. */
static inline struct pageblock *pageblock_of(const struct page *page)
{
	const uintptr_t chunk = (uintptr_t)page & ~(uintptr_t)(BLOCK_BYTES - 1);

	return (struct pageblock *)chunk + ((uintptr_t)page - chunk) / sizeof(struct pageblock);
}

/* The number of the frame: its physical address / 4096. */
static inline uint32_t page_frame(const struct page *page)
{
	const struct pageblock *pageblock = pageblock_of(page);

	return (uint32_t)(pageblock->block.value >> PAGE_SHIFT) + (uint32_t)(page - pageblock->pages);
}

static inline struct phys_addr page_address(const struct page *page)
{
	return (struct phys_addr){ (uint64_t)page_frame(page) << PAGE_SHIFT };
}

static inline void *page_memory(const struct page *page)
{
	return platform_virt(page_address(page));
}

/* Whether the cursor has come by all frames of the block. [R] is held. */
static inline bool pageblock_cursor_is_done(const struct pageblock *pageblock)
{
	return pageblock->position == PAGES_PER_BLOCK;
}

static inline uint16_t pageblock_generation(const struct pageblock *pageblock)
{
	return (uint16_t)atomic_load_explicit(&pageblock->generation, memory_order_acquire);
}

/* Whether the block has the generation that it had when the page was inserted. */
static inline bool page_is_current(const struct page *page)
{
	return atomic_load_explicit(&page->generation, memory_order_acquire) == pageblock_generation(pageblock_of(page));
}

static inline bool pageblock_is_loaned(const struct pageblock *pageblock)
{
	return atomic_load_explicit(&pageblock->generation, memory_order_acquire) & GENERATION_LOANED;
}
