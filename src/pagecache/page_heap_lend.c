/* Groups of blocks, and the blocks that are lent: the page heap's part of lend.h. */
#include "page_heap_internal.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

/*
 * How long the lock is held for: some 64 of the coldest groups are looked at, or 4096 blocks passed by that lie outside of the
 * limits, before there seem to be no others.
 */
#define LOOKS       (4 * KIB)
#define GROUP_LOOKS 64u /* that one group counts for, or one for each of its blocks, if these are more */

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

/* What it would cost to lose the blocks, and how many of their frames are empty. False: they are no group. [R] is held. */
static bool look_at_group_locked(const struct volume *volume, uint64_t start, uint64_t blocks, uint64_t *score, uint64_t *empty)
{
	*score = *empty = 0;
	for (uint64_t i = 0; i < blocks; i++) {
		const struct frames *frames = block_at(volume, start + (i << BLOCK_SHIFT));

		if (!is_queued_here_locked(volume, frames))
			return false;
		*score += frames->score;
		*empty += PAGES_PER_BLOCK - atomic_load_explicit(&frames->cached, memory_order_relaxed);
	}
	return true;
}

static bool is_admitted(const struct guarantee *guarantee, const struct guarantee_wish *wish, uint64_t start)
{
	const uint64_t last = start + (guarantee->piece_blocks << BLOCK_SHIFT) - 1;

	return (guarantee->highest.value == 0 || last <= guarantee->highest.value) &&
	       (start > wish->avoid_last.value || last < wish->avoid_first.value);
}

/*
 * Takes the group if it is a better one. An empty frame counts as a missed page: nobody fills it while the block is lent, and
 * the cursor would.
 */
static void consider_locked(struct volume *volume, uint64_t lowest_score, uint64_t start, struct heap_group *group)
{
	const uint64_t blocks = volume->pagecache->memory->guarantee.piece_blocks;
	uint64_t score, empty;

	if (!look_at_group_locked(volume, start, blocks, &score, &empty))
		return;
	score += empty * REPLACEMENT_SCORE_PAGE;
	if (score < group->score && score >= lowest_score && empty * 100 <= blocks * PAGES_PER_BLOCK * GUARANTEE_IDLE_PERCENT)
		*group = (struct heap_group){ volume, { start }, score };
}

bool page_heap_find_group(struct volume *volume, const struct guarantee_wish *wish, uint64_t lowest_score,
			  struct heap_group *group)
{
	const struct guarantee *guarantee = &volume->pagecache->memory->guarantee;
	const uint64_t bytes = guarantee->piece_blocks << BLOCK_SHIFT;
	const uint64_t group_looks = MAX(guarantee->piece_blocks, (uint64_t)GROUP_LOOKS);
	struct page_heap *heap = &volume->heap;
	uint64_t looks = 0;

	group->score = UINT64_MAX;
	spinlock_lock(&heap->lock);
	for (uint64_t levels = heap->level_mask; levels != 0 && looks < LOOKS; levels &= levels - 1) {
		list_for_each (link, &heap->levels[__builtin_ctzll(levels)]) {
			const uint64_t start = align_down(container_of(link, struct frames, scored)->block.value, bytes);
			const bool admitted = is_admitted(guarantee, wish, start);

			if (admitted)
				consider_locked(volume, lowest_score, start, group);
			looks += admitted ? group_looks : 1;
			if (looks >= LOOKS)
				break;
		}
	}
	spinlock_unlock(&heap->lock);
	return group->score != UINT64_MAX;
}

bool page_heap_fence_group(struct volume *volume, struct phys_addr start, uint64_t blocks)
{
	struct page_heap *heap = &volume->heap;
	uint64_t score, empty;
	bool fenced;

	spinlock_lock(&heap->lock);
	fenced = look_at_group_locked(volume, start.value, blocks, &score, &empty);
	for (uint64_t i = 0; fenced && i < blocks; i++) {
		struct frames *frames = block_at(volume, start.value + (i << BLOCK_SHIFT));

		page_heap_unlink_locked(heap, frames);
		frames->role = FRAMES_FENCED;
	}
	spinlock_unlock(&heap->lock);
	return fenced;
}

/* Windows of blocks for large requests go round it where they can. */
static void enter_lent_locked(struct volume *volume, struct frames *frames, uint32_t cached)
{
	struct page_heap *heap = &volume->heap;

	frames->role = FRAMES_LENT;
	atomic_store(&frames->cached, cached);
	atomic_fetch_add(&heap->lent_blocks, 1);
	atomic_fetch_add(&heap->lent_pages, cached);
	block_heap_set_cost(&volume->pagecache->memory->blocks, frames->block, REPLACEMENT_SCORE_MAX);
}

void page_heap_leave_lent_locked(struct page_heap *heap, struct frames *frames)
{
	atomic_fetch_sub(&heap->lent_blocks, 1);
	atomic_fetch_sub(&heap->lent_pages, atomic_load(&frames->cached));
	atomic_fetch_and(&frames->generation, ~GENERATION_LENT);
}

void page_heap_note_left_locked(struct page_heap *heap, struct frames *frames)
{
	atomic_fetch_sub(&frames->cached, 1);
	atomic_fetch_sub(&heap->lent_pages, 1);
}

void page_heap_note_left(struct volume *volume, struct frames *frames)
{
	spinlock_lock(&volume->heap.lock);
	if (page_heap_has_lent_locked(volume, frames))
		page_heap_note_left_locked(&volume->heap, frames);
	spinlock_unlock(&volume->heap.lock);
}

bool page_heap_has_lent_locked(const struct volume *volume, const struct frames *frames)
{
	return atomic_load_explicit(&frames->volume, memory_order_relaxed) == volume && frames->role == FRAMES_LENT;
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

bool page_heap_lend(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;
	uint32_t cached;
	bool lent;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_FENCED);
	lent = frames->busy == 0;
	if (lent) {
		/* Before the pages are looked at: whoever pins one now finds it, or is found. */
		atomic_fetch_or(&frames->generation, GENERATION_LENT);
		lent = count_lendable(frames, &cached);
		if (lent)
			enter_lent_locked(volume, frames, cached);
		else
			atomic_fetch_and(&frames->generation, ~GENERATION_LENT);
	}
	spinlock_unlock(&heap->lock);
	return lent;
}

void page_heap_forget(struct volume *volume, struct frames *frames)
{
	struct page_heap *heap = &volume->heap;

	spinlock_lock(&heap->lock);
	assert(frames->role == FRAMES_LENT);
	page_heap_leave_lent_locked(heap, frames);
	page_heap_leave_locked(heap, frames);
	spinlock_unlock(&heap->lock);
}
