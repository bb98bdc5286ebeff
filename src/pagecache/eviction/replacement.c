// SPDX-License-Identifier: BSD-2-Clause
/*
 * What to evict: queues, targets and scores. A new page enters probation; a page that is hit there,
 * or comes back soon after its eviction (ghost.h), goes to main. Ghosts that come back tell which
 * queue was too small. docs/PAGECACHE.md explains the choice and its figures.
 */
#include "replacement.h"

#include "frame.h"
#include "pagecache/volume.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

#define TARGET_PERCENT        10
#define TARGET_MIN_PERCENT    2
#define TARGET_MAX_PERCENT    60
#define TARGET_SHIFT          32 /* heap->target is a share of all pages, with so many binary places */
#define TARGET_PARTS(percent) (((1ull << TARGET_SHIFT) * (percent)) / 100)

#define GHOST_PERCENT  90 /* of the cache's pages: how long a ghost from probation counts */
#define RECENT_PERCENT 5  /* of them: evictions that are recent */

#define EXCHANGE_HOT_PERCENT 20 /* of its pages: a hotter block of probation may go to main */
#define EXCHANGE_PERCENT     80 /* of that many, the most hot pages of main's oldest block */

#define DEMAND_PARTS  3   /* of the cache: probation grows with demand up to one part */
#define DEMAND_FORGET 256 /* parts of the demand; each turn of the cache forgets one */

#define GONE_TURNS 4 /* when a quarter of the blocks was begun anew, none counts as gone */

/*
 * The score of a page by its hits, in probation and in main: how often such a page is hit before it
 * would leave by itself, as measured; docs/PAGECACHE.md has the figures. A page that is moved costs
 * the copy and a frame of main. A dirty page is moved with its block, and is often written to
 * again; a page in writeback may keep the block from going. A page in the younger half of probation
 * would have stayed for longer.
 */
static const uint8_t rank_costs[PAGE_RANKS] = { 2, 7, 3, 20, 20, 30, 30, 30 };
static const uint8_t open_costs[QUEUES] = { 5, 12 }; /* new pages have not yet shown their worth */
#define COST_DIRTY 20
#define COST_BUSY  80
#define COST_YOUNG 2

/* Pages ---------------------------------------------------------------------------------------- */

bool replacement_is_hot(uint32_t state)
{
	return page_hits(state) >= (state & PAGE_MAIN ? 1 : REPLACEMENT_HOT_HITS);
}

bool replacement_is_worth_moving(uint32_t state)
{
	return page_hits(state) >= REPLACEMENT_HOT_HITS;
}

uint32_t replacement_state_in_main(uint32_t state)
{
	const uint32_t hits = state & PAGE_MAIN ? page_hits(state) - MIN(page_hits(state), 1u) : 0;

	return page_state_with(state, page_content(state), PAGE_HITS | PAGE_AHEAD, PAGE_MAIN | hits * PAGE_HIT);
}

static uint64_t pages_of(const struct page_heap *heap)
{
	return atomic_load_explicit(&heap->blocks, memory_order_relaxed) * PAGES_PER_BLOCK;
}

static uint64_t target_of(const struct page_heap *heap)
{
	return atomic_load_explicit(&heap->target, memory_order_relaxed) * pages_of(heap) >> TARGET_SHIFT;
}

/*
 * The pages that drains are expected to demand; the cache may have become smaller since they did.
 */
static uint64_t demand_pages(const struct page_heap *heap)
{
	return MIN((uint64_t)heap->demand_blocks * PAGES_PER_BLOCK, pages_of(heap) / DEMAND_PARTS);
}

/*
 * Adapts probation's target to a miss whose ghost left this queue just now. The target stays while
 * blocks are gone: then there are more misses than the sizes of the queues are to blame for. And
 * while probation is larger than its target, a miss of main does not lower the target.
 */
