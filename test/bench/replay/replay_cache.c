// SPDX-License-Identifier: BSD-2-Clause
#include "replay_cache.h"

#include <stdio.h>
#include <stdlib.h>

#include "fake/cache_check.h"
#include "host/platform_host.h"
#include "model.h"
#include "runtime/base/status.h"

#define SPARE_BLOCKS 64 /* for the metadata of memory and page cache, and an eighth more */

#define REFILL_PERIOD       16 /* references between two rounds of the refill task */
#define REFILL_REFERENCE_NS (25 * NS_PER_US)

struct replay_cache {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	struct pagecache pagecache;
	struct block_device device;
	struct volume volume;
	struct owner ballast; /* holds what the cache is not to have */
	struct owner taker;
	uint64_t blocks;
	struct phys_addr *taken;
	uint64_t taken_runs;
	bool has_given;
	uint64_t references;
	uint64_t writer_period;
	char page[PAGE_BYTES];
};

static void must(status_t status, const char *what)
{
	if (status == STATUS_OK)
		return;
	fprintf(stderr, "replay: %s: %s\n", what, status_text(status));
	exit(EXIT_FAILURE);
}

static void submit(struct block_device *device, struct block_request *request)
{
	request->status = block_request_check(device, request);
	request->done(request);
}

static void memory_create(struct replay_cache *cache, uint64_t blocks, uint64_t guarantee_blocks)
{
	const struct memory_config config = {
		.guarantee = {
			.bytes = guarantee_blocks * BLOCK_BYTES,
			.piece_bytes = REPLAY_PIECE_BLOCKS * BLOCK_BYTES,
		},
	};
	struct phys_range range;

	cache->arena = host_arena_create(4 * GIB, (blocks + blocks / 8 + SPARE_BLOCKS) * BLOCK_BYTES);
	range = host_arena_range(cache->arena);
	cache->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	must(memory_init(&cache->memory, &config, &range, 1, cache->metadata), "memory");
}

static void pagecache_create(struct replay_cache *cache, uint64_t pages)
{
	static const struct pagecache_config config = {
		.dirty_background_percent = 10,
		.dirty_max_percent = 20,
		.dirty_age_ns = 30 * NS_PER_S,
		.move_percent = 25,
		.requests = 8,
	};

	must(pagecache_init(&cache->pagecache, &cache->memory, &config), "page cache");
	cache->device = (struct block_device){
		.name = "trace",
		.size_bytes = pages * PAGE_BYTES,
		.sector_bytes = 512,
		.segment_alignment = 512,
		.segments_max = 256,
		.transfer_bytes_max = MIB,
		.submit = submit,
	};
	must(volume_attach(&cache->volume, &cache->pagecache, &cache->device, "trace", 0, cache->device.size_bytes,
			   &(struct volume_config){ .preference = 50 }),
	     "volume");
}

/*
 * Takes all but `blocks` of the free memory away; what the guarantee has already is part of them.
 */
static void ballast_take(struct replay_cache *cache, uint64_t blocks)
{
	const struct memory_request request = { .blocks = 1, .owner = &cache->ballast, .below_min = true };
	const uint64_t free_blocks = blocks - cache->memory.guarantee.owner.blocks;
	struct phys_addr block;

	owner_init(&cache->ballast, "ballast", false);
	while (memory_free_bytes(&cache->memory) > free_blocks * BLOCK_BYTES)
		must(memory_blocks_alloc(&cache->memory, &request, &block), "ballast");
}

struct replay_cache *replay_cache_create_loaned(const struct trace *trace, uint64_t blocks, uint64_t guarantee_blocks,
						uint64_t writer_period)
{
	struct replay_cache *cache = model_alloc(1, sizeof(*cache));

	cache->blocks = blocks;
	cache->writer_period = writer_period;
	host_cpus_set(1);
	host_clock_set(HOST_CLOCK_ALONE);
	memory_create(cache, blocks, guarantee_blocks);
	pagecache_create(cache, trace->page_max + 1);
	owner_init(&cache->taker, "taker", false);
	cache->taken = model_alloc(blocks, sizeof(*cache->taken));
	ballast_take(cache, blocks);
	return cache;
}

