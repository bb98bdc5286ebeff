#include "evict.h"

#include "frame.h"
#include "runtime/base/assert.h"
#include "writeback.h"

/* What lies in a fenced block. */
struct census {
	uint32_t dirty; /* dirty, movable */
	uint32_t stuck; /* in use, being read or written */
};

static struct page *next_page(struct volume *volume, const struct frames *frames, uint32_t *index)
{
	void *frame = objcache_next_object(&volume->frames, frames->block, index);

	return frame ? frame_page(volume->pagecache->memory, frame) : NULL;
}

static struct census take_census(struct volume *volume, const struct frames *frames)
{
	struct census census = { 0 };
	struct page *page;
	uint32_t index = 0;

	while ((page = next_page(volume, frames, &index)) != NULL) {
		const uint32_t state = page_state(page) & ~(uint32_t)(PAGE_HIT | PAGE_FAILED);

		if (state == (PAGE_CACHED | PAGE_DIRTY))
			census.dirty++;
		else if (state != PAGE_CACHED)
			census.stuck++;
	}
	return census;
}

/* Writes the dirty pages of the block and waits for them. False: the deadline passed, or a write failed. */
static bool clean_block(struct volume *volume, struct frames *frames, uint64_t deadline_ns)
{
	const uint64_t errors = atomic_load(&volume->counts.write_errors);
	struct page *page;
	uint32_t index = 0;

	while ((page = next_page(volume, frames, &index)) != NULL)
		if (page_state(page) & PAGE_DIRTY)
			writeback_start_page(volume, page);
	for (;;) {
		const uint32_t seen = atomic_load(&volume->progress);

		if (atomic_load(&frames->unclean) == 0)
			return true;
		if (atomic_load(&volume->counts.write_errors) != errors || platform_now_ns() >= deadline_ns)
			return false;
		/* A page that a writer holds is dirty, but not on its way; its writer reports progress, too. */
		if (platform_wait(&volume->progress, seen, MIN(deadline_ns, platform_now_ns() + NS_PER_S)) == STATUS_TIMEOUT)
			return false;
	}
}

/* Drops or moves every page of the fenced block. False: one could not be. */
static bool empty_block(struct volume *volume, const struct frames *frames)
{
	struct page *page;
	uint32_t index = 0;
	bool emptied = true;

	while ((page = next_page(volume, frames, &index)) != NULL) {
		if (page_evict(volume, page) || page_move(volume, page))
			frame_return(page);
		else
			emptied = false;
	}
	return emptied;
}

static bool give_block(struct volume *volume, struct frames *frames, const struct reclaim_target *target, bool write)
{
	const uint32_t movable = volume->pagecache->config.move_percent * PAGES_PER_BLOCK / 100;
	struct census census;

	if (write && atomic_load(&frames->unclean) > 0 && !clean_block(volume, frames, target->deadline_ns))
		return false;
	census = take_census(volume, frames);
	if (census.stuck > 0 || census.dirty > movable)
		return false;
	return empty_block(volume, frames) && objcache_release(&volume->frames, frames->block) == STATUS_OK;
}

static bool is_above_keep(struct volume *volume, uint64_t keep)
{
	return atomic_load(&volume->counts.cached_pages) * PAGE_BYTES >= keep + BLOCK_BYTES;
}

uint64_t evict_blocks(struct volume *volume, const struct reclaim_target *target, uint64_t keep, bool write)
{
	struct block_heap *heap = &volume->pagecache->memory->blocks;
	struct phys_addr block;
	struct list skipped;
	uint64_t given = 0;

	list_init(&skipped);
	atomic_fetch_add(&volume->cleaning, 1);
	while (given < target->bytes && platform_now_ns() < target->deadline_ns && is_above_keep(volume, keep)) {
		struct frames *frames;

		if (objcache_fence(&volume->frames, target->lowest, target->highest, &block) != STATUS_OK)
			break;
		frames = block_heap_find(heap, block)->tag;
		if (give_block(volume, frames, target, write))
			given += BLOCK_BYTES;
		else
			list_insert_first(&skipped, &frames->skipped);
	}
	/* The youngest one first, so that the oldest one becomes the oldest again. */
	while (!list_is_empty(&skipped))
		objcache_unfence(&volume->frames, container_of(list_take_first(&skipped), struct frames, skipped)->block);
	atomic_fetch_sub(&volume->cleaning, 1);
	return given;
}

static uint64_t clean(struct cleaner *self, const struct reclaim_target *target)
{
	struct volume *volume = container_of(self, struct volume, clean_cleaner);

	return evict_blocks(volume, target, volume->config.keep_bytes, false);
}

static uint64_t clean_dirty(struct cleaner *self, const struct reclaim_target *target)
{
	struct volume *volume = container_of(self, struct volume, dirty_cleaner);

	return target->may_wait ? evict_blocks(volume, target, volume->config.keep_bytes, true) : 0;
}

void evict_cleaners_init(struct volume *volume)
{
	volume->clean_cleaner = (struct cleaner){
		.name = volume->name,
		.cost = CLEANER_CLEAN,
		.preference = volume->config.preference,
		.clean = clean,
	};
	volume->dirty_cleaner = (struct cleaner){
		.name = volume->name,
		.cost = CLEANER_DIRTY,
		.preference = volume->config.preference,
		.clean = clean_dirty,
	};
}

/* Between volumes ---------------------------------------------------------------------------------------------------------- */

/* volumes_lock is held. */
static struct volume *older_volume(struct volume *volume)
{
	struct volume *oldest = NULL;
	uint64_t stamp = frames_oldest(volume);

	list_for_each (link, &volume->pagecache->volumes) {
		struct volume *other = container_of(link, struct volume, link);

		if (other == volume || other->config.preference > volume->config.preference ||
		    !is_above_keep(other, other->config.keep_bytes) || frames_oldest(other) >= stamp)
			continue;
		oldest = other;
		stamp = frames_oldest(other);
	}
	return oldest;
}

bool evict_older_block(struct volume *volume)
{
	const struct reclaim_target target = {
		.bytes = BLOCK_BYTES,
		.highest = { UINT64_MAX },
		.deadline_ns = PLATFORM_FOREVER,
	};
	struct pagecache *pagecache = volume->pagecache;
	struct volume *other;
	bool given;

	/* Whoever holds the lock may be waiting for a frame; then this volume refills in place. */
	if (!mutex_try_lock(&pagecache->volumes_lock))
		return false;
	other = older_volume(volume);
	given = other && evict_blocks(other, &target, other->config.keep_bytes, false) > 0;
	mutex_unlock(&pagecache->volumes_lock);
	return given;
}