static void adapt(struct page_heap *heap, enum queue queue)
{
	const uint64_t one_page = (1ull << TARGET_SHIFT) / MAX(pages_of(heap), 1u);
	uint64_t target;

	spinlock_lock(&heap->lock);
	target = atomic_load_explicit(&heap->target, memory_order_relaxed);
	if (heap->gone_blocks == 0 && (queue == QUEUE_PROBATION || demand_pages(heap) <= target_of(heap))) {
		target += queue == QUEUE_PROBATION ? one_page : -one_page;
		target = MIN(MAX(target, TARGET_PARTS(TARGET_MIN_PERCENT)), TARGET_PARTS(TARGET_MAX_PERCENT));
		atomic_store_explicit(&heap->target, target, memory_order_relaxed);
	}
	spinlock_unlock(&heap->lock);
}

enum queue replacement_admit(struct volume *volume, uint64_t key)
{
	const uint64_t pages = pages_of(&volume->eviction.heap);
	enum queue queue;
	uint64_t age;

	if (!ghosts_take(&volume->pagecache->eviction.ghosts, key, &queue, &age))
		return QUEUE_PROBATION;
	if (age <= pages * RECENT_PERCENT / 100)
		adapt(&volume->eviction.heap, queue);
	return queue == QUEUE_PROBATION && age <= pages * GHOST_PERCENT / 100 ? QUEUE_MAIN : QUEUE_PROBATION;
}

static bool main_hand(struct volume *volume, struct page *page)
{
	uint32_t state = page_state(page);

	while (page_content(state) >= PAGE_READING && replacement_is_hot(state))
		if (page_try_change(page, &state, replacement_state_in_main(state)))
			return false;
	return page_evict(volume, page);
}

/* A page that cannot be moved has been pinned or written to meanwhile, and stays. */
static bool probation_hand(struct volume *volume, struct page *page)
{
	return replacement_is_hot(page_state(page)) ? page_move(volume, page, NULL) : page_evict(volume, page);
}

bool replacement_visit(struct volume *volume, struct page *page, enum queue queue)
{
	uint32_t state = page_state(page);
	bool taken;

	if (page_is(state, PAGE_FREE))
		return page_try_change(page, &state, page_state_make(PAGE_TAKEN, 0));
	taken = queue == QUEUE_MAIN ? main_hand(volume, page) : probation_hand(volume, page);
	if (!taken && page_is(state, PAGE_DIRTY))
		writeback_kick(volume->pagecache);
	return taken;
}

/* Blocks --------------------------------------------------------------------------------------- */

/* Whether the block is in the younger half of probation. [R] is held. */
static bool is_young(const struct pageblock *pageblock)
{
	const struct volume *volume = pageblock->volume;
	const uint32_t now = atomic_load_explicit(&volume->pagecache->eviction.clock, memory_order_relaxed);
	const uint32_t age = now - atomic_load_explicit(&pageblock->entered, memory_order_relaxed);

	return pageblock->queue == QUEUE_PROBATION && 2 * age < volume->eviction.heap.queue_blocks[QUEUE_PROBATION];
}

/* Counts a page that is neither FREE nor idle; returns its extra cost over an idle one. */
static uint32_t survey_page(uint32_t state, struct page_counts *counts)
{
	counts->cached += page_content(state) >= PAGE_WRITING;
	counts->ends += page_is(state, PAGE_WRITEBACK);
	counts->failed += (state & PAGE_FAILED) != 0;
	if (page_is(state, PAGE_DIRTY) && (state & PAGE_PINS) == 0)
		counts->dirty++;
	else
		counts->stuck++;
	if (page_is(state, PAGE_DIRTY))
		return COST_DIRTY;
	return page_is(state, PAGE_CLEAN) ? 0 : COST_BUSY;
}

uint32_t replacement_count(const struct pageblock *pageblock, struct page_counts *counts)
{
	uint32_t score = 0, others = 0;

	*counts = (struct page_counts){ .used = PAGES_PER_BLOCK };
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		const uint32_t state = page_state(&pageblock->pages[i]);

		if (!page_is_idle(state)) {
			others++;
			if (page_is(state, PAGE_FREE)) {
				counts->used--;
				continue;
			}
			score += survey_page(state, counts);
		}
		score += rank_costs[page_rank(state)];
	}
	counts->cached += PAGES_PER_BLOCK - others;
	return score;
}

uint32_t replacement_look(const struct pageblock *pageblock, struct page_counts *counts)
{
	const uint32_t score = replacement_count(pageblock, counts);

	if (pageblock->mapped > 0)
		return REPLACEMENT_SCORE_MAX; /* it cannot go now */
	return score + (is_young(pageblock) ? COST_YOUNG * counts->used : 0);
}

