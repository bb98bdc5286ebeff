// SPDX-License-Identifier: BSD-2-Clause
/*
 * Starting and ending a page cache. Index, ghosts and the table of nodes lie in one run of blocks,
 * whose size follows from that of the memory and never changes; so inserting a page needs no
 * memory.
 */
#include "pagecache.h"

#include "pagecache/eviction/loan.h"
#include "pagecache/page/io.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define DIRTY_PERCENT_MAX 60
#define NODES_DEFAULT     4096
#define FRAME_WAIT_NS     NS_PER_S
#define FLUSH_WAIT_NS     (60 * NS_PER_S)

static status_t check_config(const struct pagecache_config *config)
{
	return config->dirty_max_percent <= DIRTY_PERCENT_MAX && config->dirty_background_percent < config->dirty_max_percent &&
			       config->move_percent <= 100 && config->requests >= 2 && config->nodes <= PAGE_NODE_MAX &&
			       config->cpu_frames <= CPU_FRAMES_MAX && config->migration_blocks <= MIGRATION_BLOCKS_MAX
		       ? STATUS_OK
		       : STATUS_INVALID;
}

/* Allocates all tables in one run of blocks: index, ghosts, nodes. */
static status_t tables_create(struct pagecache *pagecache)
{
	const uint64_t pages = memory_total_bytes(pagecache->memory) / PAGE_BYTES;
	const uint64_t index_size = align_up(index_bytes(pages), PAGE_BYTES);
	const uint64_t ghosts_size = align_up(ghosts_bytes(pages), PAGE_BYTES);
	const uint64_t nodes_size = pagecache->config.nodes * sizeof(pagecache->nodes[0]);
	const struct memory_request request = {
		.blocks = divide_round_up(index_size + ghosts_size + nodes_size, BLOCK_BYTES),
		.owner = &pagecache->owner,
		.wait = MEMORY_WAIT_NEVER,
	};
	status_t status;
	char *memory;

	owner_init(&pagecache->owner, "page index", false);
	owner_init(&pagecache->eviction.mapped_owner, "mapped pages", false);
	status = memory_blocks_alloc(pagecache->memory, &request, &pagecache->tables);
	if (status != STATUS_OK)
		return status;
	memory = platform_virt(pagecache->tables);
	index_init(&pagecache->pages.index, &pagecache->pages.table, memory, index_bytes(pages));
	ghosts_init(&pagecache->eviction.ghosts, memory + index_size, pages);
	pagecache->nodes = (struct node **)(void *)(memory + index_size + ghosts_size);
	memset(pagecache->nodes, 0, nodes_size);
	spinlock_init(&pagecache->nodes_lock, "nodes");
	return STATUS_OK;
}

static status_t requests_create(struct pagecache *pagecache)
{
	const struct objcache_config config = {
		.name = "page I/O",
		.object_bytes = sizeof(struct io),
		.reserve_objects = pagecache->config.requests,
	};

	return memory_objcache_init(pagecache->memory, &pagecache->pages.requests, config);
}

status_t pagecache_init(struct pagecache *pagecache, struct memory *memory, const struct pagecache_config *config)
{
	status_t status = check_config(config);

	if (status != STATUS_OK)
		return status;
	*pagecache = (struct pagecache){ .memory = memory, .config = *config };
	pagecache->config.nodes = config->nodes != 0 ? config->nodes : NODES_DEFAULT;
	pagecache->config.frame_wait_ns = config->frame_wait_ns != 0 ? config->frame_wait_ns : FRAME_WAIT_NS;
	pagecache->config.flush_wait_ns = config->flush_wait_ns != 0 ? config->flush_wait_ns : FLUSH_WAIT_NS;
	pagecache->config.retry_ns = config->retry_ns != 0 ? config->retry_ns : config->dirty_age_ns;
	mutex_init(&pagecache->writeback.flush_lock, "flush of all");
	mutex_init(&pagecache->volumes_lock, "volumes");
	list_init(&pagecache->volumes);
	status = pageblock_table_init(&pagecache->pages.table, memory);
	if (status != STATUS_OK)
		return status;
	status = tables_create(pagecache);
	if (status != STATUS_OK)
		goto no_tables;
	status = requests_create(pagecache);
	if (status != STATUS_OK)
		goto no_requests;
	status = migration_init(pagecache, config->migration_blocks);
	if (status != STATUS_OK)
		goto no_migration;
	loan_init(pagecache);
	return STATUS_OK;

no_migration:
	if (objcache_fini(&pagecache->pages.requests) != STATUS_OK)
		platform_panic("page cache: I/O is under way already");
no_requests:
	memory_blocks_free(memory, pagecache->tables);
no_tables:
	pageblock_table_fini(&pagecache->pages.table);
	return status;
}

status_t pagecache_fini(struct pagecache *pagecache)
{
	if (!list_is_empty(&pagecache->volumes))
		return STATUS_BUSY;
	loan_fini(pagecache);
	if (objcache_fini(&pagecache->pages.requests) != STATUS_OK)
		platform_panic("page cache: I/O is under way without a volume");
	migration_fini(pagecache);
	memory_blocks_free(pagecache->memory, pagecache->tables);
	pageblock_table_fini(&pagecache->pages.table);
	return STATUS_OK;
}

void pagecache_statistics(struct pagecache *pagecache, struct pagecache_statistics *statistics)
{
	memset(statistics, 0, sizeof(*statistics));
	mutex_lock(&pagecache->volumes_lock);
	list_for_each (link, &pagecache->volumes)
		volume_statistics_add(container_of(link, struct volume, link), statistics);
	mutex_unlock(&pagecache->volumes_lock);
}
