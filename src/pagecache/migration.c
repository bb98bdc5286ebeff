#include "migration.h"

#include "runtime/base/assert.h"
#include "volume.h"

static bool is_full(struct migration *migration)
{
	bool full;

	spinlock_lock(&migration->lock);
	full = migration->count == migration->wanted;
	spinlock_unlock(&migration->lock);
	return full;
}

/* False: somebody else has filled it meanwhile. */
static bool put(struct migration *migration, struct frames *frames)
{
	bool room;

	spinlock_lock(&migration->lock);
	room = migration->count < migration->wanted;
	if (room)
		migration->blocks[migration->count++] = frames;
	spinlock_unlock(&migration->lock);
	return room;
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

static status_t fetch(struct pagecache *pagecache)
{
	struct frames *frames;
	const status_t status = frames_alloc(pagecache, &pagecache->migration.owner, &frames);

	if (status == STATUS_OK && !put(&pagecache->migration, frames))
		memory_blocks_free(pagecache->memory, frames->block);
	return status;
}

status_t migration_init(struct pagecache *pagecache, uint32_t blocks)
{
	struct migration *migration = &pagecache->migration;
	status_t status = STATUS_OK;

	assert(blocks <= MIGRATION_BLOCKS_MAX);
	spinlock_init(&migration->lock, "migration");
	owner_init(&migration->owner, "page migration", false);
	migration->wanted = blocks;
	migration->count = 0;
	while (status == STATUS_OK && !is_full(migration))
		status = fetch(pagecache);
	if (status != STATUS_OK)
		migration_fini(pagecache);
	return status;
}

void migration_fini(struct pagecache *pagecache)
{
	struct frames *frames;

	while ((frames = take(&pagecache->migration)) != NULL)
		memory_blocks_free(pagecache->memory, frames->block);
}

void migration_refill(struct pagecache *pagecache)
{
	while (!is_full(&pagecache->migration) && fetch(pagecache) == STATUS_OK)
		;
}

/* What was open before becomes the youngest of its queue, however far its cursor has come. [R] is held. */
static void close_main_locked(struct page_heap *heap)
{
	struct frames *frames = heap->open[LANE_MAIN];

	if (!frames)
		return;
	page_heap_unlink_locked(heap, frames);
	page_heap_queue_locked(heap, frames, LANE_MAIN, true);
	frames->position = PAGES_PER_BLOCK;
}

bool migration_open(struct volume *volume)
{
	struct pagecache *pagecache = volume->pagecache;
	struct page_heap *heap = &volume->heap;
	struct frames *frames;

	assert(platform_is_cleaning());
	frames = take(&pagecache->migration);
	if (!frames)
		return false;
	block_heap_hand_over(&pagecache->memory->blocks, frames->block, 1, &heap->owner);
	spinlock_lock(&heap->lock);
	close_main_locked(heap);
	atomic_store_explicit(&frames->volume, volume, memory_order_relaxed);
	frames->role = FRAMES_OPEN;
	frames->lane = LANE_MAIN;
	frames->position = 0;
	atomic_store_explicit(&frames->entered, atomic_fetch_add_explicit(&pagecache->clock, 1, memory_order_relaxed),
			      memory_order_relaxed);
	heap->open[LANE_MAIN] = frames;
	heap->lane_blocks[LANE_MAIN]++;
	page_heap_resize_locked(heap, 1);
	spinlock_unlock(&heap->lock);
	return true;
}
