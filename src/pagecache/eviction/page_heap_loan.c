// SPDX-License-Identifier: BSD-2-Clause
/*
 * The page heap's part of loans (loan.h): which group of blocks is the coldest, and the role
 * LOANED. A block is marked as loaned before its pages are looked at: a reader that pins a page now
 * either sees the mark, or is seen.
 */
#include "page_heap_internal.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

/*
 * Bounds the hold of the lock: some 64 of the coldest groups are looked at, or 4096 blocks outside
 * of the limits passed by, before the search ends.
 */
#define LOOKS       (4 * KIB)
#define GROUP_LOOKS 64u /* of one group, or one for each of its blocks if these are more */

/*
 * Takes the group if all its blocks are QUEUED and it is better than the best so far. An empty
 * frame counts as a missed page: it stays empty while the block is on loan, and the cursor would
 * have filled it.
 */
static void consider_locked(struct volume *volume, uint64_t lowest_score, uint64_t start, struct heap_group *group)
{
	const uint64_t blocks = guarantee_piece_bytes(memory_guarantee(volume->pagecache->memory)) >> BLOCK_SHIFT;
	uint64_t score = 0, empty = 0;

	for (uint64_t i = 0; i < blocks; i++) {
		const struct phys_addr block = { start + (i << BLOCK_SHIFT) };
		const struct pageblock *pageblock = pageblock_table_block(&volume->pagecache->pages.table, block);

		if (!page_heap_has_locked(volume, pageblock, ROLE_BIT(PAGEBLOCK_QUEUED)) || pageblock->busy > 0 ||
		    pageblock->mapped > 0)
			return;
		score += pageblock->score;
		empty += PAGES_PER_BLOCK - atomic_load_explicit(&pageblock->cached, memory_order_relaxed);
	}
	score += empty * REPLACEMENT_SCORE_PAGE;
	if (score < group->score && score >= lowest_score && empty * 100 <= blocks * PAGES_PER_BLOCK * GUARANTEE_IDLE_PERCENT)
		*group = (struct heap_group){ volume, { start }, score };
}

bool page_heap_find_group(struct volume *volume, const struct loan_request *wanted, uint64_t lowest_score,
			  struct heap_group *group)
{
	const struct guarantee *guarantee = memory_guarantee(volume->pagecache->memory);
	const uint64_t bytes = guarantee_piece_bytes(guarantee);
	const uint64_t group_looks = MAX(bytes >> BLOCK_SHIFT, (uint64_t)GROUP_LOOKS);
	struct page_heap *heap = &volume->eviction.heap;
	uint64_t looks = 0;

	group->score = UINT64_MAX;
	spinlock_lock(&heap->lock);
	for (uint64_t levels = heap->level_mask; levels != 0 && looks < LOOKS; levels &= levels - 1) {
		list_for_each (link, &heap->levels[__builtin_ctzll(levels)]) {
			const uint64_t start = align_down(container_of(link, struct pageblock, scored)->block.value, bytes);
			const bool admitted = guarantee_admits(guarantee, wanted, (struct phys_addr){ start });

			if (admitted)
				consider_locked(volume, lowest_score, start, group);
			looks += admitted ? group_looks : 1;
			if (looks >= LOOKS)
				break;
		}
	}
	spinlock_unlock(&heap->lock);
	return group->score != UINT64_MAX;
}

void page_heap_leave_loaned_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	atomic_fetch_sub(&heap->loaned_blocks, 1);
	atomic_fetch_sub(&heap->loaned_pages, atomic_load(&pageblock->cached));
	atomic_fetch_and(&pageblock->generation, ~GENERATION_LOANED);
}

void page_heap_note_left_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	atomic_fetch_sub(&pageblock->cached, 1);
	atomic_fetch_sub(&heap->loaned_pages, 1);
}

void page_heap_note_left(struct volume *volume, struct pageblock *pageblock)
{
	spinlock_lock(&volume->eviction.heap.lock);
	if (page_heap_has_locked(volume, pageblock, ROLE_BIT(PAGEBLOCK_LOANED)))
		page_heap_note_left_locked(&volume->eviction.heap, pageblock);
	spinlock_unlock(&volume->eviction.heap.lock);
}

/* Counts the pages; false: a page is not loanable. */
static bool count_loanable(const struct pageblock *pageblock, uint32_t *cached)
{
	*cached = 0;
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		const uint32_t state = page_state(&pageblock->pages[i]);

		if (!page_is_loanable(state))
			return false;
		*cached += !page_is(state, PAGE_FREE);
	}
	return true;
}

bool page_heap_loan(struct volume *volume, struct pageblock *pageblock)
{
	struct page_heap *heap = &volume->eviction.heap;
	uint32_t cached;

	spinlock_lock(&heap->lock);
	assert(pageblock->role == PAGEBLOCK_ISOLATED);
	/*
	 * The flag comes before the look at the pages: a reader that pins a page now sees the flag,
	 * or the look sees the pin.
	 */
	atomic_fetch_or(&pageblock->generation, GENERATION_LOANED);
	const bool loaned = pageblock->busy == 0 && count_loanable(pageblock, &cached);
	if (loaned) {
		pageblock->role = PAGEBLOCK_LOANED;
		atomic_store(&pageblock->cached, cached);
		atomic_fetch_add(&heap->loaned_blocks, 1);
		atomic_fetch_add(&heap->loaned_pages, cached);
		/* Windows for large requests go round the block where they can. */
		block_heap_set_cost(memory_block_heap(volume->pagecache->memory), pageblock->block, REPLACEMENT_SCORE_MAX);
	} else {
		atomic_fetch_and(&pageblock->generation, ~GENERATION_LOANED);
	}
	spinlock_unlock(&heap->lock);
	return loaned;
}

void page_heap_forget(struct page_heap *heap, struct pageblock *pageblock)
{
	spinlock_lock(&heap->lock);
	assert(pageblock->role == PAGEBLOCK_LOANED);
	page_heap_leave_loaned_locked(heap, pageblock);
	page_heap_leave_locked(heap, pageblock);
	spinlock_unlock(&heap->lock);
}
