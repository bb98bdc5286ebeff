// SPDX-License-Identifier: BSD-2-Clause
/*
 * One operation is a lookup, pin and unpin of a cached page, a look at one as a read takes it, a
 * read through the cache, or the taking of a frame for a page that was missed, from the cursor or
 * out of the per-CPU frames.
 */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "fake/fake_block.h"
#include "host/platform_host.h"
#include "pagecache/eviction/evict.h"
#include "pagecache/eviction/frame.h"
#include "pagecache/volume.h"

#define MEMORY_BLOCKS 160
#define DISK_BLOCKS   128
#define DISK_PAGES    (DISK_BLOCKS * PAGES_PER_BLOCK)

struct setting {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	struct pagecache pagecache;
	struct fake_block disk;
	struct volume volume;
};

static void must(status_t status)
{
	if (status == STATUS_OK)
		return;
	fprintf(stderr, "bench: %s\n", status_text(status));
	abort();
}

static void fill(struct setting *setting)
{
	static char buffer[MIB];

	for (uint64_t offset = 0; offset < DISK_BLOCKS * BLOCK_BYTES; offset += sizeof(buffer))
		must(node_read(&setting->volume.node, offset, buffer, sizeof(buffer)));
}

/* The whole disk is cached. */
static void *setting_create_with(uint32_t cpu_frames)
{
	const struct memory_config memory_config = { .watermarks.min_bytes = BLOCK_BYTES,
						     .watermarks.low_bytes = 2 * BLOCK_BYTES };
	const struct pagecache_config config = {
		.dirty_background_percent = 10,
		.dirty_max_percent = 20,
		.dirty_age_ns = NS_PER_S,
		.requests = 4,
		.cpu_frames = cpu_frames,
	};
	struct setting *setting = calloc(1, sizeof(*setting));
	struct phys_range range;

	setting->arena = host_arena_create(4 * GIB, MEMORY_BLOCKS * BLOCK_BYTES);
	range = host_arena_range(setting->arena);
	setting->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	must(memory_init(&setting->memory, &memory_config, &range, 1, setting->metadata));
	must(pagecache_init(&setting->pagecache, &setting->memory, &config));
	fake_block_init(&setting->disk, DISK_BLOCKS * BLOCK_BYTES, false);
	must(volume_attach(&setting->volume, &setting->pagecache, &setting->disk.device, "bench", 0, DISK_BLOCKS * BLOCK_BYTES,
			   &(struct volume_config){ 0 }));
	fill(setting);
	return setting;
}

static void *setting_create(void)
{
	return setting_create_with(0);
}

static void *setting_create_cpu_frames(void)
{
	return setting_create_with(CPU_FRAMES_MAX);
}

static void setting_destroy(void *context)
{
	struct setting *setting = context;

	must(volume_detach(&setting->volume, false));
	must(pagecache_fini(&setting->pagecache));
	must(memory_fini(&setting->memory));
	fake_block_fini(&setting->disk);
	free(setting->metadata);
	host_arena_destroy(setting->arena);
	free(setting);
}

/*
 * Pages in an order that no cache foresees, for the price of a multiplication: the number of pages
 * is a power of two.
 */
static uint64_t page_at(uint64_t i)
{
	return (i * 0x9e3779b97f4a7c15ull >> 20) % DISK_PAGES;
}

static void look_up(void *context, uint64_t operations)
{
	struct setting *setting = context;
	struct index *index = &setting->pagecache.pages.index;
	const uint64_t node = page_key_make(setting->volume.node.id, 0);
	struct lookup lookup;

	for (uint64_t i = 0; i < operations; i++)
		page_unpin(index_pin(index, node | page_at(i), &lookup));
}

static void see(void *context, uint64_t operations)
{
	struct setting *setting = context;
	struct index *index = &setting->pagecache.pages.index;
	const uint64_t node = page_key_make(setting->volume.node.id, 0);

	for (uint64_t i = 0; i < operations; i++) {
		struct page_snapshot snapshot;

		if (!index_snapshot(index, node | page_at(i), &snapshot) || !page_snapshot_is_whole(&snapshot))
			abort();
	}
}

static void read_page(void *context, uint64_t operations)
{
	struct setting *setting = context;
	static char buffer[PAGE_BYTES];

	for (uint64_t i = 0; i < operations; i++)
		must(node_read(&setting->volume.node, page_at(i) * PAGE_BYTES, buffer, sizeof(buffer)));
}

/*
 * The frames that the cursor comes by are free: what is measured is the way to them, not what lies
 * in them.
 */
static void take_frame(void *context, uint64_t operations)
{
	struct setting *setting = context;
	enum queue queue = QUEUE_PROBATION;

	for (uint64_t i = 0; i < operations; i++)
		page_set_free(frame_try_take(&setting->volume, &queue));
}

/*
 * Of whole blocks: as many pages as that many operations, in a cache of clean pages that no task
 * uses.
 */
static void evict_with_block(void *context, uint64_t operations)
{
	struct setting *setting = context;
	const struct reclaim_target target = {
		.bytes = operations * PAGE_BYTES,
		.highest = { UINT64_MAX },
		.deadline_ns = PLATFORM_FOREVER,
	};

	if (evict_blocks(&setting->volume, &target, 0) < target.bytes)
		abort();
}

static void evict_alone(void *context, uint64_t operations)
{
	struct setting *setting = context;

	for (uint64_t i = 0; i < operations; i++)
		if (!node_evict_page(&setting->volume.node, page_at(i)))
			abort();
}

const struct bench benches[] = {
	{ .name = "page cache, look up, pin and unpin", .setup = setting_create, .run = look_up, .teardown = setting_destroy },
	{ .name = "page cache, look up for a copy", .setup = setting_create, .run = see, .teardown = setting_destroy },
	{ .name = "page cache, read of a cached page", .setup = setting_create, .run = read_page, .teardown = setting_destroy },
	{ .name = "page cache, frame from the cursor",
	  .setup = setting_create,
	  .run = take_frame,
	  .teardown = setting_destroy },
	{ .name = "page cache, frame from those of the CPU",
	  .setup = setting_create_cpu_frames,
	  .run = take_frame,
	  .teardown = setting_destroy },
	{ .name = "page cache, evict a clean page with its block",
	  .setup = setting_create,
	  .run = evict_with_block,
	  .teardown = setting_destroy,
	  .once = true },
	{ .name = "page cache, evict a clean page alone",
	  .setup = setting_create,
	  .run = evict_alone,
	  .teardown = setting_destroy,
	  .once = true },
	{ 0 },
};
