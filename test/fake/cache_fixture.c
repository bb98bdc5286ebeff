// SPDX-License-Identifier: BSD-2-Clause
#include "cache_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "pagecache/writeback/writeback.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"

const struct pagecache_config cache_machine_config = {
	.dirty_background_percent = 10,
	.dirty_max_percent = 20,
	.dirty_age_ns = 30 * NS_PER_S,
	.move_percent = 25,
	.requests = 8,
	.cpu_frames = CPU_FRAMES_MAX,
};

static void must(status_t status)
{
	if (status != STATUS_OK)
		platform_panic("%s", status_text(status));
}

static void attach(struct cache_machine *machine, uint64_t bytes)
{
	static const struct volume_config config = { .preference = 50, .keep_bytes = KEEP_BYTES };

	must(volume_attach(&machine->volume, &machine->pagecache, &machine->disk.device, "disk", 0, bytes, &config));
}

static void init(struct cache_machine *machine, uint64_t memory_bytes, uint64_t disk_bytes, bool threaded,
		 const struct pagecache_config *config, const struct guarantee_config *guarantee)
{
	const struct memory_config memory_config = {
		.watermarks.min_bytes = 2 * BLOCK_BYTES,
		.watermarks.low_bytes = 4 * BLOCK_BYTES,
		.general_retain_bytes = BLOCK_BYTES,
		.dma_retain_bytes = BLOCK_BYTES,
		.guarantee = *guarantee,
	};
	static _Atomic uint64_t machines;
	struct phys_range range;

	machine->arena = host_arena_create((4 + 4 * (atomic_fetch_add(&machines, 1) % 16)) * GIB, memory_bytes);
	range = host_arena_range(machine->arena);
	machine->metadata = aligned_alloc(64, align_up(memory_metadata_bytes(&range, 1), 64));
	must(memory_init(&machine->memory, &memory_config, &range, 1, machine->metadata));
	must(pagecache_init(&machine->pagecache, &machine->memory, config));
	fake_block_init(&machine->disk, disk_bytes, threaded);
	machine->model = malloc(disk_bytes);
	for (uint64_t i = 0; i < disk_bytes; i += 8)
		memcpy(machine->disk.data + i, &i, 8);
	memcpy(machine->model, machine->disk.data, disk_bytes);
	attach(machine, disk_bytes);
}

void cache_machine_shrink(struct cache_machine *machine, uint64_t bytes)
{
	must(volume_detach(&machine->volume, false));
	attach(machine, bytes);
}

void cache_machine_init_config(struct cache_machine *machine, uint64_t disk_bytes, bool threaded,
			       const struct pagecache_config *config)
{
	init(machine, MEMORY_BYTES, disk_bytes, threaded, config, &(struct guarantee_config){ 0 });
}

void cache_machine_init_guarantee(struct cache_machine *machine, uint64_t disk_bytes, bool threaded,
				  const struct guarantee_config *guarantee)
{
	init(machine, MEMORY_BYTES, disk_bytes, threaded, &cache_machine_config, guarantee);
}

void cache_machine_init_sized(struct cache_machine *machine, uint64_t memory_bytes, uint64_t disk_bytes,
			      const struct guarantee_config *guarantee)
{
	init(machine, memory_bytes, disk_bytes, false, &cache_machine_config, guarantee);
}

void cache_machine_init(struct cache_machine *machine, uint64_t disk_bytes, bool threaded)
{
	cache_machine_init_config(machine, disk_bytes, threaded, &cache_machine_config);
}

void cache_machine_free(struct cache_machine *machine)
{
	must(pagecache_fini(&machine->pagecache));
	must(memory_fini(&machine->memory));
	fake_block_fini(&machine->disk);
	free(machine->model);
	free(machine->metadata);
	host_arena_destroy(machine->arena);
}

void cache_machine_fini(struct cache_machine *machine)
{
	writeback_settle(&machine->volume); /* the disk may have a thread */
	assert(pagecache_is_valid(&machine->pagecache));
	assert(memory_is_valid(&machine->memory));
	must(volume_detach(&machine->volume, false));
	assert(memcmp(machine->disk.data, machine->model, machine->disk.device.size_bytes) == 0);
	cache_machine_free(machine);
}

void cache_machine_read(struct cache_machine *machine, uint64_t offset, size_t bytes)
{
	unsigned char *buffer = malloc(bytes + 1);

	must(node_read(&machine->volume.node, offset, buffer, bytes));
	assert(memcmp(buffer, machine->model + offset, bytes) == 0);
	free(buffer);
}

void cache_machine_write(struct cache_machine *machine, struct random *random, uint64_t offset, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		machine->model[offset + i] = (unsigned char)random_next(random);
	must(node_write(&machine->volume.node, offset, machine->model + offset, bytes));
}

static bool is_writing(struct volume *volume)
{
	spinlock_lock(&volume->writeback.lock);
	const bool writing = !list_is_empty(&volume->writeback.in_flight);
	spinlock_unlock(&volume->writeback.lock);
	return writing;
}

status_t cache_write_back(struct node *node)
{
	struct volume *volume = node->volume;
	uint32_t progress = atomic_load(&volume->writeback.progress);

	(void)writeback_start_range(node, 0, UINT64_MAX, false);
	for (; is_writing(volume); progress = atomic_load(&volume->writeback.progress))
		(void)platform_wait(&volume->writeback.progress, progress, PLATFORM_FOREVER);
	return atomic_load(&node->failed_pages) > 0 ? atomic_load(&volume->writeback.write_status) : STATUS_OK;
}

void cache_machine_fill(struct cache_machine *machine)
{
	for (uint64_t offset = 0;
	     offset < machine->disk.device.size_bytes && reclaim_may_grow(memory_reclaim(&machine->memory)); offset += MIB)
		cache_machine_read(machine, offset, MIB);
}

uint64_t cache_machine_block(struct cache_machine *machine, uint64_t number)
{
	const uint64_t key = page_key_make(machine->volume.node.id, number);
	uint32_t state;
	struct page *page = index_find(&machine->pagecache.pages.index, key, &state);

	if (!page)
		platform_panic("page %llu is not cached", (unsigned long long)number);
	return align_down(page_address(page).value, BLOCK_BYTES);
}

const struct pagecache_statistics *cache_machine_statistics(struct cache_machine *machine)
{
	static _Thread_local struct pagecache_statistics statistics;

	pagecache_statistics(&machine->pagecache, &statistics);
	return &statistics;
}
