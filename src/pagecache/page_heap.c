// SPDX-License-Identifier: BSD-2-Clause
/*
 * The pageblocks of a volume: queues, levels by score, and cursors. A queue is refilled in place:
 * its cursor goes over the frames of its oldest block and evicts, moves or keeps each page. How the
 * blocks are chosen is in replacement.c.
 */
#include "page_heap_internal.h"

#include "evict.h"
#include "replacement.h"
#include "runtime/base/bits.h"
#include "writeback.h"

#define AGEING_FRAMES 16 /* of a cursor between two looks at scores: 32 pages for each miss */

bool page_heap_has_locked(const struct volume *volume, const struct frames *frames, unsigned roles)
{
	return frames && atomic_load_explicit(&frames->volume, memory_order_relaxed) == volume && (roles >> frames->role & 1);
}

/* Lists -------------------------------------------------------------------------------------------------------------------- */

unsigned page_heap_level(uint32_t score)
{
	return (unsigned)MIN((uint64_t)score * SCORE_LEVELS / REPLACEMENT_SCORE_MAX, SCORE_LEVELS - 1ull);
}

static void level_enter_locked(struct page_heap *heap, struct frames *frames)
{
	const unsigned level = page_heap_level(frames->score);

	list_insert_last(&heap->levels[level], &frames->scored);
	heap->level_mask |= 1ull << level;
	heap->level_blocks[level]++;
}

static void level_leave_locked(struct page_heap *heap, struct frames *frames)
{
	const unsigned level = page_heap_level(frames->score);

	list_remove(&frames->scored);
	if (--heap->level_blocks[level] == 0)
		heap->level_mask &= ~(1ull << level);
}

/* Sets the score, by which windows are chosen, too; a block with mapped pages cannot go. */
static void set_score_locked(struct page_heap *heap, struct frames *frames, uint32_t score)
{
	frames->score = score;
	block_heap_set_cost(memory_block_heap(page_heap_volume(heap)->pagecache->memory), frames->block,
			    frames->mapped > 0 ? BLOCK_COST_FIXED : score);
}

void page_heap_count_locked(struct page_heap *heap, struct frames *frames, struct frames_census *census)
{
	const uint32_t score = replacement_look(frames, census);

	atomic_store_explicit(&frames->cached, census->cached, memory_order_relaxed);
	if (page_heap_level(score) != page_heap_level(frames->score)) {
		level_leave_locked(heap, frames);
		frames->score = score;
		level_enter_locked(heap, frames);
	}
	set_score_locked(heap, frames, score);
	list_remove(&frames->aged);
	list_insert_last(&heap->aged, &frames->aged);
}

void page_heap_look_locked(struct page_heap *heap, struct frames *frames)
{
	struct frames_census census;

	if (frames->role == FRAMES_QUEUED)
		page_heap_count_locked(heap, frames, &census);
	else if (frames->role == FRAMES_OPEN)
		set_score_locked(heap, frames, replacement_score_open(frames));
}

void page_heap_queue_locked(struct page_heap *heap, struct frames *frames, enum lane lane, bool youngest)
{
	struct list *queue = &heap->queues[lane];

	frames->role = FRAMES_QUEUED;
	frames->lane = (uint8_t)lane;
	frames->position = PAGES_PER_BLOCK;
	heap->lane_blocks[lane]++;
	list_insert_after(youngest ? queue->previous : queue, &frames->link);
	level_enter_locked(heap, frames);
	page_heap_look_locked(heap, frames);
}

void page_heap_unlink_locked(struct page_heap *heap, struct frames *frames)
{
	const enum frames_role role = frames->role;

	heap->empty_blocks -= role == FRAMES_EMPTY;
	heap->apart_blocks -= role == FRAMES_APART;
	heap->lane_blocks[frames->lane] -= role == FRAMES_OPEN || role == FRAMES_QUEUED;
	if (role == FRAMES_OPEN)
		heap->open[frames->lane] = NULL;
	if (role == FRAMES_QUEUED) {
		level_leave_locked(heap, frames);
		list_remove(&frames->aged);
	}
	if (heap->apart_open == frames)
		heap->apart_open = NULL;
	list_remove(&frames->link);
	frames->role = FRAMES_NONE;
}

/* Counts so many blocks more, or fewer, for this heap. */
static void resize_locked(struct page_heap *heap, int blocks)
{
	atomic_fetch_add_explicit(&heap->blocks, (uint32_t)blocks, memory_order_relaxed);
	atomic_fetch_add_explicit(&page_heap_volume(heap)->pagecache->eviction.blocks, (uint32_t)blocks, memory_order_relaxed);
}

