#include "lend.h"

#include "frame.h"
#include "keep.h"
#include "replacement.h"
#include "runtime/base/bits.h"

#define GROUPS_TRIED 4 /* that could not be lent, before the keeper is told to come again */

static struct pagecache *pagecache_of(struct guarantee_lender *lender)
{
	return container_of(lender, struct pagecache, lender);
}

static uint64_t piece_blocks(const struct pagecache *pagecache)
{
	return pagecache->memory->guarantee.piece_blocks;
}

/* Block `i` of a group. */
static struct frames *group_frames(const struct pagecache *pagecache, struct phys_addr start, uint64_t i)
{
	return frame_table_block(&pagecache->table, (struct phys_addr){ start.value + (i << BLOCK_SHIFT) });
}

static bool is_late(uint64_t deadline_ns)
{
	return platform_now_ns() >= deadline_ns;
}

/* Making a group lendable -------------------------------------------------------------------------------------------------- */

static bool is_lendable(uint32_t state)
{
	return page_is(state, PAGE_FREE) || page_is_idle(state);
}

static bool all_lendable(const struct frames *frames)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++)
		if (!is_lendable(page_state(&frames->pages[i])))
			return false;
	return true;
}

/* Moves dirty pages away. False: a page is in use. The block is fenced. */
static bool make_lendable(struct volume *volume, struct frames *frames)
{
	for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
		struct page *page = &frames->pages[i];

		if (is_lendable(page_state(page)))
			continue;
		if (!page_move(volume, page))
			return false;
		frame_return(page);
	}
	return true;
}

static bool lend_block(struct volume *volume, struct frames *frames)
{
	if (!make_lendable(volume, frames) || !page_heap_lend(volume, frames))
		return false;
	if (all_lendable(frames))
		return true;
	page_heap_take_back(volume, frames);
	return false;
}

static void unfence_group(struct volume *volume, struct phys_addr start)
{
	for (uint64_t i = 0; i < piece_blocks(volume->pagecache); i++)
		page_heap_unfence(volume, group_frames(volume->pagecache, start, i));
}

/* All blocks of a fenced group, or none: then they are as they were. */
static bool lend_blocks(struct volume *volume, struct phys_addr start, uint64_t deadline_ns)
{
	const struct pagecache *pagecache = volume->pagecache;
	const uint64_t count = piece_blocks(pagecache);
	uint64_t lent = 0;

	while (lent < count && !is_late(deadline_ns) && lend_block(volume, group_frames(pagecache, start, lent)))
		lent++;
	if (lent == count)
		return true;
	while (lent > 0)
		page_heap_take_back(volume, group_frames(pagecache, start, --lent));
	return false;
}

/* The pages of a fenced group. False: one of them is in somebody's use just now. */
static bool group_pages(const struct pagecache *pagecache, struct phys_addr start, uint64_t *pages)
{
	*pages = 0;
	for (uint64_t i = 0; i < piece_blocks(pagecache); i++) {
		struct frames_census census;

		replacement_census(group_frames(pagecache, start, i), &census);
		if (census.stuck > 0)
			return false;
		*pages += census.cached;
	}
	return true;
}

/* A group that is free to be fenced, if the volume does not have to keep it. */
static bool lend_group(struct volume *volume, struct phys_addr start, uint64_t deadline_ns)
{
	uint64_t pages;
	bool lent;

	if (!page_heap_fence_group(volume, start, piece_blocks(volume->pagecache)))
		return false;
	(void)lookaside_empty(volume);
	lent = group_pages(volume->pagecache, start, &pages) && keep_claim(volume, volume->config.keep_bytes, pages);
	if (lent) {
		lent = lend_blocks(volume, start, deadline_ns);
		keep_let_go(volume, pages);
	}
	if (!lent)
		unfence_group(volume, start);
	return lent;
}

/* Choosing a group --------------------------------------------------------------------------------------------------------- */

static bool has_to_spare(const struct volume *volume, uint64_t blocks)
{
	const uint64_t own = atomic_load(&volume->heap.blocks) - atomic_load(&volume->heap.lent_blocks);

	return own > blocks && (own - blocks) * BLOCK_BYTES >= volume->config.keep_bytes;
}

struct choice {
	struct volume *volume;
	struct heap_group group;
};

