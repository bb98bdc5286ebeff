// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a cached page costs, as ratios to something that is measured in the same run, in turns, the
 * best of several rounds each:
 *
 *	reads    random reads of 4 KB of a cached set of 1 GB, against memcpy of the same pages in the same order
 *	threads  two threads on one hot set, against two on page caches of their own: reads, the lookups of reads, and lookups
 *	         with pin and unpin, as writers and mappings need them
 *	memory   bytes of metadata for each page that a machine of 4 GB can cache
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/platform_host.h"
#include "pagecache/volume.h"

#define ROUNDS 15

#define READ_SET_PAGES (GIB / PAGE_BYTES)
#define HOT_SET_PAGES  (32 * MIB / PAGE_BYTES)
#define LOOKUPS        4000000ull
#define READS          400000ull
#define SPARE_BLOCKS   48

struct cache {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
	struct pagecache pagecache;
	struct block_device device;
	struct volume volume;
	uint64_t pages;
};

static void must(status_t status)
{
	if (status == STATUS_OK)
		return;
	fprintf(stderr, "bench: %s\n", status_text(status));
	exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void submit(struct block_device *device, struct block_request *request)
{
	request->status = block_request_check(device, request);
	request->done(request);
}

static void machine_create(struct cache *cache, uint64_t start, uint64_t bytes)
{
	static const struct memory_config memory_config = { .watermarks.min_bytes = BLOCK_BYTES,
							    .watermarks.low_bytes = 2 * BLOCK_BYTES };
	static const struct pagecache_config config = {
		.dirty_background_percent = 10,
		.dirty_max_percent = 20,
		.dirty_age_ns = NS_PER_S,
		.requests = 64,
	};
	struct phys_range range;

	cache->arena = host_arena_create(start, bytes);
	range = host_arena_range(cache->arena);
	cache->metadata = aligned_alloc(64, memory_metadata_bytes(&range, 1));
	must(memory_init(&cache->memory, &memory_config, &range, 1, cache->metadata));
	must(pagecache_init(&cache->pagecache, &cache->memory, &config));
}

/* A volume of so many pages, all of them cached. */
static struct cache *cache_create(uint64_t start, uint64_t pages)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	static char buffer[MIB];

	machine_create(cache, start, (pages / PAGES_PER_BLOCK + SPARE_BLOCKS) * BLOCK_BYTES);
	cache->pages = pages;
	cache->device = (struct block_device){
		.name = "none",
		.size_bytes = pages * PAGE_BYTES,
		.sector_bytes = 512,
		.segment_alignment = 512,
		.segments_max = 256,
		.transfer_bytes_max = MIB,
		.submit = submit,
	};
	must(volume_attach(&cache->volume, &cache->pagecache, &cache->device, "none", 0, cache->device.size_bytes,
			   &(struct volume_config){ 0 }));
	for (uint64_t offset = 0; offset < cache->device.size_bytes; offset += sizeof(buffer))
		must(node_read(&cache->volume.node, offset, buffer, sizeof(buffer)));
	return cache;
}

static void cache_destroy(struct cache *cache)
{
	must(volume_detach(&cache->volume, false));
	must(pagecache_fini(&cache->pagecache));
	free(cache->metadata);
	host_arena_destroy(cache->arena);
	free(cache);
}

/* A random order; sets are powers of two. */
static uint64_t page_at(const struct cache *cache, uint64_t i)
{
	return (i * 0x9e3779b97f4a7c15ull >> 20) & (cache->pages - 1);
}

/* Reads against memcpy ------------------------------------------------------------------------- */

static uint64_t time_reads(struct cache *cache, char *target)
{
	const uint64_t start = now_ns();

	for (uint64_t i = 0; i < READS; i++)
		must(node_read(&cache->volume.node, page_at(cache, i) * PAGE_BYTES, target, PAGE_BYTES));
	return now_ns() - start;
}

static uint64_t time_copies(void *const *memories, char *target)
{
	const uint64_t start = now_ns();

	for (uint64_t i = 0; i < READS; i++) {
		memcpy(target, memories[i], PAGE_BYTES);
		__asm__ volatile("" : : "r"(target) : "memory");
	}
	return now_ns() - start;
}

