#include "frame.h"

#include "migration.h"
#include "replacement.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"
#include "writeback.h"

#define TAKE_NAP_NS (10 * NS_PER_MS)

/* Taking and returning ----------------------------------------------------------------------------------------------------- */

struct page *frame_try_take(struct volume *volume, enum lane *lane)
{
	const enum lane other = *lane == LANE_MAIN ? LANE_PROBATION : LANE_MAIN;
	struct page *page;

	if (block_heap_must_fail(&volume->pagecache->memory->blocks, "page", PAGE_BYTES))
		return NULL;
	page = lookaside_take(volume, *lane);
	if (page)
		return page;
	page = lookaside_take(volume, other);
	if (page)
		*lane = other;
	return page;
}

/* Has others give what is missing for this volume to grow by one block. */
static bool make_room(struct memory *memory, uint64_t deadline_ns)
{
	const uint64_t free_bytes = memory_free_bytes(memory);
	const uint64_t missing = MAX(memory->config.low_bytes, free_bytes) - free_bytes;

	return !memory_may_grow(memory) &&
	       memory_drain_until(memory, align_up(missing, BLOCK_BYTES) + BLOCK_BYTES, true, deadline_ns) > 0;
}

/* What keeps a volume from having a frame: a drain, dirty pages, no memory, or pages that others are just using. */
struct page *frame_take(struct volume *volume, enum lane *lane)
{
	const uint64_t deadline_ns = platform_now_ns() + volume->pagecache->config.frame_wait_ns;

	for (;;) {
		const uint32_t cleaning = atomic_load(&volume->cleaning);
		const uint32_t progress = atomic_load(&volume->progress);
		struct page *page = frame_try_take(volume, lane);

		if (page)
			return page;
		if (platform_now_ns() >= deadline_ns)
			return NULL;
		if (cleaning > 0)
			(void)platform_wait(&volume->cleaning, cleaning, deadline_ns);
		else if (!writeback_make_progress(volume, deadline_ns) && !make_room(volume->pagecache->memory, deadline_ns))
			(void)platform_wait(&volume->progress, progress, platform_now_ns() + TAKE_NAP_NS);
	}
}

void frame_return(struct page *page)
{
	page_set(page, page_state_make(PAGE_FREE, 0));
}

/* Leaving a frame ---------------------------------------------------------------------------------------------------------- */

static void count_evicted(struct volume *volume, uint64_t key, uint32_t state)
{
	ghosts_add(&volume->pagecache->ghosts, key, state & PAGE_MAIN ? LANE_MAIN : LANE_PROBATION);
	atomic_fetch_sub_explicit(&volume->counts.cached_pages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.evicted_pages, 1, memory_order_relaxed);
	if (state & PAGE_AHEAD)
		atomic_fetch_add_explicit(&volume->counts.ahead_wasted, 1, memory_order_relaxed);
}

bool page_evict_locked(struct volume *volume, struct page *page)
{
	uint32_t before;

	if (!page_try_leave(page, PAGE_TAKEN, &before))
		return false;
	index_remove_locked(&volume->pagecache->index, page);
	count_evicted(volume, page_key(page), before);
	return true;
}

bool page_evict(struct volume *volume, struct page *page)
{
	struct index_stripe *stripe;
	bool evicted;

	if (!page_is(page_state(page), PAGE_CLEAN))
		return false;
	stripe = index_lock_page(&volume->pagecache->index, page);
	if (!stripe)
		return false;
	evicted = page_evict_locked(volume, page);
	spinlock_unlock(&stripe->lock);
	return evicted;
}

bool page_drop(struct volume *volume, struct page *page)
{
	uint32_t before;

	/* The key stays: nobody inserts into a frame of a fenced block. */
	if (!page_try_leave(page, PAGE_FREE, &before))
		return false;
	count_evicted(volume, page_key(page), before);
	return true;
}

/* Moving ------------------------------------------------------------------------------------------------------------------- */

/* Who has a page WRITING has a pin: it is only moved by him. */
static bool is_movable(uint32_t state, uint32_t pins)
{
	return (page_is(state, PAGE_CLEAN) || page_is(state, PAGE_DIRTY) || page_is(state, PAGE_WRITING)) &&
	       (state & PAGE_PINS) == pins;
}

