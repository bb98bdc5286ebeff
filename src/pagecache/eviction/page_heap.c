// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pageblocks of a volume: queues, levels by score, and cursors. A queue is refilled in place:
 * its cursor goes over the frames of its oldest block and evicts, moves or keeps each page. How the
 * blocks are chosen is in replacement.c.
 */
#include "page_heap_internal.h"

#include "evict.h"
#include "pagecache/writeback/writeback.h"
#include "replacement.h"
#include "runtime/base/bits.h"

#define AGEING_FRAMES 16 /* of a cursor between two looks at scores: 32 pages for each miss */

bool page_heap_has_locked(const struct volume *volume, const struct pageblock *pageblock, unsigned roles)
{
	return pageblock && atomic_load_explicit(&pageblock->volume, memory_order_relaxed) == volume &&
	       (roles >> pageblock->role & 1);
}

/* Lists ---------------------------------------------------------------------------------------- */

unsigned page_heap_level(uint32_t score)
{
	return (unsigned)MIN((uint64_t)score * SCORE_LEVELS / REPLACEMENT_SCORE_MAX, SCORE_LEVELS - 1ull);
}

static void level_enter_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	const unsigned level = page_heap_level(pageblock->score);

	list_insert_last(&heap->levels[level], &pageblock->scored);
	heap->level_mask |= 1ull << level;
	heap->level_blocks[level]++;
}

static void level_leave_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	const unsigned level = page_heap_level(pageblock->score);

	list_remove(&pageblock->scored);
	if (--heap->level_blocks[level] == 0)
		heap->level_mask &= ~(1ull << level);
}

/* Sets the score, by which windows are chosen, too; a block with mapped pages cannot go. */
static void set_score_locked(struct page_heap *heap, struct pageblock *pageblock, uint32_t score)
{
	pageblock->score = score;
	block_heap_set_cost(memory_block_heap(page_heap_volume(heap)->pagecache->memory), pageblock->block,
			    pageblock->mapped > 0 ? BLOCK_COST_FIXED : score);
}

void page_heap_count_locked(struct page_heap *heap, struct pageblock *pageblock, struct page_counts *counts)
{
	const uint32_t score = replacement_look(pageblock, counts);

	atomic_store_explicit(&pageblock->cached, counts->cached, memory_order_relaxed);
	if (page_heap_level(score) != page_heap_level(pageblock->score)) {
		level_leave_locked(heap, pageblock);
		pageblock->score = score;
		level_enter_locked(heap, pageblock);
	}
	set_score_locked(heap, pageblock, score);
	list_remove(&pageblock->aged);
	list_insert_last(&heap->aged, &pageblock->aged);
}

void page_heap_look_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	struct page_counts counts;

	if (pageblock->role == PAGEBLOCK_QUEUED)
		page_heap_count_locked(heap, pageblock, &counts);
	else if (pageblock->role == PAGEBLOCK_OPEN)
		set_score_locked(heap, pageblock, replacement_score_open(pageblock));
}

void page_heap_queue_locked(struct page_heap *heap, struct pageblock *pageblock, enum queue queue, bool youngest)
{
	struct list *list = &heap->queues[queue];

	pageblock->role = PAGEBLOCK_QUEUED;
	pageblock->queue = (uint8_t)queue;
	pageblock->position = PAGES_PER_BLOCK;
	heap->queue_blocks[queue]++;
	list_insert_after(youngest ? list->previous : list, &pageblock->link);
	level_enter_locked(heap, pageblock);
	page_heap_look_locked(heap, pageblock);
}

void page_heap_unlink_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	const enum pageblock_role role = pageblock->role;

	heap->empty_blocks -= role == PAGEBLOCK_EMPTY;
	heap->longterm_blocks -= role == PAGEBLOCK_LONGTERM;
	heap->queue_blocks[pageblock->queue] -= role == PAGEBLOCK_OPEN || role == PAGEBLOCK_QUEUED;
	if (role == PAGEBLOCK_OPEN)
		heap->open[pageblock->queue] = NULL;
	if (role == PAGEBLOCK_QUEUED) {
		level_leave_locked(heap, pageblock);
		list_remove(&pageblock->aged);
	}
	if (heap->longterm_open == pageblock)
		heap->longterm_open = NULL;
	list_remove(&pageblock->link);
	pageblock->role = PAGEBLOCK_NONE;
}

