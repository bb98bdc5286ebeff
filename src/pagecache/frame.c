#include "frame.h"

#include "evict.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"
#include "writeback.h"

/* A frame that cannot be had after so many rounds of writing, draining and waiting is not to be had. */
#define TAKE_ROUNDS 64
#define TAKE_NAP_NS (10 * NS_PER_MS)

#define STAMP_FRAMES 64

void *page_memory(const struct page *page)
{
	return platform_virt(page_address(page));
}

struct page *frame_page(struct volume *volume, const void *frame)
{
	return frame_table_page(&volume->pagecache->table, (uint32_t)(platform_phys(frame).value >> PAGE_SHIFT));
}

/* Closures of the page heap ------------------------------------------------------------------------------------------------ */

static bool block_enter(void *context, struct phys_addr block)
{
	struct volume *volume = context;

	frames_enter(frame_table_block(&volume->pagecache->table, block), volume);
	return true;
}

static bool evict(void *context, void *object)
{
	struct volume *volume = context;

	return page_evict(volume, frame_page(volume, object));
}

/*
 * While a drain is under way nobody grows, or what it wins would be lost again. When memory is short, the oldest block of
 * another volume may make room for a fresh one of this volume.
 */
static bool may_grow(void *context)
{
	struct volume *volume = context;
	struct memory *memory = volume->pagecache->memory;

	if (atomic_load(&volume->cleaning) != 0)
		return false;
	return memory_may_grow(memory) || (evict_older_block(volume) && memory_may_grow(memory));
}

status_t frames_init(struct volume *volume)
{
	const struct objcache_config config = {
		.name = volume->name,
		.object_bytes = PAGE_BYTES,
		.alignment = PAGE_BYTES,
		.policy = OBJCACHE_CURSOR,
		.retain_bytes = volume->config.retain_bytes,
		.context = volume,
		.evict = evict,
		.may_grow = may_grow,
		.block_enter = block_enter,
	};

	return memory_objcache_init(volume->pagecache->memory, &volume->frames, config);
}

struct oldest {
	const struct frame_table *table;
	uint64_t stamp;
};

static bool stamp_of(void *context, struct phys_addr block, uint32_t used)
{
	struct oldest *oldest = context;

	(void)used;
	oldest->stamp = atomic_load_explicit(&frame_table_block(oldest->table, block)->entered, memory_order_relaxed);
	return false;
}

uint64_t frames_oldest(struct volume *volume)
{
	struct oldest oldest = { &volume->pagecache->table, UINT64_MAX };

	objcache_walk(&volume->frames, stamp_of, &oldest);
	return oldest.stamp;
}

/* Taking and returning ----------------------------------------------------------------------------------------------------- */

struct page *frame_try_take(struct volume *volume)
{
	void *frame = objcache_alloc(&volume->frames);
	struct page *page;

	if (!frame)
		return NULL;
	page = frame_page(volume, frame);
	assert(page_state(page) == 0);
	if (page->frame % STAMP_FRAMES == 0)
		atomic_store_explicit(&page_frames(page)->entered,
				      atomic_fetch_add_explicit(&volume->pagecache->clock, 1, memory_order_relaxed),
				      memory_order_relaxed);
	return page;
}

/* Has others give what is missing for this volume to grow by one block. */
static bool make_room(struct memory *memory)
{
	const uint64_t free_bytes = memory_free_bytes(memory);
	const uint64_t missing = MAX(memory->config.low_bytes, free_bytes) - free_bytes;

	return !memory_may_grow(memory) && memory_drain(memory, align_up(missing, BLOCK_BYTES) + BLOCK_BYTES, true) > 0;
}

/* What keeps a volume from having a frame: a drain, dirty pages, no memory, or pages that others are just using. */
struct page *frame_take(struct volume *volume)
{
	for (unsigned round = 0; round < TAKE_ROUNDS; round++) {
		const uint32_t cleaning = atomic_load(&volume->cleaning);
		const uint32_t progress = atomic_load(&volume->progress);
		struct page *page = frame_try_take(volume);

		if (page)
			return page;
		if (cleaning > 0)
			(void)platform_wait(&volume->cleaning, cleaning, platform_now_ns() + NS_PER_S);
		else if (!writeback_make_progress(volume) && !make_room(volume->pagecache->memory))
			(void)platform_wait(&volume->progress, progress, platform_now_ns() + TAKE_NAP_NS);
	}
	return NULL;
}

