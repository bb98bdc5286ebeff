// SPDX-License-Identifier: BSD-2-Clause
/*
 * Eviction of whole blocks, for the cleaners of a volume. The coldest block leaves its queue first,
 * so that no page enters it any more; then its cold pages are dropped and its hot and dirty ones
 * move to other frames. Of a window, all blocks leave their queues before the first one is emptied.
 */
#include "evict.h"

#include "cache_minimum.h"
#include "frame.h"
#include "heap/block/window.h"
#include "longterm.h"
#include "pagecache/volume_report.h"
#include "replacement.h"
#include "runtime/base/bits.h"

/* Blocks whose dirty pages one call starts to write. */
#define WRITE_BATCH 8

/*
 * A hot page moves to main while main has colder ones: its cursor finds a frame within so many
 * frames, on the average. Each block that is emptied adds some, so that a few blocks that are all
 * hot do not stop it. If main has only hot pages, a move would evict a page as hot as the moved
 * one.
 */
#define ROOM_PAGE_FRAMES  4
#define ROOM_BLOCK_FRAMES (PAGES_PER_BLOCK / 4)
#define ROOM_FRAMES_MAX   (4 * PAGES_PER_BLOCK)

/* One call of a cleaner. `skipped` is a list of pageblocks. */
struct drain {
	struct volume *volume;
	const struct reclaim_target *target;
	struct phys_addr next; /* of a window: the block to look at next */
	uint64_t keep;
	uint64_t dirty_max;  /* pages that may be moved, of a block or of all the window */
	bool write;          /* dirty pages are not in the way: they get written */
	struct list skipped; /* blocks that could not be emptied */
	uint64_t claimed;    /* pages of the blocks that are isolated together */
	uint64_t given;
	unsigned room; /* frames that main's cursor may still go over */
	bool over;     /* the volume is down to what it keeps */
};

/*
 * Empties a frame. A hot page that gets no frame is dropped; a dirty page takes any frame. A page
 * that is not dirty any more when it is to be moved has been written.
 */
static bool empty_frame(struct drain *drain, struct page *page)
{
	const uint32_t state = page_state(page);
	const bool dirty = page_is(state, PAGE_DIRTY);

	if (page_is(state, PAGE_FREE))
		return true;
	if (!dirty && !replacement_is_worth_moving(state) && page_drop(drain->volume, page))
		return true;
	if (!page_move(drain->volume, page, dirty ? NULL : &drain->room))
		return page_drop(drain->volume, page);
	if (!dirty)
		drain->room += ROOM_PAGE_FRAMES;
	page_set_free(page);
	return true;
}

/* Drops or moves every page of the isolated block. False: a page stays, and those behind it. */
static bool empty_block(struct drain *drain, struct pageblock *pageblock)
{
	for (uint32_t i = 0; (i = pageblock_drop(drain->volume, pageblock, i, REPLACEMENT_COLD_HITS)) < PAGES_PER_BLOCK; i++)
		if (!empty_frame(drain, &pageblock->pages[i]))
			return false;
	return true;
}

static bool empty_and_release(struct drain *drain, struct pageblock *pageblock, const struct page_counts *counts)
{
	if (counts->dirty > drain->dirty_max && counts->failed == 0)
		pageout_note(drain->volume, pageblock);
	if (counts->stuck > 0 || counts->dirty > drain->dirty_max)
		return false;
	drain->room = MIN(drain->room + ROOM_BLOCK_FRAMES, ROOM_FRAMES_MAX);
	return empty_block(drain, pageblock) && page_heap_release(drain->volume, pageblock);
}

/* Gives the block, with a trace event. Pages that a cursor moves meanwhile count as moved, too. */
static bool give_block(struct drain *drain, struct pageblock *pageblock, struct page_counts *counts)
{
	const struct volume *volume = drain->volume;
	const uint64_t moved = atomic_load_explicit(&volume->counts.moved_pages, memory_order_relaxed);
	const bool given = empty_and_release(drain, pageblock, counts);

	if (!given)
		(void)replacement_count(pageblock, counts);
	trace_event(reclaim_trace(memory_reclaim(volume->pagecache->memory)), given ? TRACE_BLOCK : TRACE_STUCK, volume->name,
		    pageblock->block.value >> BLOCK_SHIFT,
		    given ? atomic_load_explicit(&volume->counts.moved_pages, memory_order_relaxed) - moved : counts->stuck);
	return given;
}