static void compare_reads(void)
{
	struct cache *cache = cache_create(64 * GIB, READ_SET_PAGES);
	void **memories = calloc(READS, sizeof(*memories));
	char *target = aligned_alloc(PAGE_BYTES, PAGE_BYTES);
	uint64_t read_ns = UINT64_MAX, copy_ns = UINT64_MAX;

	for (uint64_t i = 0; i < READS; i++) {
		const uint64_t key = page_key_make(cache->volume.node.id, page_at(cache, i));
		uint32_t state;

		memories[i] = page_memory(index_find(&cache->pagecache.pages.index, key, &state));
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		read_ns = MIN(read_ns, time_reads(cache, target));
		copy_ns = MIN(copy_ns, time_copies(memories, target));
	}
	printf("result: reads set_mb=%llu read_ns=%.0f memcpy_ns=%.0f ratio=%.3f\n",
	       (unsigned long long)(READ_SET_PAGES * PAGE_BYTES / MIB), (double)read_ns / READS, (double)copy_ns / READS,
	       (double)copy_ns / (double)read_ns);
	free(memories);
	free(target);
	cache_destroy(cache);
}

/* Two threads ---------------------------------------------------------------------------------- */

struct pair {
	struct cache *caches[2]; /* of each thread */
	void (*work)(struct cache *cache, uint64_t seed);
};

static void look_up(struct cache *cache, uint64_t seed)
{
	const uint64_t node = page_key_make(cache->volume.node.id, 0);
	struct lookup lookup;

	for (uint64_t i = 0; i < LOOKUPS; i++)
		page_unpin(index_pin(&cache->pagecache.pages.index, node | page_at(cache, seed + i), &lookup));
}

static void see(struct cache *cache, uint64_t seed)
{
	const uint64_t node = page_key_make(cache->volume.node.id, 0);
	struct page_snapshot snapshot;

	for (uint64_t i = 0; i < LOOKUPS; i++)
		if (!index_snapshot(&cache->pagecache.pages.index, node | page_at(cache, seed + i), &snapshot) ||
		    !page_snapshot_is_whole(&snapshot))
			must(STATUS_NOT_FOUND);
}

static void read_pages(struct cache *cache, uint64_t seed)
{
	char page[PAGE_BYTES];

	for (uint64_t i = 0; i < READS; i++)
		must(node_read(&cache->volume.node, page_at(cache, seed + i) * PAGE_BYTES, page, PAGE_BYTES));
}

static void pair_run(void *context, unsigned index)
{
	struct pair *pair = context;

	pair->work(pair->caches[index], index * 1000003ull);
}

static uint64_t time_pair(struct pair *pair)
{
	const uint64_t start = now_ns();

	host_threads_run(2, pair_run, pair);
	return now_ns() - start;
}

static void compare_threads(const char *name, void (*work)(struct cache *cache, uint64_t seed), struct cache *a,
			    struct cache *b)
{
	struct pair together = { { a, a }, work }, apart = { { a, b }, work };
	uint64_t together_ns = UINT64_MAX, apart_ns = UINT64_MAX;

	for (unsigned round = 0; round < ROUNDS; round++) {
		together_ns = MIN(together_ns, time_pair(&together));
		apart_ns = MIN(apart_ns, time_pair(&apart));
	}
	printf("result: threads work=%s hot_mb=%llu together_us=%llu apart_us=%llu ratio=%.3f\n", name,
	       (unsigned long long)(HOT_SET_PAGES * PAGE_BYTES / MIB), (unsigned long long)(together_ns / NS_PER_US),
	       (unsigned long long)(apart_ns / NS_PER_US), (double)apart_ns / (double)together_ns);
}

/* Metadata ------------------------------------------------------------------------------------- */

static void count_memory(void)
{
	struct cache *cache = calloc(1, sizeof(*cache));
	struct phys_range range;
	uint64_t bytes, pages;

	machine_create(cache, 128 * GIB, 4 * GIB);
	range = host_arena_range(cache->arena);
	bytes = memory_total_bytes(&cache->memory) - memory_free_bytes(&cache->memory) + memory_metadata_bytes(&range, 1) +
		sizeof(struct volume);
	pages = memory_free_bytes(&cache->memory) / PAGE_BYTES;
	printf("result: memory descriptor_bytes=%zu all_bytes_per_page=%.1f\n", sizeof(struct page),
	       (double)bytes / (double)pages);
	must(pagecache_fini(&cache->pagecache));
	free(cache->metadata);
	host_arena_destroy(cache->arena);
	free(cache);
}

int main(void)
{
	struct cache *a = cache_create(4 * GIB, HOT_SET_PAGES), *b = cache_create(8 * GIB, HOT_SET_PAGES);

	compare_threads("read", read_pages, a, b);
	compare_threads("look", see, a, b);
	compare_threads("pin", look_up, a, b);
	cache_destroy(a);
	cache_destroy(b);
	compare_reads();
	count_memory();
	return EXIT_SUCCESS;
}