struct replay_cache *replay_cache_create(const struct trace *trace, uint64_t blocks, uint64_t writer_period)
{
	return replay_cache_create_loaned(trace, blocks, 0, writer_period);
}

/*
 * The figures would be of another cache than the models': with as many misses as frames it has
 * filled all that it may have.
 */
static void check_capacity(struct replay_cache *cache)
{
	const struct pagecache_statistics statistics = replay_cache_statistics(cache);
	const bool filled = statistics.inserted_pages > cache->blocks * PAGES_PER_BLOCK && !cache->has_given;

	if (statistics.blocks > cache->blocks || (filled && statistics.blocks < cache->blocks)) {
		fprintf(stderr, "replay: the page cache has %llu blocks and should have %llu\n",
			(unsigned long long)statistics.blocks, (unsigned long long)cache->blocks);
		exit(EXIT_FAILURE);
	}
}

void replay_cache_destroy(struct replay_cache *cache)
{
	replay_cache_give(cache);
	check_capacity(cache);
	if (!pagecache_is_valid(&cache->pagecache)) {
		fprintf(stderr, "replay: the page cache is not valid any more\n");
		exit(EXIT_FAILURE);
	}
	must(volume_detach(&cache->volume, false), "detach");
	must(pagecache_fini(&cache->pagecache), "page cache");
	free(cache->taken);
	free(cache->metadata);
	host_arena_destroy(cache->arena);
	free(cache);
}

static void keep(struct replay_cache *cache)
{
	host_clock_turn(REFILL_PERIOD * REFILL_REFERENCE_NS);
	while (guarantee_refill(&cache->memory.guarantee))
		;
}

void replay_cache_access(struct replay_cache *cache, const struct reference *reference)
{
	struct node *node = &cache->volume.node;
	const uint64_t offset = reference->page * PAGE_BYTES;

	if (reference->write)
		must(node_write(node, offset, cache->page, PAGE_BYTES), "write");
	else
		must(node_read(node, offset, cache->page, PAGE_BYTES), "read");
	if (cache->references % cache->writer_period == 0)
		pagecache_writeback_step(&cache->pagecache);
	if (cache->memory.guarantee.pieces > 0 && cache->references % REFILL_PERIOD == 0)
		keep(cache);
	cache->references++;
}

uint64_t replay_cache_take(struct replay_cache *cache, uint64_t blocks, bool contiguous)
{
	const struct memory_request request = {
		.blocks = contiguous ? blocks : 1,
		.owner = &cache->taker,
		.wait = MEMORY_WAIT_FOREVER,
	};

	replay_cache_give(cache);
	cache->has_given = true;
	cache->taken_runs = contiguous ? 1 : blocks;
	must(reclaim_blocks_alloc(memory_reclaim(&cache->memory), &request, (uint32_t)cache->taken_runs, cache->taken),
	     "reclaim");
	return blocks;
}

void replay_cache_give(struct replay_cache *cache)
{
	while (cache->taken_runs > 0)
		memory_blocks_free(&cache->memory, cache->taken[--cache->taken_runs]);
}

struct pagecache_statistics replay_cache_statistics(struct replay_cache *cache)
{
	struct pagecache_statistics statistics;

	volume_statistics(&cache->volume, &statistics);
	return statistics;
}

double replay_cache_holes(struct replay_cache *cache)
{
	const struct pagecache_statistics statistics = replay_cache_statistics(cache);
	const uint64_t frames = statistics.blocks * PAGES_PER_BLOCK;

	return frames == 0 ? 0 : 1 - (double)statistics.cached_pages / (double)frames;
}
