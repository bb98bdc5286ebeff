// SPDX-License-Identifier: BSD-2-Clause
#include "cache_check.h"

#include "pagecache/eviction/page_heap_internal.h"

/* Blocks --------------------------------------------------------------------------------------- */

static bool queue_is_valid(struct page_heap *heap, enum queue queue, uint32_t *queued)
{
	uint32_t blocks = heap->open[queue] != NULL;

	list_for_each (link, &heap->queues[queue]) {
		const struct pageblock *pageblock = container_of(link, struct pageblock, link);

		if (pageblock->role != PAGEBLOCK_QUEUED || pageblock->queue != queue || pageblock->busy != 0 ||
		    !(heap->level_mask >> page_heap_level(pageblock->score) & 1))
			return false;
		blocks++;
		(*queued)++;
	}
	return blocks == heap->queue_blocks[queue];
}

static uint32_t list_length(const struct list *list)
{
	uint32_t length = 0;

	list_for_each (link, list)
		length++;
	return length;
}

static bool longterm_is_valid(const struct page_heap *heap)
{
	uint32_t blocks = 0;

	list_for_each (link, &heap->longterm) {
		const struct pageblock *pageblock = container_of(link, struct pageblock, link);

		if (pageblock->role != PAGEBLOCK_LONGTERM ||
		    (pageblock != heap->longterm_open && !pageblock_cursor_is_done(pageblock)) ||
		    (pageblock->mapped == 0 && pageblock_cursor_is_done(pageblock)))
			return false;
		blocks++;
	}
	return blocks == heap->longterm_blocks && (!heap->longterm_open || heap->longterm_open->role == PAGEBLOCK_LONGTERM);
}

/* False: a page is not loanable. */
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

/* Counts, and pages unless their block was revoked. */
static bool loaned_is_valid(struct volume *volume)
{
	const struct pageblock_table *table = &volume->pagecache->pages.table;
	uint64_t blocks = 0, pages = 0;

	for (uint64_t i = 0; i < table->count; i++) {
		const struct pageblock *pageblock = table->blocks[i];
		uint32_t cached;

		if (!pageblock || !page_heap_has_locked(volume, pageblock, ROLE_BIT(PAGEBLOCK_LOANED)))
			continue;
		if (pageblock_is_loaned(pageblock) &&
		    (!count_loanable(pageblock, &cached) || cached != atomic_load(&pageblock->cached)))
			return false;
		blocks++;
		pages += atomic_load(&pageblock->cached);
	}
	return blocks == atomic_load(&volume->eviction.heap.loaned_blocks) &&
	       pages == atomic_load(&volume->eviction.heap.loaned_pages);
}

static bool page_heap_is_valid(struct volume *volume)
{
	struct page_heap *heap = &volume->eviction.heap;
	uint32_t queued = 0, scored = 0;

	for (unsigned queue = 0; queue < QUEUES; queue++)
		if (!queue_is_valid(heap, (enum queue)queue, &queued))
			return false;
	for (unsigned level = 0; level < SCORE_LEVELS; level++) {
		if ((heap->level_mask >> level & 1) == list_is_empty(&heap->levels[level]))
			return false;
		scored += list_length(&heap->levels[level]);
	}
	return scored == queued && list_length(&heap->aged) == queued && list_length(&heap->empty) == heap->empty_blocks &&
	       longterm_is_valid(heap) && loaned_is_valid(volume) &&
	       heap->queue_blocks[QUEUE_PROBATION] + heap->queue_blocks[QUEUE_MAIN] + heap->empty_blocks +
			       atomic_load(&heap->loaned_blocks) + heap->longterm_blocks ==
		       atomic_load(&heap->blocks);
}

/* Pages ---------------------------------------------------------------------------------------- */

struct census {
	uint64_t cached, dirty, failed, listed;
};

static bool page_is_valid(struct pagecache *pagecache, struct page *page, struct census *census)
{
	const uint32_t state = page_state(page);

	census->cached++;
	census->dirty += page_is_newer(state);
	census->failed += (state & PAGE_FAILED) != 0;
	census->listed += (state & PAGE_LISTED) != 0;
	return page_state_is_legal(state) && page_content(state) >= PAGE_WRITING &&
	       atomic_load(&page->generation) == pageblock_generation(pageblock_of(page)) &&
	       pagecache_node(pagecache, page_key(page)) != NULL &&
	       atomic_load(&pageblock_of(page)->volume)->pagecache == pagecache;
}

static bool bucket_is_valid(struct pagecache *pagecache, uint32_t first, struct census *census)
{
	for (uint32_t frame = first; frame != PAGE_NONE;
	     frame = atomic_load(&pageblock_table_page(&pagecache->pages.table, frame)->next))
		if (!page_is_valid(pagecache, pageblock_table_page(&pagecache->pages.table, frame), census))
			return false;
	return true;
}

static uint64_t count_checked(const struct dirty *dirty, uint32_t tree, uint64_t low, uint64_t high)
{
	struct page *page;
	uint64_t place, left, right;

	if (tree == PAGE_NONE)
		return 0;
	page = pageblock_table_page(dirty->table, tree);
	place = (uint64_t)page->set << PAGE_NUMBER_BITS | page_key_number(page_key(page));
	if (place < low || place > high)
		return UINT64_MAX;
	left = count_checked(dirty, page->left, low, place);
	right = count_checked(dirty, page->right, place, high);
	return left == UINT64_MAX || right == UINT64_MAX ? UINT64_MAX : left + right + 1;
}

uint64_t dirty_count_checked(const struct dirty *dirty)
{
	return count_checked(dirty, dirty->root, 0, UINT64_MAX);
}

/* Pages in dirty sets; UINT64_MAX: something is wrong. */
static uint64_t count_listed(const struct volume *volume)
{
	uint64_t sum = 0;

	list_for_each (link, &volume->writeback.dirty_nodes) {
		const uint64_t count = dirty_count_checked(&container_of(link, struct node, dirty_link)->dirty);

		if (count == 0 || count == UINT64_MAX)
			return UINT64_MAX;
		sum += count;
	}
	return sum;
}

static bool volumes_are_valid(struct pagecache *pagecache, uint64_t listed)
{
	uint64_t counted = 0;
	uint32_t blocks = 0;

	list_for_each (link, &pagecache->volumes) {
		struct volume *volume = container_of(link, struct volume, link);
		const uint64_t count = count_listed(volume);

		if (count == UINT64_MAX || !page_heap_is_valid(volume))
			return false;
		counted += count;
		blocks += atomic_load(&volume->eviction.heap.blocks);
	}
	return counted == listed && blocks == atomic_load(&pagecache->eviction.blocks);
}

bool pagecache_is_valid(struct pagecache *pagecache)
{
	struct pagecache_statistics statistics;
	struct census census = { 0 };

	for (uint64_t bucket = 0; bucket <= pagecache->pages.index.bucket_mask; bucket++)
		if (!bucket_is_valid(pagecache, atomic_load(&pagecache->pages.index.buckets[bucket]), &census))
			return false;
	pagecache_statistics(pagecache, &statistics);
	return volumes_are_valid(pagecache, census.listed) && statistics.cached_pages == census.cached &&
	       statistics.dirty_pages == census.dirty && statistics.failed_pages == census.failed &&
	       atomic_load(&pagecache->writeback.dirty_pages) == census.dirty &&
	       atomic_load(&pagecache->writeback.failed_pages) == census.failed &&
	       statistics.inserted_pages - statistics.evicted_pages == census.cached;
}
