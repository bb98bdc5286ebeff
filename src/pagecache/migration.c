// SPDX-License-Identifier: BSD-2-Clause
/*
 * The migration reserve: a few blocks that are taken ahead. A drain that has to move pages and
 * finds no frame opens one of them as the block of the main queue; the background writer fills the
 * reserve up again.
 */
#include "migration.h"

#include "runtime/base/assert.h"
#include "volume.h"

static bool is_full(struct migration *migration)
{
	return atomic_load_explicit(&migration->count, memory_order_relaxed) == migration->wanted;
}

static struct frames *take(struct migration *migration)
{
	struct frames *frames = NULL;

	spinlock_lock(&migration->lock);
	if (migration->count > 0)
		frames = migration->blocks[--migration->count];
	spinlock_unlock(&migration->lock);
	return frames;
}

void migration_refill(struct pagecache *pagecache)
{
	struct migration *migration = &pagecache->eviction.migration;
	struct frames *frames;

	while (!is_full(migration) && frames_alloc(pagecache, &migration->owner, &frames) == STATUS_OK) {
		bool room;

		/* Another task may have filled the reserve meanwhile. */
		spinlock_lock(&migration->lock);
		room = !is_full(migration);
		if (room)
			migration->blocks[migration->count++] = frames;
		spinlock_unlock(&migration->lock);
		if (!room)
			memory_blocks_free(pagecache->memory, frames->block);
	}
}

status_t migration_init(struct pagecache *pagecache, uint32_t blocks)
{
	struct migration *migration = &pagecache->eviction.migration;

	assert(blocks <= MIGRATION_BLOCKS_MAX);
	spinlock_init(&migration->lock, "migration");
	owner_init(&migration->owner, "page migration", false);
	migration->wanted = blocks;
	migration->count = 0;
	migration_refill(pagecache);
	if (is_full(migration))
		return STATUS_OK;
	migration_fini(pagecache);
	return STATUS_NO_MEMORY;
}

void migration_fini(struct pagecache *pagecache)
{
	struct frames *frames;

	while ((frames = take(&pagecache->eviction.migration)) != NULL)
		memory_blocks_free(pagecache->memory, frames->block);
}

bool migration_open(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	struct page_heap *heap = &volume->eviction.heap;
	struct frames *frames;

	assert(platform_is_cleaning());
	frames = take(&pagecache->eviction.migration);
	if (!frames)
		return false;
	block_heap_hand_over(memory_block_heap(pagecache->memory), frames->block, 1, &heap->owner);
	spinlock_lock(&heap->lock);
	page_heap_close_locked(heap, LANE_MAIN); /* even if its cursor has frames ahead */
	page_heap_enter_locked(heap, frames, FRAMES_OPEN, LANE_MAIN);
	page_heap_open_locked(heap, frames, LANE_MAIN);
	spinlock_unlock(&heap->lock);
	return true;
}