void page_heap_enter_locked(struct page_heap *heap, struct frames *frames, enum frames_role role, enum lane lane)
{
	/* Other page heaps read it, under locks of their own. */
	atomic_store_explicit(&frames->volume, page_heap_volume(heap), memory_order_relaxed);
	frames->role = (uint8_t)role;
	frames->lane = (uint8_t)lane;
	frames->position = 0;
	resize_locked(heap, 1);
}

void page_heap_leave_locked(struct page_heap *heap, struct frames *frames)
{
	frames->role = FRAMES_NONE;
	atomic_store_explicit(&frames->volume, NULL, memory_order_relaxed);
	resize_locked(heap, -1);
	heap->gone_blocks++;
	heap->gone_turns = 0;
}

/* Blocks come and go ------------------------------------------------------------------------------------------------------- */

/*
 * How long ago the block was filled that is refilled next, in blocks that cursors have begun since;
 * `now` is pagecache->eviction.clock. 0: there is none.
 */
static uint32_t age_of(struct page_heap *heap, uint32_t now)
{
	const struct frames *frames;
	uint32_t age = 0;

	spinlock_lock(&heap->lock);
	for (unsigned lane = 0; lane < LANES && age == 0; lane++)
		if ((frames = page_heap_oldest_locked(heap, lane)) != NULL)
			age = now - atomic_load_explicit(&frames->entered, memory_order_relaxed);
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

status_t frames_alloc(struct pagecache *pagecache, struct owner *owner, struct frames **frames)
{
	const struct memory_request request = { .blocks = 1, .owner = owner, .wait = MEMORY_WAIT_NEVER };
	struct phys_addr block;
	const status_t status = memory_blocks_alloc(pagecache->memory, &request, &block);

	if (status == STATUS_OK)
		*frames = frames_prepare(&pagecache->pages.table, block);
	return status;
}

/* Takes a fresh block, which is in no list yet. No lock is held. */
static struct frames *fresh_block(struct page_heap *heap)
{
	struct volume *volume = page_heap_volume(heap);
	struct reclaim *reclaim = memory_reclaim(volume->pagecache->memory);
	struct phys_addr block;

	if (!may_grow(volume) || reclaim_cache_take(reclaim, &heap->owner, &block) != STATUS_OK)
		return NULL;
	return frames_prepare(&volume->pagecache->pages.table, block);
}

void page_heap_init(struct page_heap *heap, const char *name)
{
	spinlock_init(&heap->lock, "page heap");
	owner_init(&heap->owner, name, true);
	list_init(&heap->empty);
	list_init(&heap->aged);
	list_init(&heap->apart);
	for (unsigned i = 0; i < LANES; i++)
		list_init(&heap->queues[i]);
	for (unsigned i = 0; i < SCORE_LEVELS; i++)
		list_init(&heap->levels[i]);
	replacement_init(heap);
}

/* Cursors ------------------------------------------------------------------------------------------------------------------ */

void page_heap_open_locked(struct page_heap *heap, struct frames *frames, enum lane lane)
{
	_Atomic uint32_t *clock = &page_heap_volume(heap)->pagecache->eviction.clock;

	frames->role = FRAMES_OPEN;
	frames->lane = (uint8_t)lane;
	frames->position = 0;
	heap->open[lane] = frames;
	heap->lane_blocks[lane]++;
	atomic_store_explicit(&frames->entered, atomic_fetch_add_explicit(clock, 1, memory_order_relaxed),
			      memory_order_relaxed);
}

static void begin_locked(struct page_heap *heap, struct frames *frames, enum lane lane)
{
	struct volume *volume = page_heap_volume(heap);

	page_heap_unlink_locked(heap, frames);
	page_heap_open_locked(heap, frames, lane);
	/*
	 * Drains of single blocks take them from the levels, which the open block is not in; but a
	 * window may be worth its loss.
	 */
	page_heap_look_locked(heap, frames);
	if (lane == LANE_PROBATION)
		replacement_turn_locked(heap);
	if (lane == LANE_PROBATION && atomic_load_explicit(&volume->counts.dirty_pages, memory_order_relaxed) > 0)
		writeback_kick(volume->pagecache);
	guarantee_turn(memory_guarantee(volume->pagecache->memory));
}

void page_heap_close_locked(struct page_heap *heap, enum lane lane)
{
	struct frames *frames = heap->open[lane];

	if (!frames)
		return;
	page_heap_unlink_locked(heap, frames);
	page_heap_queue_locked(heap, frames, lane, true);
}

/* The open block of a queue, if its cursor has frames ahead; otherwise closes it. */
static struct frames *open_block_locked(struct page_heap *heap, enum lane lane)
{
	if (heap->open[lane] && frames_cursor_is_done(heap->open[lane]))
		page_heap_close_locked(heap, lane);
	return heap->open[lane];
}

/* An empty block, a fresh one if there is no other. Releases the lock meanwhile. */
static struct frames *empty_block_locked(struct page_heap *heap)
{
	struct frames *fresh;

	if (list_is_empty(&heap->empty)) {
		spinlock_unlock(&heap->lock);
		fresh = fresh_block(heap);
		spinlock_lock(&heap->lock);
		if (fresh) {
			page_heap_enter_locked(heap, fresh, FRAMES_EMPTY, LANE_PROBATION);
			replacement_came_back_locked(heap);
			list_insert_first(&heap->empty, &fresh->link);
			heap->empty_blocks++;
		}
	}
	return list_is_empty(&heap->empty) ? NULL : container_of(heap->empty.next, struct frames, link);
}

/*
 * The open block of a queue, with frames ahead of its cursor. NULL: the heap has no block for it.
 */
static struct frames *cursor_locked(struct page_heap *heap, enum lane lane)
{
	struct frames *open = open_block_locked(heap, lane), *next = NULL;

	if (!open && replacement_wants_fresh_locked(heap, lane)) {
		next = empty_block_locked(heap);
		/*
		 * Another task may have opened one while the lock was free; a fresh one then waits.
		 */
		open = open_block_locked(heap, lane);
	}
	if (open)
		return open;
	if (!next)
		next = replacement_next_locked(heap, lane);
	if (next)
		begin_locked(heap, next, lane);
	return next;
}

bool page_heap_hold(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->eviction.heap;

	spinlock_lock(&heap->lock);
	const bool held = page_heap_has_locked(volume, frames, ~(ROLE_BIT(FRAMES_FENCED) | ROLE_BIT(FRAMES_LENT)));
	if (held)
		frames->busy++;
	spinlock_unlock(&heap->lock);
	return held;
}

void page_heap_let_go(struct volume *volume, struct frames *frames)
{
	spinlock_lock(&volume->eviction.heap.lock);
	frames->busy--;
	spinlock_unlock(&volume->eviction.heap.lock);
}

/*
 * Moves the cursor over up to `most` frames of its block, and visits each. Returns how many it went
 * over; 0: the queue has no block.
 */
static unsigned visit(struct volume *volume, enum lane lane, unsigned most, struct page **pages, unsigned *taken)
{
	struct page_heap *heap = &volume->eviction.heap;
	struct frames *frames;
	unsigned first, count;

	*taken = 0;
	spinlock_lock(&heap->lock);
	frames = cursor_locked(heap, lane);
	if (!frames) {
		spinlock_unlock(&heap->lock);
		return 0;
	}
	first = frames->position;
	count = MIN(most, (unsigned)PAGES_PER_BLOCK - first);
	frames->position += count;
	frames->busy++;
	if (first / AGEING_FRAMES != frames->position / AGEING_FRAMES && !list_is_empty(&heap->aged))
		page_heap_look_locked(heap, container_of(heap->aged.next, struct frames, aged));
	spinlock_unlock(&heap->lock);

	for (unsigned i = first; i < first + count; i++)
		if (replacement_visit(volume, &frames->pages[i], lane))
			pages[(*taken)++] = &frames->pages[i];
	spinlock_lock(&heap->lock);
	frames->busy--;
	/* If a drain has isolated the block, the frames that were won are free again. */
	while (frames->role == FRAMES_FENCED && *taken > 0)
		page_set_free(pages[--*taken]);
	spinlock_unlock(&heap->lock);
	return count;
}

unsigned page_heap_take_many(struct volume *volume, enum lane lane, struct page **pages, unsigned most, unsigned *budget)
{
	unsigned taken = 0, count;

	while (taken == 0 && *budget > 0 && (count = visit(volume, lane, MIN(most, *budget), pages, &taken)) > 0)
		*budget -= count;
	return taken;
}

struct page *page_heap_take(struct volume *volume, enum lane lane)
{
	unsigned budget = PAGE_HEAP_BUDGET;
	struct page *page;

	return page_heap_take_many(volume, lane, &page, 1, &budget) > 0 ? page : NULL;
}

struct frames *page_heap_oldest_locked(struct page_heap *heap, enum lane lane)
{
	struct list *link = list_first(&heap->queues[lane]);

	return link ? container_of(link, struct frames, link) : NULL;
}

unsigned page_heap_find_ahead(struct page_heap *heap, struct heap_ahead *ahead)
{
	unsigned count = 0, most;

	spinlock_lock(&heap->lock);
	for (unsigned lane = 0; lane < LANES; lane++)
		if (heap->open[lane])
			ahead[count++] = (struct heap_ahead){ heap->open[lane], heap->open[lane]->position };
	most = MIN(count + heap->lane_blocks[LANE_PROBATION] / 2 + 1, HEAP_AHEAD_BLOCKS);
	list_for_each (link, &heap->queues[LANE_PROBATION]) {
		if (count == most)
			break;
		ahead[count++] = (struct heap_ahead){ container_of(link, struct frames, link), 0 };
	}
	spinlock_unlock(&heap->lock);
	return count;
}