static void let_go(struct drain *drain)
{
	cache_minimum_let_go(drain->volume, drain->claimed);
	drain->claimed = 0;
}

static bool is_late(const struct drain *drain)
{
	return platform_now_ns() >= drain->target->deadline_ns;
}

/* Whether to end: late, or other requests want the turn, which wait until there is a block. */
static bool has_to_end(const struct drain *drain)
{
	return is_late(drain) || (drain->given > 0 && reclaim_target_is_wanted(drain->target));
}

static bool is_over(const struct drain *drain)
{
	return drain->over || drain->given >= drain->target->bytes || has_to_end(drain);
}

/*
 * The next block of the window, by address. An exchange leaves a volume that has nothing else its
 * open blocks, so that it can still read.
 */
static struct pageblock *isolate_next(struct drain *drain, struct page_counts *counts)
{
	const struct pageblock_table *table = &drain->volume->pagecache->pages.table;
	struct phys_addr *next = &drain->next;

	while (next->value < drain->target->highest.value && !is_late(drain)) {
		struct pageblock *pageblock = pageblock_table_block(table, *next);

		next->value += BLOCK_BYTES;
		if (pageblock && page_heap_isolate_block(drain->volume, pageblock, !drain->target->exchange, counts))
			return pageblock;
	}
	return NULL;
}

/*
 * Isolates the coldest block, or the next one of a window, unless the volume has to keep it. NULL:
 * there is none.
 */
static struct pageblock *isolate_block(struct drain *drain, struct page_counts *counts)
{
	struct pageblock *pageblock = drain->target->unmovable ? isolate_next(drain, counts)
							       : page_heap_isolate(drain->volume, drain->target, false, counts);

	if (!pageblock)
		return NULL;
	if (!cache_minimum_claim(drain->volume, drain->keep, counts->cached)) {
		drain->over = true;
		list_insert_first(&drain->skipped, &pageblock->link);
		return NULL;
	}
	drain->claimed += counts->cached;
	return pageblock;
}

/*
 * Gives the coldest block, or all blocks of a window, which are all isolated first: pages that move
 * out of one must not move into another. False: there is no further block.
 */
static bool give_some(struct drain *drain)
{
	const struct reclaim_target *target = drain->target;
	const uint64_t most = target->unmovable ? divide_round_up(target->bytes - drain->given, BLOCK_BYTES) : 1;
	struct page_counts counts;
	struct pageblock *pageblock;
	struct list isolated, *link;

	list_init(&isolated);
	for (uint64_t i = 0; i < most && !is_late(drain) && (pageblock = isolate_block(drain, &counts)) != NULL; i++)
		list_insert_last(&isolated, &pageblock->link);
	if (list_is_empty(&isolated))
		return false;
	while ((link = list_take_first(&isolated)) != NULL) {
		pageblock = container_of(link, struct pageblock, link);
		/* Emptying the blocks before it took long: it is counted again. */
		if (most > 1)
			(void)replacement_count(pageblock, &counts);
		if (!has_to_end(drain) && give_block(drain, pageblock, &counts))
			drain->given += BLOCK_BYTES;
		else
			list_insert_first(&drain->skipped, &pageblock->link);
	}
	let_go(drain);
	return true;
}

/*
 * Whether a block of the volume seems to be in the way of the window that it lies in. If it has
 * more than its share of dirty pages, those of all such blocks up to this one count.
 */
static bool is_unmovable(const struct drain *drain, const struct page_counts *counts)
{
	if (drain->write)
		return counts->stuck > counts->ends || (counts->failed > 0 && counts->dirty > drain->dirty_max);
	return counts->stuck > 0 || counts->dirty > drain->dirty_max;
}

/*
 * Moves the pages of a block to another, each one place further on: pages at equal places of two
 * blocks share an entry of a TLB that is indexed by the page's number, and would evict each other
 * at every word (QEMU's emulated CPU copies 13 times slower so). A page in use stays, and the block
 * with it, and so does one whose new frame still has the pins of a page that is GONE.
 */
