/*
 * The descriptors of all frames: for every block of the machine's memory a `struct frames`, made once at start-up, so that a
 * page heap grows and shrinks without any memory for bookkeeping. A page's descriptor is found by its frame number and stays
 * where it is as long as the page cache lives.
 */
#pragma once

#include "heap/memory.h"
#include "page.h"

/* One block. The members count only while a page heap has the block. */
struct frames {
	struct volume *volume;    /* set before the first frame is handed out */
	struct phys_addr block;   /* [I] */
	_Atomic uint32_t unclean; /* pages that are DIRTY or WRITEBACK */
	bool ready;               /* `pages` have been made; lasts */
	_Atomic uint64_t entered; /* when its cursor moved last, on the page cache's own clock */
	struct list link;         /* the drain's, while it has fenced the block */
	struct page pages[PAGES_PER_BLOCK];
};

struct frame_table {
	struct memory *memory;
	struct frames **blocks; /* [I] by block number - first_block; NULL: no memory there */
	uint64_t first_block;   /* [I] */
	uint64_t count;         /* [I] */
	struct owner owner;     /* of the blocks that hold the descriptors */
};

/* STATUS_NO_MEMORY: nothing is left behind. */
status_t frame_table_init(struct frame_table *table, struct memory *memory) MUST_CHECK;
void frame_table_fini(struct frame_table *table);

/* A page heap takes this block. Not for two at once. */
void frames_enter(struct frames *frames, struct volume *volume);

static inline struct frames *frame_table_block(const struct frame_table *table, struct phys_addr address)
{
	return table->blocks[(address.value >> BLOCK_SHIFT) - table->first_block];
}

static inline struct page *frame_table_page(const struct frame_table *table, uint32_t frame)
{
	return &table->blocks[frame / PAGES_PER_BLOCK - table->first_block]->pages[frame % PAGES_PER_BLOCK];
}

static inline struct frames *page_frames(struct page *page)
{
	return container_of(page - page->frame % PAGES_PER_BLOCK, struct frames, pages[0]);
}