/* Counts so many blocks more, or fewer, for this heap. */
static void resize_locked(struct page_heap *heap, int blocks)
{
	atomic_fetch_add_explicit(&heap->blocks, (uint32_t)blocks, memory_order_relaxed);
	atomic_fetch_add_explicit(&page_heap_volume(heap)->pagecache->eviction.blocks, (uint32_t)blocks, memory_order_relaxed);
}

void page_heap_enter_locked(struct page_heap *heap, struct pageblock *pageblock, enum pageblock_role role, enum queue queue)
{
	/* Other page heaps read it, under locks of their own. */
	atomic_store_explicit(&pageblock->volume, page_heap_volume(heap), memory_order_relaxed);
	pageblock->role = (uint8_t)role;
	pageblock->queue = (uint8_t)queue;
	pageblock->position = 0;
	resize_locked(heap, 1);
}

void page_heap_leave_locked(struct page_heap *heap, struct pageblock *pageblock)
{
	pageblock->role = PAGEBLOCK_NONE;
	atomic_store_explicit(&pageblock->volume, NULL, memory_order_relaxed);
	resize_locked(heap, -1);
	heap->gone_blocks++;
	heap->gone_turns = 0;
}

/* Blocks come and go --------------------------------------------------------------------------- */

/*
 * How long ago the block was filled that is refilled next, in blocks that cursors have begun since;
 * `now` is pagecache->eviction.clock. 0: there is none.
 */
static uint32_t age_of(struct page_heap *heap, uint32_t now)
{
	const struct pageblock *pageblock;
	uint32_t age = 0;

	spinlock_lock(&heap->lock);
	for (unsigned queue = 0; queue < QUEUES && age == 0; queue++)
		if ((pageblock = page_heap_oldest_locked(heap, queue)) != NULL)
			age = now - atomic_load_explicit(&pageblock->entered, memory_order_relaxed);
	spinlock_unlock(&heap->lock);
	return age;
}

/*
 * The volume that has not turned over for longest, of those that have more than their cache
 * minimum. volumes_lock is held.
 */
static struct volume *older_volume(struct volume *volume)
{
	const uint32_t now = atomic_load(&volume->pagecache->eviction.clock);
	uint32_t age = age_of(&volume->eviction.heap, now);
	struct volume *oldest = NULL;

	list_for_each (link, &volume->pagecache->volumes) {
		struct volume *other = container_of(link, struct volume, link);
		const uint32_t other_age = age_of(&other->eviction.heap, now);

		if (other == volume || other->leaving || other->config.preference > volume->config.preference ||
		    atomic_load(&other->eviction.heap.blocks) <= divide_round_up(other->config.keep_bytes, BLOCK_BYTES) ||
		    other_age <= age)
			continue;
		oldest = other;
		age = other_age;
	}
	return oldest;
}

/*
 * Takes a block of another volume that has not turned over for longer than this one, and gives
 * first by preference or equally. No I/O.
 */
static bool evict_older_block(struct volume *volume)
{
	const struct reclaim_target target = reclaim_target_any(BLOCK_BYTES);
	struct pagecache *pagecache = volume->pagecache;
	struct volume *other;
	bool given;

	/*
	 * The task that holds the lock may be waiting for a frame: then this volume refills in
	 * place.
	 */
	if (!mutex_try_lock(&pagecache->volumes_lock))
		return false;
	other = older_volume(volume);
	given = other && evict_blocks(other, &target, other->config.keep_bytes) > 0;
	mutex_unlock(&pagecache->volumes_lock);
	return given;
}

/* Whether the heap may grow: not while a drain is under way, whose gain would be lost again. */
static bool may_grow(struct volume *volume)
{
	struct memory *memory = volume->pagecache->memory;

	if (atomic_load(&volume->eviction.cleaning) != 0)
		return false;
	return reclaim_may_grow(memory_reclaim(memory)) ||
	       (evict_older_block(volume) && reclaim_may_grow(memory_reclaim(memory)));
}

status_t pageblock_alloc(struct pagecache *pagecache, struct owner *owner, struct pageblock **pageblock)
{
	const struct memory_request request = { .blocks = 1, .owner = owner, .wait = MEMORY_WAIT_NEVER };
	struct phys_addr block;
	const status_t status = memory_blocks_alloc(pagecache->memory, &request, &block);

	if (status == STATUS_OK)
		*pageblock = pageblock_prepare(&pagecache->pages.table, block);
	return status;
}