/* A frame of the main queue; for a drain, of the reserve if its cursor finds none. */
static struct page *take_target(struct volume *volume)
{
	struct page *target = page_heap_take(volume, LANE_MAIN);

	while (!target && platform_is_cleaning() && migration_open(volume))
		target = page_heap_take(volume, LANE_MAIN);
	return target;
}

/* While it is pinned, a writer waits: what is copied stays as it is. */
static bool pin_for_move(struct page *page)
{
	uint32_t state = page_state(page);

	do {
		if (!is_movable(state, 0))
			return false;
	} while (!page_try_change(page, &state, state + 1));
	return true;
}

/*
 * [S] and [D] are held. The only pin is the mover's. `to` is in the index before it can be pinned: who comes by on a stale way
 * and for what the frame held before, must not see the old key first and the new generation then. Nor can a drain, which takes
 * no lock, drop it earlier. *before is the state until then; the caller makes it that of `to`.
 */
static bool page_move_locked(struct volume *volume, struct page *from, struct page *to, uint32_t *before)
{
	uint32_t state = page_state(from);

	/* A block that is lent may have gone, pins or not, and the page may have been read again since. */
	if (!index_is_current(from))
		return false;
	do {
		if (!is_movable(state, 1))
			return false;
	} while (!page_try_change(from, &state, page_state_make(PAGE_TAKEN, 0)));
	pagecache_node(volume->pagecache, page_key(from))->moves++;
	if (state & PAGE_LISTED)
		dirty_replace(&volume->dirty, from, to);
	index_replace_locked(&volume->pagecache->index, from, to);
	*before = state;
	return true;
}

/* The state of a page in main, where nobody has pinned it yet. */
static uint32_t state_in_main(uint32_t before)
{
	return page_state_with(before, page_content(before), PAGE_PINS | PAGE_HITS | PAGE_AHEAD,
			       PAGE_MAIN | replacement_hits_after_move(before) * PAGE_HIT);
}

/* Copies a page that has a pin, and puts the copy in its place. */
static bool move_to(struct volume *volume, struct page *page, struct page *target, uint32_t (*state_after)(uint32_t before))
{
	struct index_stripe *stripe;
	uint32_t before;
	bool moved;

	memcpy_unstable(page_memory(target), page_memory(page), PAGE_BYTES);
	stripe = index_lock_page(&volume->pagecache->index, page);
	assert(stripe); /* it has a pin */
	spinlock_lock(&volume->lock);
	moved = page_move_locked(volume, page, target, &before);
	if (moved)
		page_set(target, state_after(before));
	spinlock_unlock(&volume->lock);
	spinlock_unlock(&stripe->lock);
	if (moved)
		atomic_fetch_add_explicit(&volume->counts.moved_pages, 1, memory_order_relaxed);
	return moved;
}

bool page_move(struct volume *volume, struct page *page)
{
	struct page *target;
	bool moved = false;

	if (!is_movable(page_state(page), 0))
		return false;
	target = take_target(volume);
	if (!target)
		return false;
	if (!pin_for_move(page))
		goto out;
	moved = move_to(volume, page, target, state_in_main);
	if (!moved)
		page_unpin(page);
out:
	if (!moved)
		frame_return(target);
	return moved;
}

static uint32_t state_as_before(uint32_t before)
{
	return before;
}

bool page_move_pinned(struct volume *volume, struct page *page, struct page *target)
{
	return is_movable(page_state(page), 1) && move_to(volume, page, target, state_as_before);
}

/* Lent pages --------------------------------------------------------------------------------------------------------------- */

struct page *page_pin(struct volume *volume, uint64_t key, struct lookup *lookup)
{
	struct page *page;

	while ((page = index_pin(&volume->pagecache->index, key, lookup)) == NULL && lookup->status == STATUS_NOT_FOUND &&
	       lookup->lent) {
		if (page_move(volume, lookup->lent) || page_evict(volume, lookup->lent))
			frame_return(lookup->lent);
		else
			platform_cpu_relax(); /* somebody else is just doing it, or the block is being revoked */
	}
	return page;
}
