// SPDX-License-Identifier: BSD-2-Clause
/*
 * The migration reserve: a few blocks that are taken ahead. A drain that has to move pages and
 * finds no frame opens one of them as the block of the main queue; the background writer fills the
 * reserve up again.
 */
#include "migration.h"

#include "pagecache/volume.h"
#include "runtime/base/assert.h"

static bool is_full(struct migration *migration)
{
	return atomic_load_explicit(&migration->count, memory_order_relaxed) == migration->wanted;
}

static struct pageblock *take(struct migration *migration)
{
	struct pageblock *pageblock = NULL;

	spinlock_lock(&migration->lock);
	if (migration->count > 0)
		pageblock = migration->blocks[--migration->count];
	spinlock_unlock(&migration->lock);
	return pageblock;
}

void migration_refill(struct pagecache *pagecache)
{
	struct migration *migration = &pagecache->eviction.migration;
	struct pageblock *pageblock;

	while (!is_full(migration) && pageblock_alloc(pagecache, &migration->owner, &pageblock) == STATUS_OK) {
		bool room;

		/* Another task may have filled the reserve meanwhile. */
		spinlock_lock(&migration->lock);
		room = !is_full(migration);
		if (room)
			migration->blocks[migration->count++] = pageblock;
		spinlock_unlock(&migration->lock);
		if (!room)
			memory_blocks_free(pagecache->memory, pageblock->block);
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
	struct pageblock *pageblock;

	while ((pageblock = take(&pagecache->eviction.migration)) != NULL)
		memory_blocks_free(pagecache->memory, pageblock->block);
}

bool migration_open(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	struct page_heap *heap = &volume->eviction.heap;
	struct pageblock *pageblock;

	assert(platform_is_cleaning());
	pageblock = take(&pagecache->eviction.migration);
	if (!pageblock)
		return false;
	block_heap_hand_over(memory_block_heap(pagecache->memory), pageblock->block, 1, &heap->owner);
	spinlock_lock(&heap->lock);
	page_heap_close_locked(heap, QUEUE_MAIN); /* even if its cursor has frames ahead */
	page_heap_enter_locked(heap, pageblock, PAGEBLOCK_OPEN, QUEUE_MAIN);
	page_heap_open_locked(heap, pageblock, QUEUE_MAIN);
	spinlock_unlock(&heap->lock);
	return true;
}