static bool exchange_block(struct volume *volume, struct pageblock *pageblock, struct phys_addr block)
{
	struct pageblock *fresh = page_heap_replace(volume, pageblock, block);

	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		struct page *page = &pageblock->pages[i], *target = &fresh->pages[(i + 1) % PAGES_PER_BLOCK];
		uint32_t state = page_state_make(PAGE_FREE, 0);

		if (page_is(page_state(page), PAGE_FREE) || !page_try_change(target, &state, page_state_make(PAGE_TAKEN, 0)))
			continue;
		if (page_move_to(volume, page, target))
			page_set_free(page);
	}
	page_heap_put_back(&volume->eviction.heap, fresh);
	return page_heap_release(volume, pageblock);
}

/* Empties the window without a loss: as many free blocks come in for its blocks. */
static void exchange(struct drain *drain)
{
	struct volume *volume = drain->volume;
	const struct run_request request = { .blocks = 1, .owner = &volume->eviction.heap.owner };
	struct page_counts counts;
	struct pageblock *pageblock;
	struct phys_addr fresh;

	while (!is_over(drain) && (pageblock = isolate_next(drain, &counts)) != NULL) {
		if (counts.stuck == 0 &&
		    block_heap_alloc(memory_block_heap(volume->pagecache->memory), &request, &fresh) == STATUS_OK &&
		    exchange_block(volume, pageblock, fresh))
			drain->given += BLOCK_BYTES;
		else
			list_insert_first(&drain->skipped, &pageblock->link);
	}
}

/*
 * Whether the volume could give all its blocks in the window, before it loses any page. Blocks that
 * are in the way are excluded from later windows. A page in use now may be free when its block's
 * turn comes; the next round looks again.
 */
static bool window_can_go(struct drain *drain)
{
	const struct reclaim_target *target = drain->target;
	struct volume *volume = drain->volume;
	struct block_heap *blocks = memory_block_heap(volume->pagecache->memory);
	struct window block = { .start = target->lowest, .blocks = 1 };
	const uint32_t share = volume->pagecache->config.move_percent * PAGES_PER_BLOCK / 100;
	uint32_t unmovable = 0, dirty = 0;
	uint64_t pages = 0;

	for (; block.start.value < target->highest.value && !is_late(drain); block.start.value += BLOCK_BYTES) {
		struct pageblock *pageblock = pageblock_table_block(&volume->pagecache->pages.table, block.start);
		struct page_counts counts;

		if (!pageblock || !page_heap_hold(volume, pageblock))
			continue;
		(void)replacement_count(pageblock, &counts);
		pages += counts.cached;
		if (counts.dirty > share)
			counts.dirty = dirty += counts.dirty;
		if (is_unmovable(drain, &counts)) {
			window_exclude(blocks, &block);
			unmovable++;
		}
		page_heap_let_go(volume, pageblock);
	}
	*target->unmovable += unmovable;
	if (unmovable > 0 || is_late(drain) || !cache_minimum_claim(volume, drain->keep, pages))
		return false;
	cache_minimum_let_go(volume, pages);
	return true;
}

static void drain_begin(struct drain *drain, struct volume *volume, const struct reclaim_target *target, uint64_t keep)
{
	const uint64_t bytes = target->unmovable ? target->highest.value - target->lowest.value + 1 : BLOCK_BYTES;

	*drain = (struct drain){ .volume = volume, .target = target, .next = target->lowest, .keep = keep };
	drain->dirty_max = bytes / PAGE_BYTES * volume->pagecache->config.move_percent / 100;
	list_init(&drain->skipped);
	atomic_fetch_add(&volume->eviction.cleaning, 1);
}

static void drain_end(struct drain *drain)
{
	struct list *link;

	while ((link = list_take_first(&drain->skipped)) != NULL)
		page_heap_put_back(&drain->volume->eviction.heap, container_of(link, struct pageblock, link));
	atomic_fetch_sub(&drain->volume->eviction.cleaning, 1);
	platform_wake(&drain->volume->eviction.cleaning);
}

