/* Groups of blocks, and the blocks that are lent: the page heap's part of lend.h. */
#include "replacement.h"
#include "runtime/base/assert.h"
#include "volume.h"

#define BLOCKS_LOOKED_AT 64        /* the coldest ones; one of them has neighbours that are cold, too */
#define BLOCKS_PASSED_BY (4 * KIB) /* that lie outside of the limits, before there seem to be no others: less than 1 ms */

static struct frames *block_at(const struct volume *volume, uint64_t address)
{
	const struct frame_table *table = &volume->pagecache->table;
	const uint64_t index = (address >> BLOCK_SHIFT) - table->first_block;

	return index < table->count ? table->blocks[index] : NULL;
}

static bool is_queued_here_locked(const struct volume *volume, const struct frames *frames)
{
	return frames && atomic_load_explicit(&frames->volume, memory_order_relaxed) == volume &&
	       frames->role == FRAMES_QUEUED && frames->busy == 0 && frames->mapped == 0;
}

static bool is_group_locked(const struct volume *volume, uint64_t start, uint64_t blocks)
{
	for (uint64_t i = 0; i < blocks; i++)
		if (!is_queued_here_locked(volume, block_at(volume, start + (i << BLOCK_SHIFT))))
			return false;
	return true;
}

/* What it would cost to lose the blocks. [R] is held. */
static uint64_t group_score_locked(const struct volume *volume, uint64_t start, uint64_t blocks)
{
	uint64_t score = 0;

	for (uint64_t i = 0; i < blocks; i++)
		score += block_at(volume, start + (i << BLOCK_SHIFT))->score;
	return score;
}

/* Looks at each page. */
static uint64_t group_empty_frames(const struct volume *volume, uint64_t start, uint64_t blocks)
{
	uint64_t empty = 0;

	for (uint64_t i = 0; i < blocks; i++)
		empty += PAGES_PER_BLOCK - frames_cached_pages(block_at(volume, start + (i << BLOCK_SHIFT)));
	return empty;
}

static bool is_within_limits(const struct group_limits *limits, uint64_t start)
{
	const uint64_t last = start + (limits->blocks << BLOCK_SHIFT) - 1;

	return last <= limits->highest.value && (start > limits->avoid_last.value || last < limits->avoid_first.value);
}

/*
 * Takes the group, which lies within the limits, if it is a better one. An empty frame counts as a missed page: nobody fills it
 * while the block is lent, and the cursor would.
 */
static void consider_locked(const struct volume *volume, const struct group_limits *limits, uint64_t start,
			    struct heap_group *group)
{
	uint64_t score, empty;

	if (!is_group_locked(volume, start, limits->blocks))
		return;
	score = group_score_locked(volume, start, limits->blocks);
	if (score >= group->score)
		return;
	empty = group_empty_frames(volume, start, limits->blocks);
	score += empty * REPLACEMENT_SCORE_PAGE;
	if (score < group->score && score >= limits->lowest_score &&
	    empty * 100 <= limits->blocks * PAGES_PER_BLOCK * limits->empty_percent)
		*group = (struct heap_group){ { start }, score };
}

bool page_heap_find_group(struct volume *volume, const struct group_limits *limits, struct heap_group *group)
{
	struct page_heap *heap = &volume->heap;
	unsigned looks = BLOCKS_LOOKED_AT, passes = BLOCKS_PASSED_BY;

	group->score = UINT64_MAX;
	spinlock_lock(&heap->lock);
	for (uint64_t levels = heap->level_mask; levels != 0 && looks > 0 && passes > 0; levels &= levels - 1) {
		list_for_each (link, &heap->levels[__builtin_ctzll(levels)]) {
			const struct frames *frames = container_of(link, struct frames, scored);
			const uint64_t start = frames->block.value & ~((limits->blocks << BLOCK_SHIFT) - 1);

			if (looks == 0 || passes == 0)
				break;
			if (!is_within_limits(limits, start)) {
				passes--;
				continue;
			}
			looks--;
			consider_locked(volume, limits, start, group);
		}
	}
	spinlock_unlock(&heap->lock);
	return group->score != UINT64_MAX;
}

bool page_heap_fence_group(struct volume *volume, struct phys_addr start, uint64_t blocks)
{
	struct page_heap *heap = &volume->heap;
	bool fenced;

	spinlock_lock(&heap->lock);
	fenced = is_group_locked(volume, start.value, blocks);
	for (uint64_t i = 0; fenced && i < blocks; i++) {
		struct frames *frames = block_at(volume, start.value + (i << BLOCK_SHIFT));

		page_heap_unlink_locked(heap, frames);
		frames->role = FRAMES_FENCED;
	}
	spinlock_unlock(&heap->lock);
	return fenced;
}

/* Windows of blocks for large requests go round it where they can. */
static void set_cost_locked(struct volume *volume, struct frames *frames)
{
	block_heap_set_cost(&volume->pagecache->memory->blocks, frames->block, REPLACEMENT_SCORE_MAX);
}

static void enter_lent_locked(struct page_heap *heap, struct frames *frames)
{
	frames->role = FRAMES_LENT;
	list_insert_last(&heap->lent, &frames->link);
	atomic_fetch_add(&heap->lent_blocks, 1);
}

static void leave_lent_locked(struct page_heap *heap, struct frames *frames)
{
	list_remove(&frames->link);
	atomic_fetch_sub(&heap->lent_blocks, 1);
}

uint64_t page_heap_lent_pages(struct page_heap *heap)
{
	uint64_t pages = 0;

	spinlock_lock(&heap->lock);
	list_for_each (link, &heap->lent)
		pages += frames_cached_pages(container_of(link, struct frames, link));
	spinlock_unlock(&heap->lock);
	return pages;
}

bool page_heap_lend(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;
	bool lent;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_FENCED);
	lent = frames->busy == 0;
	if (lent) {
		enter_lent_locked(heap, frames);
		set_cost_locked(volume, frames);
		/* Before the pages are looked at again: whoever pins one now finds it, or is found. */
		atomic_fetch_or(&frames->generation, GENERATION_LENT);
	}
	spinlock_unlock(&heap->lock);
	return lent;
}

void page_heap_take_back(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_LENT);
	leave_lent_locked(heap, frames);
	frames->role = FRAMES_FENCED;
	atomic_fetch_and(&frames->generation, ~GENERATION_LENT);
	spinlock_unlock(&heap->lock);
}

void page_heap_forget(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_LENT);
	leave_lent_locked(heap, frames);
	page_heap_leave_locked(heap, frames);
	spinlock_unlock(&heap->lock);
}
