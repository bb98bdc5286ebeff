// SPDX-License-Identifier: BSD-2-Clause
#include "cache_check.h"

#include "pagecache/page_heap_internal.h"

/* Blocks ------------------------------------------------------------------------------------------------------------------- */

static bool queue_is_valid(struct page_heap *heap, enum lane lane, uint32_t *queued)
{
	uint32_t blocks = heap->open[lane] != NULL;

	list_for_each (link, &heap->queues[lane]) {
		const struct frames *frames = container_of(link, struct frames, link);

		if (frames->role != FRAMES_QUEUED || frames->lane != lane || frames->busy != 0 ||
		    !(heap->level_mask >> page_heap_level(frames->score) & 1))
			return false;
		blocks++;
		(*queued)++;
	}
	return blocks == heap->lane_blocks[lane];
}

static uint32_t list_length(const struct list *list)
{
	uint32_t length = 0;

	list_for_each (link, list)
		length++;
	return length;
}

static bool apart_is_valid(const struct page_heap *heap)
{
	uint32_t blocks = 0;

	list_for_each (link, &heap->apart) {
		const struct frames *frames = container_of(link, struct frames, link);

		if (frames->role != FRAMES_APART || (frames != heap->apart_open && !frames_cursor_is_done(frames)) ||
		    (frames->mapped == 0 && frames_cursor_is_done(frames)))
			return false;
		blocks++;
	}
	return blocks == heap->apart_blocks && (!heap->apart_open || heap->apart_open->role == FRAMES_APART);
}

/* False: a page is not lendable. */
static bool count_lendable(const struct frames *frames, uint32_t *cached)
{
	*cached = 0;
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		const uint32_t state = page_state(&frames->pages[i]);

		if (!page_is_lendable(state))
			return false;
		*cached += !page_is(state, PAGE_FREE);
	}
	return true;
}

/* Counts, and pages unless their block was revoked. */
static bool lent_is_valid(struct volume *volume)
{
	const struct frame_table *table = &volume->pagecache->pages.table;
	uint64_t blocks = 0, pages = 0;

	for (uint64_t i = 0; i < table->count; i++) {
		const struct frames *frames = table->blocks[i];
		uint32_t cached;

		if (!frames || !page_heap_has_locked(volume, frames, ROLE_BIT(FRAMES_LENT)))
			continue;
		if (frames_are_lent(frames) && (!count_lendable(frames, &cached) || cached != atomic_load(&frames->cached)))
			return false;
		blocks++;
		pages += atomic_load(&frames->cached);
	}
	return blocks == atomic_load(&volume->eviction.heap.lent_blocks) &&
	       pages == atomic_load(&volume->eviction.heap.lent_pages);
}

static bool page_heap_is_valid(struct volume *volume)
{
	struct page_heap *heap = &volume->eviction.heap;
	uint32_t queued = 0, scored = 0;

	for (unsigned lane = 0; lane < LANES; lane++)
		if (!queue_is_valid(heap, (enum lane)lane, &queued))
			return false;
	for (unsigned level = 0; level < SCORE_LEVELS; level++) {
		if ((heap->level_mask >> level & 1) == list_is_empty(&heap->levels[level]))
			return false;
		scored += list_length(&heap->levels[level]);
	}
	return scored == queued && list_length(&heap->aged) == queued && list_length(&heap->empty) == heap->empty_blocks &&
	       apart_is_valid(heap) && lent_is_valid(volume) &&
	       heap->lane_blocks[LANE_PROBATION] + heap->lane_blocks[LANE_MAIN] + heap->empty_blocks +
			       atomic_load(&heap->lent_blocks) + heap->apart_blocks ==
		       atomic_load(&heap->blocks);
}

/* Pages -------------------------------------------------------------------------------------------------------------------- */

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
	       atomic_load(&page->generation) == frames_generation(page_frames(page)) &&
	       pagecache_node(pagecache, page_key(page)) != NULL &&
	       atomic_load(&page_frames(page)->volume)->pagecache == pagecache;
}

static bool bucket_is_valid(struct pagecache *pagecache, uint32_t first, struct census *census)
{
	for (uint32_t frame = first; frame != PAGE_NONE;
	     frame = atomic_load(&frame_table_page(&pagecache->pages.table, frame)->next))
		if (!page_is_valid(pagecache, frame_table_page(&pagecache->pages.table, frame), census))
			return false;
	return true;
}

static uint64_t count_checked(const struct dirty *dirty, uint32_t tree, uint64_t low, uint64_t high)
{
	struct page *page;
	uint64_t place, left, right;

	if (tree == PAGE_NONE)
		return 0;
	page = frame_table_page(dirty->table, tree);
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
