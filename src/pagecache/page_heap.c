#include "page_heap_internal.h"

#include "apart.h"
#include "evict.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "writeback.h"

#define AGEING_FRAMES 16 /* that a cursor goes over before another block's score is looked at: 32 pages for each one missed */

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

/* Windows of blocks are chosen by it, too; one with mapped pages cannot go. */
static void set_score_locked(struct page_heap *heap, struct frames *frames, uint32_t score)
{
	frames->score = score;
	block_heap_set_cost(&page_heap_volume(heap)->pagecache->memory->blocks, frames->block,
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
	struct frames_census census;

	frames->role = FRAMES_QUEUED;
	frames->lane = (uint8_t)lane;
	heap->lane_blocks[lane]++;
	if (youngest)
		list_insert_last(&heap->queues[lane], &frames->link);
	else
		list_insert_first(&heap->queues[lane], &frames->link);
	set_score_locked(heap, frames, replacement_look(frames, &census));
	atomic_store_explicit(&frames->cached, census.cached, memory_order_relaxed);
	level_enter_locked(heap, frames);
	list_insert_last(&heap->aged, &frames->aged);
}

void page_heap_unlink_locked(struct page_heap *heap, struct frames *frames)
{
	switch (frames->role) {
	case FRAMES_EMPTY:
		heap->empty_blocks--;
		break;
	case FRAMES_OPEN:
		heap->open[frames->lane] = NULL;
		heap->lane_blocks[frames->lane]--;
		break;
	case FRAMES_QUEUED:
		heap->lane_blocks[frames->lane]--;
		level_leave_locked(heap, frames);
		list_remove(&frames->aged);
		break;
	default:
		break;
	}
	list_remove(&frames->link);
	frames->role = FRAMES_NONE;
}

static void empty_locked(struct page_heap *heap, struct frames *frames)
{
	frames->role = FRAMES_EMPTY;
	list_insert_first(&heap->empty, &frames->link);
	heap->empty_blocks++;
}

/* Other page heaps look at it, under locks of their own. */
static void set_volume_locked(struct frames *frames, struct volume *volume)
{
	atomic_store_explicit(&frames->volume, volume, memory_order_relaxed);
}

static void age_locked(struct page_heap *heap)
{
	struct list *first = list_first(&heap->aged);

	if (first)
		page_heap_look_locked(heap, container_of(first, struct frames, aged));
}

/* Blocks come and go ------------------------------------------------------------------------------------------------------- */

/* While a drain is under way nobody grows, or what it wins would be lost again. */
static bool may_grow(struct volume *volume)
{
	struct memory *memory = volume->pagecache->memory;

	if (atomic_load(&volume->cleaning) != 0)
		return false;
	return memory_may_grow(memory) || (evict_older_block(volume) && memory_may_grow(memory));
}

status_t frames_alloc(struct pagecache *pagecache, struct owner *owner, struct frames **frames)
{
	const struct memory_request request = { .blocks = 1, .owner = owner, .wait = MEMORY_WAIT_NEVER };
	struct phys_addr block;
	const status_t status = memory_blocks_alloc(pagecache->memory, &request, &block);

	if (status != STATUS_OK)
		return status;
	*frames = frame_table_block(&pagecache->table, block);
	frames_prepare(*frames);
	return STATUS_OK;
}

/* A block that is in no list yet. No lock is held. */
static struct frames *fresh_block(struct page_heap *heap)
{
	struct volume *volume = page_heap_volume(heap);
	struct pagecache *pagecache = volume->pagecache;
	struct block_source *source = &pagecache->memory->cache_source.blocks;
	struct phys_addr block;
	struct frames *frames;

	if (!may_grow(volume) || source->take(source, &heap->owner, 1, 0, &block) != STATUS_OK)
		return NULL;
	frames = frame_table_block(&pagecache->table, block);
	frames_prepare(frames);
	return frames;
}

void page_heap_give(struct volume *volume, struct frames *frames)
{
	struct block_source *source = &volume->pagecache->memory->cache_source.blocks;

	source->give(source, frames->block);
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

void page_heap_resize_locked(struct page_heap *heap, int blocks)
{
	atomic_fetch_add_explicit(&heap->blocks, (uint32_t)blocks, memory_order_relaxed);
	atomic_fetch_add_explicit(&page_heap_volume(heap)->pagecache->blocks, (uint32_t)blocks, memory_order_relaxed);
}

void page_heap_fini(struct volume *volume)
{
	struct page_heap *heap = &volume->heap;
	struct list *link;

	while ((link = list_first(&heap->empty)) != NULL) {
		struct frames *frames = container_of(link, struct frames, link);

		page_heap_unlink_locked(heap, frames);
		set_volume_locked(frames, NULL);
		page_heap_resize_locked(heap, -1);
		page_heap_give(volume, frames);
	}
	assert(atomic_load(&heap->blocks) == 0);
}

void page_heap_leave_locked(struct page_heap *heap, struct frames *frames)
{
	frames->role = FRAMES_NONE;
	set_volume_locked(frames, NULL);
	page_heap_resize_locked(heap, -1);
	heap->gone_blocks++;
	heap->gone_turns = 0;
}

/* Cursors ------------------------------------------------------------------------------------------------------------------ */

static void open_locked(struct page_heap *heap, struct frames *frames, enum lane lane)
{
	page_heap_unlink_locked(heap, frames);
	frames->role = FRAMES_OPEN;
	frames->lane = (uint8_t)lane;
	frames->position = 0;
	heap->open[lane] = frames;
	heap->lane_blocks[lane]++;
	atomic_store_explicit(&frames->entered,
			      atomic_fetch_add_explicit(&page_heap_volume(heap)->pagecache->clock, 1, memory_order_relaxed),
			      memory_order_relaxed);
	/* Single blocks are taken from the levels, where it is not; but a run may be worth its loss. */
	set_score_locked(heap, frames, replacement_score_open(frames));
	if (lane == LANE_PROBATION) {
		replacement_turn_locked(heap);
		writeback_turn(page_heap_volume(heap));
	}
	guarantee_turn(&page_heap_volume(heap)->pagecache->memory->guarantee);
}

static void close_locked(struct page_heap *heap, enum lane lane)
{
	struct frames *frames = heap->open[lane];

	if (frames) {
		page_heap_unlink_locked(heap, frames);
		page_heap_queue_locked(heap, frames, lane, true);
	}
}

/* An empty block, fresh from the memory if there is no other. Lets the lock go for that. */
static struct frames *empty_block_locked(struct page_heap *heap)
{
	struct frames *fresh;

	if (list_is_empty(&heap->empty)) {
		spinlock_unlock(&heap->lock);
		fresh = fresh_block(heap);
		spinlock_lock(&heap->lock);
		if (fresh) {
			page_heap_resize_locked(heap, 1);
			replacement_came_back_locked(heap);
			set_volume_locked(fresh, page_heap_volume(heap));
			empty_locked(heap, fresh);
		}
	}
	return list_is_empty(&heap->empty) ? NULL : container_of(heap->empty.next, struct frames, link);
}

/* The open block of a lane, with frames ahead of its cursor. NULL: the heap has no block for it. */
static struct frames *cursor_locked(struct page_heap *heap, enum lane lane)
{
	struct frames *next = NULL;

	if (heap->open[lane] && !frames_cursor_is_done(heap->open[lane]))
		return heap->open[lane];
	close_locked(heap, lane);
	if (replacement_wants_fresh_locked(heap, lane))
		next = empty_block_locked(heap);
	/* Somebody else may have opened one while the lock was free; a fresh one then waits. */
	if (heap->open[lane] && !frames_cursor_is_done(heap->open[lane]))
		return heap->open[lane];
	close_locked(heap, lane);
	if (!next)
		next = replacement_next_locked(heap, lane);
	if (next)
		open_locked(heap, next, lane);
	return next;
}

/* The visit is over. If the block is to be drained, the frames that were won are free again. Returns how many are not. */
static unsigned visit_end(struct page_heap *heap, struct frames *frames, struct page **pages, unsigned taken)
{
	spinlock_lock(&heap->lock);
	frames->busy--;
	while (frames->role == FRAMES_FENCED && taken > 0)
		page_set(pages[--taken], page_state_make(PAGE_FREE, 0));
	spinlock_unlock(&heap->lock);
	return taken;
}

bool page_heap_hold(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;
	bool held;

	spinlock_lock(&heap->lock);
	/* The role is this heap's to read only if the block is its own. */
	held = atomic_load_explicit(&frames->volume, memory_order_relaxed) == volume && frames->role != FRAMES_FENCED &&
	       frames->role != FRAMES_LENT;
	if (held)
		frames->busy++;
	spinlock_unlock(&heap->lock);
	return held;
}

void page_heap_let_go(struct volume *volume, struct frames *frames)
{
	spinlock_lock(&volume->heap.lock);
	frames->busy--;
	spinlock_unlock(&volume->heap.lock);
}

/* Moves the cursor over up to `most` frames of its block, and looks at each. Returns how many it went over; 0: no block. */
static unsigned visit(struct volume *volume, enum lane lane, unsigned most, struct page **pages, unsigned *taken)
{
	struct page_heap *heap = &volume->heap;
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
	if (first / AGEING_FRAMES != frames->position / AGEING_FRAMES)
		age_locked(heap);
	spinlock_unlock(&heap->lock);

	for (unsigned i = first; i < first + count; i++)
		if (replacement_visit(volume, &frames->pages[i], lane))
			pages[(*taken)++] = &frames->pages[i];
	*taken = visit_end(heap, frames, pages, *taken);
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

uint32_t page_heap_age(struct page_heap *heap, uint32_t now)
{
	uint32_t age = 0;

	spinlock_lock(&heap->lock);
	for (unsigned lane = 0; lane < LANES && age == 0; lane++) {
		struct list *link = list_first(&heap->queues[lane]);

		if (link)
			age = now -
			      atomic_load_explicit(&container_of(link, struct frames, link)->entered, memory_order_relaxed);
	}
	spinlock_unlock(&heap->lock);
	return age;
}
