/* One operation is a lookup, pin and unpin of a cached page, a read of one through the cache, or the eviction of one by blocks.
 */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "fake/fake_block.h"
#include "host/platform_host.h"
#include "pagecache/frame.h"
#include "pagecache/volume.h"
#include "runtime/base/random.h"

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
	struct random random;
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
static void *setting_create(void)
{
	const struct memory_config memory_config = { .min_bytes = BLOCK_BYTES, .low_bytes = 2 * BLOCK_BYTES };
	const struct pagecache_config config = {
		.dirty_background_percent = 10,
		.dirty_max_percent = 20,
		.dirty_age_ns = NS_PER_S,
		.requests = 4,
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
	random_seed(&setting->random, 1);
	fill(setting);
	return setting;
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

static void look_up(void *context, uint64_t operations)
{
	struct setting *setting = context;

	for (uint64_t i = 0; i < operations; i++) {
		const uint64_t number = random_below(&setting->random, DISK_PAGES);
		struct lookup lookup;
		struct page *page =
			index_pin(&setting->pagecache.index, page_key_make(setting->volume.node.id, number), &lookup);

		bench_use((uint64_t)page->frame);
		page_unpin(page);
	}
}

static void read_page(void *context, uint64_t operations)
{
	struct setting *setting = context;
	static char buffer[PAGE_BYTES];

	for (uint64_t i = 0; i < operations; i++) {
		const uint64_t number = random_below(&setting->random, DISK_PAGES);

		must(node_read(&setting->volume.node, number * PAGE_BYTES, buffer, sizeof(buffer)));
	}
}

const struct bench benches[] = {
	{ "page cache, look up, pin and unpin", setting_create, look_up, setting_destroy },
	{ "page cache, read of a cached page", setting_create, read_page, setting_destroy },
	{ 0 },
};
