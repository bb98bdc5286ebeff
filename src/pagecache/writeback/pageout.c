// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pageout: the dirty pages of a block are written so that the block can be given. They are sorted
 * by their position on the disk first. A block that a drain passed by for its dirty pages is noted,
 * and written by the background writer before the limit of dirty pages is reached.
 */
#include "pageout.h"

#include "pagecache/volume.h"
#include "runtime/base/sort.h"
#include "writeback.h"

static bool is_near_limit(const struct volume *volume)
{
	const struct dirty_limits limits = writeback_limits(volume);

	return atomic_load(&volume->counts.dirty_pages) >= (limits.background + limits.max) / 2;
}

void pageout_note(struct volume *volume, struct pageblock *pageblock)
{
	struct pageout *pageout = &volume->writeback.pageout;
	uint32_t i = 0;

	spinlock_lock(&volume->writeback.lock);
	while (i < pageout->count && pageout->blocks[i] != pageblock)
		i++;
	if (i == pageout->count && i < PAGEOUT_BLOCKS)
		pageout->blocks[pageout->count++] = pageblock;
	spinlock_unlock(&volume->writeback.lock);
	if (is_near_limit(volume))
		writeback_kick(volume->pagecache);
}

/* In the order of the disk --------------------------------------------------------------------- */

/*
 * For each page its position on the volume, in pages, with its frame number in the lowest bits:
 * tasks have small stacks.
 */
struct order {
	uint32_t count;
	uint64_t places[PAGES_PER_BLOCK];
};

/* Collects the block's dirty pages. [D] keeps their keys from changing. */
static void order_make(struct volume *volume, struct pageblock *pageblock, struct order *order)
{
	order->count = 0;
	spinlock_lock(&volume->writeback.lock);
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		const struct page *page = &pageblock->pages[i];
		const uint32_t state = page_state(page);

		if (page_is(state, PAGE_DIRTY) && (state & PAGE_LISTED) && !(state & PAGE_FAILED))
			order->places[order->count++] =
				pagecache_position(volume->pagecache, page_key(page)) / PAGE_BYTES * PAGES_PER_BLOCK + i;
	}
	spinlock_unlock(&volume->writeback.lock);
	sort_numbers(order->places, order->count);
}

static bool is_writing(const struct pageblock *pageblock)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		if (page_is(page_state(&pageblock->pages[i]), PAGE_WRITEBACK))
			return true;
	return false;
}

bool pageout_write_block(struct volume *volume, struct pageblock *pageblock)
{
	struct order order;
	uint32_t started = 0;

	order_make(volume, pageblock, &order);
	while (started < order.count &&
	       writeback_start_page(volume, &pageblock->pages[order.places[started] % PAGES_PER_BLOCK]))
		started++;
	/* A quick device may have finished already. */
	return started > 0 || is_writing(pageblock);
}

/* Early ---------------------------------------------------------------------------------------- */

void pageout_write_early(struct volume *volume)
{
	struct pageout noted;

	if (!is_near_limit(volume))
		return;
	spinlock_lock(&volume->writeback.lock);
	noted = volume->writeback.pageout;
	volume->writeback.pageout.count = 0;
	spinlock_unlock(&volume->writeback.lock);
	/* A block may have gone to another volume meanwhile: then this volume leaves it alone. */
	for (uint32_t i = 0; i < noted.count; i++) {
		if (!page_heap_hold(volume, noted.blocks[i]))
			continue;
		(void)pageout_write_block(volume, noted.blocks[i]);
		page_heap_let_go(volume, noted.blocks[i]);
	}
}
