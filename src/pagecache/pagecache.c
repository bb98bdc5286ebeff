#include "pagecache.h"

#include "io.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define DIRTY_PERCENT_MAX 60

static status_t check_config(const struct pagecache_config *config)
{
	return config->dirty_max_percent <= DIRTY_PERCENT_MAX && config->dirty_background_percent < config->dirty_max_percent &&
			       config->move_percent <= 100 && config->requests >= 2
		       ? STATUS_OK
		       : STATUS_INVALID;
}

static status_t index_create(struct pagecache *pagecache)
{
	const uint64_t bytes = index_bytes(memory_total_bytes(pagecache->memory) / PAGE_BYTES);
	const struct memory_request request = {
		.blocks = divide_round_up(bytes, BLOCK_BYTES),
		.owner = &pagecache->owner,
		.wait = MEMORY_WAIT_NEVER,
	};
	status_t status;

	owner_init(&pagecache->owner, "page index", false);
	status = memory_blocks_alloc(pagecache->memory, &request, &pagecache->buckets);
	if (status == STATUS_OK)
		index_init(&pagecache->index, &pagecache->table, platform_virt(pagecache->buckets), bytes);
	return status;
}

static status_t requests_create(struct pagecache *pagecache)
{
	const struct objcache_config config = {
		.name = "page I/O",
		.object_bytes = sizeof(struct io),
		.policy = OBJCACHE_FULLEST_FIRST,
		.reserve_objects = pagecache->config.requests,
	};

	return memory_objcache_init(pagecache->memory, &pagecache->requests, config);
}

status_t pagecache_init(struct pagecache *pagecache, struct memory *memory, const struct pagecache_config *config)
{
	const uint64_t pages = memory_total_bytes(memory) / PAGE_BYTES;
	status_t status = check_config(config);

	if (status != STATUS_OK)
		return status;
	*pagecache = (struct pagecache){
		.memory = memory,
		.config = *config,
		.dirty_background_pages = pages * config->dirty_background_percent / 100,
		.dirty_max_pages = MAX(pages * config->dirty_max_percent / 100, 1u),
	};
	mutex_init(&pagecache->volumes_lock, "volumes");
	list_init(&pagecache->volumes);
	status = frame_table_init(&pagecache->table, memory);
	if (status != STATUS_OK)
		return status;
	status = index_create(pagecache);
	if (status != STATUS_OK)
		goto no_index;
	status = requests_create(pagecache);
	if (status != STATUS_OK)
		goto no_requests;
	return STATUS_OK;

no_requests:
	memory_blocks_free(memory, pagecache->buckets);
no_index:
	frame_table_fini(&pagecache->table);
	return status;
}

status_t pagecache_fini(struct pagecache *pagecache)
{
	if (!list_is_empty(&pagecache->volumes))
		return STATUS_BUSY;
	if (objcache_fini(&pagecache->requests) != STATUS_OK)
		platform_panic("page cache: I/O is under way without a volume");
	memory_blocks_free(pagecache->memory, pagecache->buckets);
	frame_table_fini(&pagecache->table);
	return STATUS_OK;
}

status_t pagecache_flush(struct pagecache *pagecache)
{
	status_t result = STATUS_OK;

	mutex_lock(&pagecache->volumes_lock);
	list_for_each (link, &pagecache->volumes) {
		const status_t status = volume_flush(container_of(link, struct volume, link));

		if (result == STATUS_OK)
			result = status;
	}
	mutex_unlock(&pagecache->volumes_lock);
	return result;
}

/* All members are 64-bit counts. */
static void add(struct pagecache_statistics *sum, const struct pagecache_statistics *one)
{
	const uint64_t *from = (const uint64_t *)one;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(uint64_t); i++)
		to[i] += from[i];
}

void pagecache_statistics(struct pagecache *pagecache, struct pagecache_statistics *statistics)
{
	memset(statistics, 0, sizeof(*statistics));
	mutex_lock(&pagecache->volumes_lock);
	list_for_each (link, &pagecache->volumes) {
		struct pagecache_statistics one;

		volume_statistics(container_of(link, struct volume, link), &one);
		add(statistics, &one);
	}
	mutex_unlock(&pagecache->volumes_lock);
}

/* Checking ----------------------------------------------------------------------------------------------------------------- */

struct census {
	uint64_t cached, dirty, failed;
};

static bool page_is_valid(struct pagecache *pagecache, struct page *page, struct census *census)
{
	const uint32_t state = page_state(page);

	census->cached++;
	census->dirty += (state & (PAGE_DIRTY | PAGE_WRITEBACK)) != 0;
	census->failed += (state & PAGE_FAILED) != 0;
	return page_state_is_legal(state) && (state & PAGE_CACHED) && page_frames(page)->volume->pagecache == pagecache &&
	       list_is_empty(&page->dirty) == !(state & PAGE_DIRTY);
}

static bool bucket_is_valid(struct pagecache *pagecache, uint32_t first, struct census *census)
{
	for (uint32_t frame = first; frame != PAGE_NONE; frame = frame_table_page(&pagecache->table, frame)->next)
		if (!page_is_valid(pagecache, frame_table_page(&pagecache->table, frame), census))
			return false;
	return true;
}

bool pagecache_is_valid(struct pagecache *pagecache)
{
	struct pagecache_statistics statistics;
	struct census census = { 0 };

	for (uint64_t bucket = 0; bucket <= pagecache->index.bucket_mask; bucket++)
		if (!bucket_is_valid(pagecache, pagecache->index.buckets[bucket], &census))
			return false;
	pagecache_statistics(pagecache, &statistics);
	return statistics.cached_pages == census.cached && statistics.dirty_pages == census.dirty &&
	       statistics.failed_pages == census.failed && atomic_load(&pagecache->dirty_pages) == census.dirty &&
	       atomic_load(&pagecache->failed_pages) == census.failed &&
	       statistics.inserted_pages - statistics.evicted_pages == census.cached;
}