/* Takes a fresh block, which is in no list yet. No lock is held. */
static struct pageblock *fresh_block(struct page_heap *heap)
{
	struct volume *volume = page_heap_volume(heap);
	struct reclaim *reclaim = memory_reclaim(volume->pagecache->memory);
	struct phys_addr block;

	if (!may_grow(volume) || reclaim_cache_take(reclaim, &heap->owner, &block) != STATUS_OK)
		return NULL;
	return pageblock_prepare(&volume->pagecache->pages.table, block);
}

void page_heap_init(struct page_heap *heap, const char *name)
{
	spinlock_init(&heap->lock, "page heap");
	owner_init(&heap->owner, name, true);
	list_init(&heap->empty);
	list_init(&heap->aged);
	list_init(&heap->longterm);
	for (unsigned i = 0; i < QUEUES; i++)
		list_init(&heap->queues[i]);
	for (unsigned i = 0; i < SCORE_LEVELS; i++)
		list_init(&heap->levels[i]);
	replacement_init(heap);
}

/* Cursors -------------------------------------------------------------------------------------- */

void page_heap_open_locked(struct page_heap *heap, struct pageblock *pageblock, enum queue queue)
{
	_Atomic uint32_t *clock = &page_heap_volume(heap)->pagecache->eviction.clock;

	pageblock->role = PAGEBLOCK_OPEN;
	pageblock->queue = (uint8_t)queue;
	pageblock->position = 0;
	heap->open[queue] = pageblock;
	heap->queue_blocks[queue]++;
	atomic_store_explicit(&pageblock->entered, atomic_fetch_add_explicit(clock, 1, memory_order_relaxed),
			      memory_order_relaxed);
}

static void begin_locked(struct page_heap *heap, struct pageblock *pageblock, enum queue queue)
{
	struct volume *volume = page_heap_volume(heap);

	page_heap_unlink_locked(heap, pageblock);
	page_heap_open_locked(heap, pageblock, queue);
	/*
	 * Drains of single blocks take them from the levels, which the open block is not in; but a
	 * window may be worth its loss.
	 */
	page_heap_look_locked(heap, pageblock);
	if (queue == QUEUE_PROBATION)
		replacement_turn_locked(heap);
	if (queue == QUEUE_PROBATION && atomic_load_explicit(&volume->counts.dirty_pages, memory_order_relaxed) > 0)
		writeback_kick(volume->pagecache);
	guarantee_turn(memory_guarantee(volume->pagecache->memory));
}

void page_heap_close_locked(struct page_heap *heap, enum queue queue)
{
	struct pageblock *pageblock = heap->open[queue];

	if (!pageblock)
		return;
	page_heap_unlink_locked(heap, pageblock);
	page_heap_queue_locked(heap, pageblock, queue, true);
}

/* The open block of a queue, if its cursor has frames ahead; otherwise closes it. */
static struct pageblock *open_block_locked(struct page_heap *heap, enum queue queue)
{
	if (heap->open[queue] && pageblock_cursor_is_done(heap->open[queue]))
		page_heap_close_locked(heap, queue);
	return heap->open[queue];
}

/* An empty block, a fresh one if there is no other. Releases the lock meanwhile. */
static struct pageblock *empty_block_locked(struct page_heap *heap)
{
	struct pageblock *fresh;

	if (list_is_empty(&heap->empty)) {
		spinlock_unlock(&heap->lock);
		fresh = fresh_block(heap);
		spinlock_lock(&heap->lock);
		if (fresh) {
			page_heap_enter_locked(heap, fresh, PAGEBLOCK_EMPTY, QUEUE_PROBATION);
			replacement_came_back_locked(heap);
			list_insert_first(&heap->empty, &fresh->link);
			heap->empty_blocks++;
		}
	}
	return list_is_empty(&heap->empty) ? NULL : container_of(heap->empty.next, struct pageblock, link);
}

/*
 * The open block of a queue, with frames ahead of its cursor. NULL: the heap has no block for it.
 */
static struct pageblock *cursor_locked(struct page_heap *heap, enum queue queue)
{
	struct pageblock *open = open_block_locked(heap, queue), *next = NULL;