uint64_t evict_blocks(struct volume *volume, const struct reclaim_target *target, uint64_t keep)
{
	const bool before = platform_set_cleaning(true);
	struct drain drain;

	drain_begin(&drain, volume, target, keep);
	(void)cpu_frames_empty(volume);
	longterm_settle(volume);
	if (target->exchange)
		exchange(&drain);
	else if (!target->unmovable || (window_can_go(&drain) && *target->unmovable == 0))
		while (!is_over(&drain) && give_some(&drain))
			;
	drain_end(&drain);
	(void)platform_set_cleaning(before);
	return drain.given;
}

/*
 * Starts to write the coldest dirty blocks, as many as are missing and at most a batch, or all of a
 * window; the request comes back when some have been written. True: writes are under way.
 */
static bool write_blocks(struct volume *volume, const struct reclaim_target *target, uint64_t keep)
{
	const uint64_t missing = divide_round_up(target->bytes, BLOCK_BYTES);
	const uint64_t most = target->unmovable ? missing : MIN(missing, (uint64_t)WRITE_BATCH);
	struct page_counts counts;
	struct pageblock *pageblock;
	struct drain drain;
	uint64_t writing = 0;

	drain_begin(&drain, volume, target, keep);
	drain.write = true;
	if (target->unmovable && !window_can_go(&drain))
		drain.over = true;
	while (writing < most && !is_over(&drain) && (pageblock = isolate_block(&drain, &counts)) != NULL) {
		if (counts.failed == 0)
			writing += pageout_write_block(volume, pageblock);
		list_insert_first(&drain.skipped, &pageblock->link);
		if (!target->unmovable)
			let_go(&drain);
	}
	let_go(&drain);
	drain_end(&drain);
	return writing > 0;
}

bool evict_everything(struct volume *volume)
{
	const struct reclaim_target target = { .highest = { UINT64_MAX } };
	struct page_counts counts;
	struct pageblock *pageblock;
	struct drain drain;

	drain_begin(&drain, volume, &target, 0);
	(void)cpu_frames_empty(volume);
	longterm_settle(volume);
	while ((pageblock = page_heap_isolate(volume, &target, true, &counts)) != NULL) {
		for (uint32_t i = 0; (i = pageblock_drop(volume, pageblock, i, PAGE_HITS)) < PAGES_PER_BLOCK; i++)
			(void)page_drop(volume, &pageblock->pages[i]);
		if (!page_heap_release(volume, pageblock))
			list_insert_first(&drain.skipped, &pageblock->link);
	}
	drain_end(&drain);
	return atomic_load(&volume->eviction.heap.blocks) == 0;
}

static uint64_t clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct volume *volume = container_of(self, struct volume, eviction.cleaners[VOLUME_CLEANER_CLEAN]);
	const uint64_t given = evict_blocks(volume, target, volume->config.keep_bytes);

	if (given > 0)
		replacement_drained(&volume->eviction.heap, given >> BLOCK_SHIFT);
	return given;
}

static uint64_t clean_dirty(struct cleaner *self, const struct reclaim_target *target)
{
	struct volume *volume = container_of(self, struct volume, eviction.cleaners[VOLUME_CLEANER_DIRTY]);

	if (target->may_write && write_blocks(volume, target, volume->config.keep_bytes) && target->under_way)
		*target->under_way = true;
	return 0;
}

void evict_cleaners_register(struct volume *volume)
{
	const struct cleaner cleaners[VOLUME_CLEANERS] = {
		{ .cost = CLEANER_FREE, .clean = cpu_frames_clean },
		{ .cost = CLEANER_CLEAN, .clean = clean, .held_back = volume_held_back, .explain = volume_explain },
		{ .cost = CLEANER_DIRTY, .clean = clean_dirty },
	};

	for (unsigned i = 0; i < VOLUME_CLEANERS; i++) {
		struct cleaner *cleaner = &volume->eviction.cleaners[i];

		*cleaner = cleaners[i];
		cleaner->preference = volume->config.preference;
		cleaner->name = i == VOLUME_CLEANER_CPU_FRAMES ? "per-CPU frames" : volume->name;
		cleaner_register(reclaim_cleaners(memory_reclaim(volume->pagecache->memory)), cleaner);
	}
}

void evict_cleaners_unregister(struct volume *volume)
{
	for (unsigned i = 0; i < VOLUME_CLEANERS; i++)
		cleaner_unregister(reclaim_cleaners(memory_reclaim(volume->pagecache->memory)), &volume->eviction.cleaners[i]);
}