void frame_return(struct page *page)
{
	struct volume *volume = page_frames(page)->volume;

	assert(page_state(page) == 0);
	objcache_free(&volume->frames, page_memory(page));
}

void page_unpin(struct page *page)
{
	const uint32_t before = atomic_fetch_sub_explicit(&page->state, 1, memory_order_acq_rel);

	assert((before & PAGE_PINS) != 0);
	if ((before & PAGE_WRITING) && (before & PAGE_PINS) == 2) {
		platform_wake(&page->state);
	} else if (!(before & PAGE_CACHED) && (before & PAGE_PINS) == 1) {
		atomic_store_explicit(&page->state, 0, memory_order_relaxed);
		frame_return(page);
	}
}

/* Leaving a frame ---------------------------------------------------------------------------------------------------------- */

/* Clears the state if it is `flags` with or without HIT. [S] is held, so no pins can come. */
static bool page_clear_locked(struct page *page, uint32_t flags)
{
	uint32_t state = page_state(page);

	do {
		if ((state & ~(uint32_t)PAGE_HIT) != flags)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&page->state, &state, 0, memory_order_acq_rel, memory_order_acquire));
	return true;
}

bool page_evict_locked(struct volume *volume, struct page *page)
{
	if (!page_clear_locked(page, PAGE_CACHED))
		return false;
	index_remove_locked(&volume->pagecache->index, page);
	atomic_fetch_sub_explicit(&volume->counts.cached_pages, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&volume->counts.evicted_pages, 1, memory_order_relaxed);
	return true;
}

static struct index_stripe *page_stripe(struct index *index, const struct page *page)
{
	return index_stripe(index, page_node(page), page_number(page));
}

bool page_evict(struct volume *volume, struct page *page)
{
	struct index *index = &volume->pagecache->index;
	struct index_stripe *stripe;
	bool evicted;

	if ((page_state(page) & ~(uint32_t)PAGE_HIT) != PAGE_CACHED)
		return false;
	stripe = page_stripe(index, page);
	spinlock_lock(&stripe->lock);
	/* The page may have become another one before the lock was there; then its stripe may be another one, too. */
	evicted = stripe == page_stripe(index, page) && page_evict_locked(volume, page);
	spinlock_unlock(&stripe->lock);
	return evicted;
}

/* [S] and [D] are held, so a page that has no pins and is not WRITEBACK stays so. */
static bool page_move_locked(struct index *index, struct page *from, struct page *to)
{
	const uint32_t state = page_state(from);
	const uint32_t failed = state & PAGE_FAILED;
	const uint32_t hit = state & PAGE_HIT;

	if ((state & ~(uint32_t)PAGE_HIT) != (PAGE_CACHED | PAGE_DIRTY | failed))
		return false;
	memcpy(page_memory(to), page_memory(from), PAGE_BYTES);
	if (!page_clear_locked(from, PAGE_CACHED | PAGE_DIRTY | failed))
		return false;
	index_replace_locked(index, from, to);
	list_insert_after(&from->dirty, &to->dirty);
	list_remove(&from->dirty);
	atomic_store_explicit(&to->state, PAGE_CACHED | PAGE_DIRTY | failed | hit, memory_order_release);
	atomic_fetch_sub(&page_frames(from)->unclean, 1);
	atomic_fetch_add(&page_frames(to)->unclean, 1);
	return true;
}

bool page_move(struct volume *volume, struct page *page)
{
	struct index *index = &volume->pagecache->index;
	struct page *target = frame_try_take(volume);
	struct index_stripe *stripe;
	bool moved;

	if (!target)
		return false;
	stripe = page_stripe(index, page);
	spinlock_lock(&stripe->lock);
	spinlock_lock(&volume->lock);
	moved = stripe == page_stripe(index, page) && page_move_locked(index, page, target);
	spinlock_unlock(&volume->lock);
	spinlock_unlock(&stripe->lock);
	if (moved)
		atomic_fetch_add_explicit(&volume->counts.moved_pages, 1, memory_order_relaxed);
	else
		frame_return(target);
	return moved;
}