/* Volumes give in the order of their preference, as in a drain. volumes_lock is held. */
static bool choose(struct pagecache *pagecache, const struct group_limits *limits, struct choice *choice)
{
	*choice = (struct choice){ .volume = NULL };
	list_for_each (link, &pagecache->volumes) {
		struct volume *volume = container_of(link, struct volume, link);
		struct heap_group group;

		if ((choice->volume && volume->config.preference > choice->volume->config.preference) ||
		    !has_to_spare(volume, limits->blocks) || !page_heap_find_group(volume, limits, &group))
			continue;
		if (choice->volume && volume->config.preference == choice->volume->config.preference &&
		    group.score >= choice->group.score)
			continue;
		*choice = (struct choice){ volume, group };
	}
	return choice->volume != NULL;
}

static bool lend_any(struct pagecache *pagecache, struct group_limits *limits, uint64_t deadline_ns, struct phys_addr *start)
{
	struct choice choice;

	for (unsigned tries = 0; tries < GROUPS_TRIED && !is_late(deadline_ns) && choose(pagecache, limits, &choice); tries++) {
		if (lend_group(choice.volume, choice.group.start, deadline_ns)) {
			*start = choice.group.start;
			return true;
		}
		limits->lowest_score = choice.group.score + 1;
	}
	return false;
}

/* What the guarantee asks for ---------------------------------------------------------------------------------------------- */

static bool lend(struct guarantee_lender *self, const struct guarantee_wish *wish, struct phys_addr *start)
{
	struct pagecache *pagecache = pagecache_of(self);
	const struct phys_addr highest = pagecache->memory->guarantee.highest;
	struct group_limits limits = {
		.blocks = piece_blocks(pagecache),
		.highest = { highest.value == 0 ? UINT64_MAX : highest.value },
		.empty_percent = wish->idle_percent_max,
		.avoid_first = wish->avoid_first,
		.avoid_last = wish->avoid_last,
	};
	bool lent;

	/* Whoever holds it may be waiting for memory. */
	if (!mutex_try_lock(&pagecache->volumes_lock))
		return false;
	lent = lend_any(pagecache, &limits, wish->deadline_ns, start);
	mutex_unlock(&pagecache->volumes_lock);
	return lent;
}

static struct frames *frames_at(struct guarantee_lender *self, struct phys_addr block)
{
	return frame_table_block(&pagecache_of(self)->table, block);
}

static unsigned idle_percent(struct guarantee_lender *self, struct phys_addr block)
{
	return (unsigned)((PAGES_PER_BLOCK - frames_cached_pages(frames_at(self, block))) * 100 / PAGES_PER_BLOCK);
}

static void take_back(struct guarantee_lender *self, struct phys_addr block)
{
	struct frames *frames = frames_at(self, block);

	page_heap_take_back(frames->volume, frames);
	page_heap_unfence(frames->volume, frames);
}

static void revoke(struct guarantee_lender *self, struct phys_addr block)
{
	frames_invalidate(frames_at(self, block));
}

/* Whoever was there when the block went may still have a pin that does not count, or be evicting a page. */
static void drop(struct volume *volume, struct page *page)
{
	while (!page_is(page_state(page), PAGE_FREE) && !page_drop(volume, page))
		platform_yield();
}

static void settle(struct guarantee_lender *self, struct phys_addr block)
{
	struct frames *frames = frames_at(self, block);
	struct volume *volume = frames->volume;

	frames_invalidate(frames); /* whoever took it may not have got that far */
	for (uint32_t i = 0; (i = frames_drop(volume, frames, i, PAGE_HITS)) < PAGES_PER_BLOCK; i++)
		drop(volume, &frames->pages[i]);
	page_heap_forget(volume, frames);
}

void lend_init(struct pagecache *pagecache)
{
	pagecache->lender = (struct guarantee_lender){
		.lend = lend,
		.idle_percent = idle_percent,
		.take_back = take_back,
		.revoke = revoke,
		.settle = settle,
	};
	guarantee_set_lender(&pagecache->memory->guarantee, &pagecache->lender);
}

void lend_fini(struct pagecache *pagecache)
{
	guarantee_clear_lender(&pagecache->memory->guarantee, &pagecache->lender);
}