	if (!open && replacement_wants_fresh_locked(heap, queue)) {
		next = empty_block_locked(heap);
		/*
		 * Another task may have opened one while the lock was free; a fresh one then waits.
		 */
		open = open_block_locked(heap, queue);
	}
	if (open)
		return open;
	if (!next)
		next = replacement_next_locked(heap, queue);
	if (next)
		begin_locked(heap, next, queue);
	return next;
}

bool page_heap_hold(struct volume *volume, struct pageblock *pageblock)
{
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	const bool held = page_heap_has_locked(volume, pageblock, ~(ROLE_BIT(PAGEBLOCK_ISOLATED) | ROLE_BIT(PAGEBLOCK_LOANED)));
	if (held)
		pageblock->busy++;
	spinlock_unlock(&heap->lock);
	return held;
}

void page_heap_let_go(struct volume *volume, struct pageblock *pageblock)
{
	spinlock_lock(&volume->eviction.heap.lock);
	pageblock->busy--;
	spinlock_unlock(&volume->eviction.heap.lock);
}

/*
 * Moves the cursor over up to `most` frames of its block, and visits each. Returns how many it went
 * over; 0: the queue has no block.
 */
static unsigned visit(struct volume *volume, enum queue queue, unsigned most, struct page **pages, unsigned *taken)
{
	struct page_heap *heap = &volume->eviction.heap;
	struct pageblock *pageblock;
	unsigned first, count;

	*taken = 0;
	spinlock_lock(&heap->lock);
	pageblock = cursor_locked(heap, queue);
	if (!pageblock) {
		spinlock_unlock(&heap->lock);
		return 0;
	}
	first = pageblock->position;
	count = MIN(most, (unsigned)PAGES_PER_BLOCK - first);
	pageblock->position += count;
	pageblock->busy++;
	if (first / AGEING_FRAMES != pageblock->position / AGEING_FRAMES && !list_is_empty(&heap->aged))
		page_heap_look_locked(heap, container_of(heap->aged.next, struct pageblock, aged));
	spinlock_unlock(&heap->lock);

	for (unsigned i = first; i < first + count; i++)
		if (replacement_visit(volume, &pageblock->pages[i], queue))
			pages[(*taken)++] = &pageblock->pages[i];
	spinlock_lock(&heap->lock);
	pageblock->busy--;
	/* If a drain has isolated the block, the frames that were won are free again. */
	while (pageblock->role == PAGEBLOCK_ISOLATED && *taken > 0)
		page_set_free(pages[--*taken]);
	spinlock_unlock(&heap->lock);
	return count;
}

unsigned page_heap_take_many(struct volume *volume, enum queue queue, struct page **pages, unsigned most, unsigned *budget)
{
	unsigned taken = 0, count;

	while (taken == 0 && *budget > 0 && (count = visit(volume, queue, MIN(most, *budget), pages, &taken)) > 0)
		*budget -= count;
	return taken;
}

struct page *page_heap_take(struct volume *volume, enum queue queue)
{
	unsigned budget = PAGE_HEAP_BUDGET;
	struct page *page;

	return page_heap_take_many(volume, queue, &page, 1, &budget) > 0 ? page : NULL;
}

struct pageblock *page_heap_oldest_locked(struct page_heap *heap, enum queue queue)
{
	struct list *link = list_first(&heap->queues[queue]);

	return link ? container_of(link, struct pageblock, link) : NULL;
}

unsigned page_heap_find_ahead(struct page_heap *heap, struct heap_ahead *ahead)
{
	unsigned count = 0, most;

	spinlock_lock(&heap->lock);
	for (unsigned queue = 0; queue < QUEUES; queue++)
		if (heap->open[queue])
			ahead[count++] = (struct heap_ahead){ heap->open[queue], heap->open[queue]->position };
	most = MIN(count + heap->queue_blocks[QUEUE_PROBATION] / 2 + 1, HEAP_AHEAD_BLOCKS);
	list_for_each (link, &heap->queues[QUEUE_PROBATION]) {
		if (count == most)
			break;
		ahead[count++] = (struct heap_ahead){ container_of(link, struct pageblock, link), 0 };
	}
	spinlock_unlock(&heap->lock);
	return count;
}