uint32_t replacement_score_open(const struct pageblock *pageblock)
{
	struct page_counts counts;

	return MAX(replacement_look(pageblock, &counts), (uint32_t)open_costs[pageblock->queue] * PAGES_PER_BLOCK);
}

static uint32_t hot_pages(const struct pageblock *pageblock)
{
	uint32_t hot = 0;

	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		hot += replacement_is_hot(page_state(&pageblock->pages[i]));
	return hot;
}

/*
 * Probation's target in whole blocks, at least one: a fraction would make blocks change queues to
 * and fro.
 */
static uint64_t target_blocks(const struct page_heap *heap)
{
	return MAX(MAX(target_of(heap), demand_pages(heap)) / PAGES_PER_BLOCK, 1u);
}

bool replacement_wants_fresh_locked(const struct page_heap *heap, enum queue queue)
{
	const uint64_t blocks = heap->queue_blocks[QUEUE_PROBATION], target = target_blocks(heap);

	return queue == QUEUE_PROBATION || blocks == target || (blocks > target && heap->gone_blocks == 0);
}

/*
 * Exchanges a hot block of probation for a colder one of main, as main's oldest: so no page has to
 * be moved.
 */
static struct pageblock *exchange_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	struct pageblock *other = page_heap_oldest_locked(heap, QUEUE_MAIN);
	const uint32_t hot = hot_pages(pageblock);

	if (!other || hot * 100 <= EXCHANGE_HOT_PERCENT * PAGES_PER_BLOCK || hot_pages(other) * 100 >= hot * EXCHANGE_PERCENT)
		return pageblock;
	page_heap_unlink_locked(heap, pageblock);
	page_heap_queue_locked(heap, pageblock, QUEUE_MAIN, false);
	return other;
}

struct pageblock *replacement_next_locked(struct page_heap *heap, enum queue queue)
{
	struct pageblock *oldest = page_heap_oldest_locked(heap, QUEUE_PROBATION);
	struct pageblock *oldest_main = page_heap_oldest_locked(heap, QUEUE_MAIN);
	const uint64_t blocks = heap->queue_blocks[QUEUE_PROBATION], target = target_blocks(heap);
	const bool keep_main = heap->gone_blocks > 0 && blocks >= 2;

	if (queue == QUEUE_MAIN)
		return !oldest_main || (oldest && blocks > target) ? oldest : oldest_main;
	if (!oldest || (oldest_main && blocks < target && !keep_main))
		return oldest_main;
	return exchange_locked(heap, oldest);
}

void replacement_init(struct page_heap *heap)
{
	atomic_init(&heap->target, TARGET_PARTS(TARGET_PERCENT));
}

void replacement_drained(struct page_heap *heap, uint64_t blocks)
{
	spinlock_lock(&heap->lock);
	const uint32_t all = atomic_load_explicit(&heap->blocks, memory_order_relaxed) + heap->gone_blocks;
	heap->drained_blocks = (uint32_t)MIN(heap->drained_blocks + blocks, (uint64_t)heap->gone_blocks);
	heap->demand_blocks = MAX(heap->demand_blocks, MIN(heap->drained_blocks, all / DEMAND_PARTS));
	spinlock_unlock(&heap->lock);
}

static void set_gone_locked(struct page_heap *heap, uint32_t blocks)
{
	heap->gone_blocks = blocks;
	heap->drained_blocks = MIN(heap->drained_blocks, blocks);
}

void replacement_came_back_locked(struct page_heap *heap)
{
	set_gone_locked(heap, heap->gone_blocks - (heap->gone_blocks > 0));
}

void replacement_turn_locked(struct page_heap *heap)
{
	const uint32_t all = MAX(heap->queue_blocks[QUEUE_PROBATION] + heap->queue_blocks[QUEUE_MAIN], GONE_TURNS);

	if (++heap->gone_turns >= all / GONE_TURNS)
		set_gone_locked(heap, 0);
	if (++heap->demand_turns >= all) {
		heap->demand_turns = 0;
		heap->demand_blocks -= (uint32_t)divide_round_up(heap->demand_blocks, DEMAND_FORGET);
	}
}
