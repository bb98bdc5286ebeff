// SPDX-License-Identifier: BSD-2-Clause
/*
 * The background writer: it writes old dirty pages, pages whose write failed some time ago, what
 * exceeds the background's share, and dirty pages ahead of the cursors. Of each kind it goes on
 * where it was, in the order of the disk.
 */
#include "writeback.h"

#include "pagecache/eviction/replacement.h"

/*
 * The share of all I/O objects that the background writer uses for one volume at most; reads need
 * the others.
 */
#define SHARE 2

#define NAP_NS NS_PER_S

/* How far a round got with a volume. */
enum round {
	ROUND_DONE, /* no page is to be written */
	ROUND_FULL, /* as many writes as there may be are under way */
	ROUND_MORE,
};

static bool is_full(const struct volume *volume)
{
	return atomic_load(&volume->writeback.writes) >= MAX(volume->pagecache->config.requests / SHARE, 1u);
}

static bool is_beyond_background(struct volume *volume)
{
	atomic_store(&volume->writeback.beyond_background, false); /* before the look */
	return atomic_load(&volume->counts.dirty_pages) > writeback_limits(volume).background;
}

static bool start(struct volume *volume, enum dirty_kind kind, uint64_t age_ns)
{
	return writeback_start_old(volume, kind, age_ns) == WRITEBACK_STARTED;
}

/*
 * Tries a failed page again, each as a write of its own. A page that fails again puts off the next
 * try, which is another page's.
 */
static bool retry(struct volume *volume)
{
	return atomic_load(&volume->counts.failed_pages) > 0 && platform_now_ns() >= atomic_load(&volume->writeback.retry_ns) &&
	       start(volume, DIRTY_FAILED, 0);
}

/* Ahead of the cursors ------------------------------------------------------------------------- */

/* Writes the cold dirty pages of a block: the cursor will find them clean. */
static void clean_block(struct volume *volume, struct pageblock *pageblock, uint32_t first)
{
	for (uint32_t i = first; i < PAGES_PER_BLOCK && !is_full(volume); i++) {
		const uint32_t state = page_state(&pageblock->pages[i]);

		if (page_is(state, PAGE_DIRTY) && !(state & PAGE_FAILED) && !replacement_is_hot(state) &&
		    !writeback_start_page(volume, &pageblock->pages[i]))
			break;
	}
}

/*
 * Writes the pages ahead. A block may have gone to another volume meanwhile: then this volume
 * leaves it alone.
 */
static void clean_ahead(struct volume *volume)
{
	struct heap_ahead ahead[HEAP_AHEAD_BLOCKS];
	const unsigned count = page_heap_find_ahead(&volume->eviction.heap, ahead);

	for (unsigned i = 0; i < count && atomic_load(&volume->counts.dirty_pages) > 0; i++) {
		if (!page_heap_hold(volume, ahead[i].pageblock))
			continue;
		clean_block(volume, ahead[i].pageblock, ahead[i].first);
		page_heap_let_go(volume, ahead[i].pageblock);
	}
}

/* Rounds --------------------------------------------------------------------------------------- */

static enum round write_some(struct volume *volume, bool cursor_waits)
{
	pageout_write_early(volume);
	if (cursor_waits)
		clean_ahead(volume);
	if (is_full(volume))
		return ROUND_FULL;
	/*
	 * Old pages: the DIRTY_WAITING set of a node turns when half of the age has passed since
	 * its last turn, and its old pages are written when another half has passed. So a page is
	 * written at an age between the half and the whole.
	 */
	if (start(volume, DIRTY_WAITING, volume->pagecache->config.dirty_age_ns / 2) || retry(volume))
		return ROUND_MORE;
	if (!is_beyond_background(volume))
		return ROUND_DONE;
	return start(volume, DIRTY_WAITING, 0) ? ROUND_MORE : ROUND_FULL;
}

static enum round write_some_of_all(struct pagecache *pagecache)
{
	const bool cursor_waits = atomic_exchange(&pagecache->writeback.cursor_waits, false);
	struct volume *volume = NULL;
	enum round most = ROUND_DONE;

	migration_refill(pagecache);
	while ((volume = volume_next(pagecache, volume)) != NULL) {
		const enum round round = write_some(volume, cursor_waits);

		most = MAX(most, round);
	}
	return most;
}

void pagecache_writeback_step(struct pagecache *pagecache)
{
	(void)write_some_of_all(pagecache);
}

void pagecache_writeback_run(struct pagecache *pagecache)
{
	const uint64_t nap_ns = MIN(NAP_NS, MAX(pagecache->config.dirty_age_ns / 4, NS_PER_MS));
	uint32_t kicks;

	while (worker_begins(&pagecache->writeback.writer, &kicks)) {
		const uint32_t progress = atomic_load(&pagecache->pages.progress);
		const enum round round = write_some_of_all(pagecache);

		if (round == ROUND_FULL)
			(void)platform_wait(&pagecache->pages.progress, progress, platform_now_ns() + nap_ns);
		else if (round == ROUND_DONE)
			worker_wait(&pagecache->writeback.writer, kicks, platform_now_ns() + nap_ns);
	}
}

void pagecache_stop(struct pagecache *pagecache)
{
	worker_stop(&pagecache->writeback.writer);
	writeback_wake(pagecache);
}
