// SPDX-License-Identifier: BSD-2-Clause
/*
 * A page cache of 16 GB, spread over 100 volumes, of which many pages are dirty or mapped. The rest
 * of the memory is taken, so every request needs some of it. Devices complete at once and transfer
 * nothing.
 */
#include "holds.h"

#include <stdio.h>
#include <stdlib.h>

#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "heap/reclaim/background_cleaner.h"
#include "host/platform_host.h"
#include "pagecache/direct.h"
#include "pagecache/map.h"
#include "runtime/base/block_device.h"
#include "runtime/base/random.h"

#define DISK_BYTES   (GIB << 10)
#define READ_BYTES   MIB
#define BIG_SHARE    8            /* of the cache, on the first volume: one that has far more than the others */
#define DIRTY_PAGES  (150u << 10) /* of the first volume */
#define MAPPINGS     1000
#define PIECES       256 /* of the guarantee, taken at once */
#define WINDOW_BYTES GIB
#define LOW_BLOCKS   64 /* of the cache, below 4 GB: all of them hot */

static struct block_device disks[VOLUMES];
static char names[VOLUMES][VOLUME_NAME_BYTES];

static const struct device device = { .name = "capture", .dma_mask = UINT64_MAX };

static void submit(struct block_device *disk, struct block_request *request)
{
	request->status = block_request_check(disk, request);
	request->done(request);
}

static void volumes_attach(struct bench_machine *machine)
{
	static const struct volume_config config = { .preference = 50, .keep_bytes = 8 * MIB, .retain_bytes = 2 * MIB };

	for (unsigned i = 0; i < VOLUMES; i++) {
		snprintf(names[i], sizeof(names[i]), "disk%u", i);
		disks[i] = (struct block_device){
			.name = names[i],
			.size_bytes = DISK_BYTES,
			.sector_bytes = 512,
			.segment_alignment = 512,
			.segments_max = 256,
			.transfer_bytes_max = MIB,
			.write_cache = true,
			.submit = submit,
		};
		list_init(&disks[i].link);
		machine->volumes[i] = aligned_alloc(64, sizeof(struct volume));
		must(volume_attach(machine->volumes[i], &machine->pagecache, &disks[i], names[i], 0, DISK_BYTES, &config) ==
			     STATUS_OK,
		     "a volume cannot be attached");
	}
}

static void cache_start(struct bench_machine *machine)
{
	static const struct pagecache_config config = {
		.dirty_background_percent = 10,
		.dirty_max_percent = 20,
		.dirty_age_ns = 30 * NS_PER_S,
		.move_percent = 25,
		.requests = 64,
		.retry_ns = 5 * NS_PER_S,
		.readahead_bytes = 4 * MIB,
		.cpu_frames = 8,
		.nodes = 4096,
		.migration_blocks = 1,
		.frame_wait_ns = 10 * NS_PER_S,
	};

	must(pagecache_init(&machine->pagecache, &machine->memory, &config) == STATUS_OK, "no page cache");
	pagecache_commands_register(&machine->pagecache, &machine->commands);
	volumes_attach(machine);
}

/* Leaves so much free. */
static void memory_take_all_but(struct bench_machine *machine, uint64_t bytes)
{
	struct run_request request = { .owner = &machine->fixed, .blocks = 1ull << 19 };
	struct block_heap *heap = &machine->memory.blocks;
	struct phys_addr run;

	while (request.blocks > 0) {
		if (block_heap_free_bytes(heap) < bytes + (request.blocks << BLOCK_SHIFT) ||
		    block_heap_alloc(heap, &request, &run) != STATUS_OK)
			request.blocks /= 2;
	}
}

static void read(struct bench_machine *machine, unsigned volume, uint64_t from, uint64_t bytes)
{
	static unsigned char buffer[READ_BYTES];

	for (uint64_t offset = from; offset < from + bytes; offset += READ_BYTES) {
		cpu_be((unsigned)(offset / READ_BYTES % CPUS));
		must(node_read(&machine->volumes[volume]->node, offset, buffer, READ_BYTES) == STATUS_OK, "a read has failed");
	}
	cpu_be(0);
}

static void cache_fill(struct bench_machine *machine)
{
	read(machine, 0, 0, CACHE_GB * GIB / 2);
	for (unsigned i = 1; i < VOLUMES; i++)
		read(machine, i, 0, CACHE_GB * GIB / 2 / VOLUMES / READ_BYTES * READ_BYTES);
	/* Some once more, so that there are hot ones, and beyond, so that others give way. */
	read(machine, 0, 0, GIB);
	read(machine, 0, 16 * GIB, GIB);
}

/* Mappings make pages dirty without a byte being written. */
static void pages_make_dirty(struct bench_machine *machine, unsigned volume, uint64_t from, uint64_t pages)
{
	struct node *node = &machine->volumes[volume]->node;
	struct mapping *mapping;

	for (uint64_t i = 0; i < pages; i += MAP_BYTES_MAX / PAGE_BYTES) {
		must(node_map(node, from + i * PAGE_BYTES, MAP_BYTES_MAX, MAP_WRITE, &mapping) == STATUS_OK,
		     "pages cannot be mapped");
		node_unmap(mapping);
	}
}

static void write_and_flush(struct bench_machine *machine)
{
	struct node *node = &machine->volumes[0]->node;
	static const unsigned char bytes[100];

	pages_make_dirty(machine, 0, 0, DIRTY_PAGES);
	for (unsigned i = 1; i < VOLUMES; i++)
		pages_make_dirty(machine, i, 0, 1024);
	/* One page of a file, among many of others. */
	static struct node file;
	static const struct extent extent = { .first = 0, .position = 512 * GIB, .pages = 1 };
	must(node_open(&file, machine->volumes[0], &extent, 1, PAGE_BYTES) == STATUS_OK &&
		     node_write(&file, 0, bytes, sizeof(bytes)) == STATUS_OK && node_flush(&file) == STATUS_OK &&
		     node_close(&file, false) == STATUS_OK,
	     "a file cannot be written");
	must(node_write(node, 12345, bytes, sizeof(bytes)) == STATUS_OK, "a write has failed");
	commands_run(machine);
	host_clock_turn(40 * NS_PER_S);
	for (unsigned i = 0; i < 4; i++)
		pagecache_writeback_step(&machine->pagecache);
	must(pagecache_flush(&machine->pagecache) == STATUS_OK, "a flush has failed");
}

static void direct_and_discard(struct bench_machine *machine)
{
	struct node *node = &machine->volumes[0]->node;
	const struct phys_range segment = { platform_phys(platform_virt(machine->pagecache.tables)), 64 * KIB };

	must(node_direct(node, BLOCK_READ, 0, &segment, 1) == STATUS_OK, "a direct read has failed");
	must(node_direct(node, BLOCK_WRITE, GIB, &segment, 1) == STATUS_OK, "a direct write has failed");
	must(node_discard(node, 2 * GIB, GIB) == STATUS_OK, "a discard has failed");
}

/* What lasts and is in the way: the reports name it. */
static void map_and_ask(struct bench_machine *machine)
{
	static struct mapping *mappings[MAPPINGS];
	struct memory_request request = { .blocks = WINDOW_BYTES >> BLOCK_SHIFT, .owner = &machine->fixed };
	struct random random;
	struct phys_addr run;

	random_seed(&random, 1);
	for (unsigned i = 0; i < MAPPINGS; i++)
		must(node_map(&machine->volumes[i % VOLUMES]->node, i / VOLUMES * MIB, 64 * KIB, MAP_READ, &mappings[i]) ==
			     STATUS_OK,
		     "pages cannot be mapped");
	host_clock_turn(2 * NS_PER_S);
	request.blocks = CACHE_GB * GIB >> BLOCK_SHIFT;
	if (memory_blocks_alloc(&machine->memory, &request, &run) == STATUS_OK)
		memory_blocks_free(&machine->memory, run);
	commands_run(machine);
	for (unsigned i = 0; i < MAPPINGS; i++)
		node_unmap(mappings[i]);
}

static bool low_block_take(struct bench_machine *machine, struct phys_addr *block)
{
	const struct memory_request request = { .blocks = 1,
						.owner = &machine->fixed,
						.constraints = { .highest = { 4 * GIB - 1 } } };

	return memory_blocks_alloc(&machine->memory, &request, block) == STATUS_OK;
}

/* Takes all there is below 4 GB, so that the cache lies above. */
static void low_blocks_take(struct bench_machine *machine, struct phys_addr *blocks)
{
	uint64_t count = 0;

	while (count < 4 * GIB / BLOCK_BYTES && low_block_take(machine, &blocks[count]))
		count++;
	must(count >= LOW_BLOCKS, "too little is free below 4 GB");
}

/*
 * The cache gets some of it, and hits what it has there; then a device that reaches no more wants
 * all of it.
 */
static void low_blocks_ask(struct bench_machine *machine, struct phys_addr *blocks)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < LOW_BLOCKS; i++)
		memory_blocks_free(&machine->memory, blocks[i]);
	for (unsigned i = 0; i < 4; i++)
		read(machine, 0, 64 * GIB, GIB);
	while (taken < LOW_BLOCKS && low_block_take(machine, &blocks[taken]))
		taken++;
	must(taken > LOW_BLOCKS / 2, "the cache gives nothing below 4 GB");
}

/* One piece, without waiting, as in an interrupt handler. */
static struct dma_buffer *piece_take(struct bench_machine *machine)
{
	const struct dma_request request = { .bytes = 4 * MIB, .segments_max = 1 };
	struct dma_buffer *buffer = NULL;

	platform_preempt_disable();
	const status_t status = dma_alloc(memory_dma(&machine->memory), &device, &request, &buffer);
	platform_preempt_enable();
	return status == STATUS_OK ? buffer : NULL;
}

static void piece_give(struct bench_machine *machine, struct dma_buffer *buffer)
{
	platform_preempt_disable();
	dma_free(memory_dma(&machine->memory), buffer);
	platform_preempt_enable();
}

static void guarantee_use(struct bench_machine *machine)
{
	static struct dma_buffer *pieces[PIECES];

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < PIECES; i++)
			pieces[i] = piece_take(machine);
		(void)guarantee_refill(&machine->memory.guarantee);
		for (unsigned i = 0; i < PIECES; i++)
			if (pieces[i])
				piece_give(machine, pieces[i]);
		(void)guarantee_refill(&machine->memory.guarantee);
	}
}

/* Requests that the cache has to give way to: in one piece, in many, and below 4 GB. */
static void requests_serve(struct bench_machine *machine)
{
	static const struct dma_request requests[] = {
		{ .bytes = WINDOW_BYTES, .segments_max = 1 },
		{ .bytes = WINDOW_BYTES, .segment_bytes_min = 4 * MIB },
		{ .bytes = WINDOW_BYTES },
		{ .bytes = 64 * MIB, .segments_max = 1, .alignment_bytes = 64 * MIB },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++) {
		struct dma_buffer *buffer;

		read(machine, 1 + i, 32 * GIB, 2 * GIB);
		if (dma_alloc(memory_dma(&machine->memory), &device, &requests[i], &buffer) == STATUS_OK)
			dma_free(memory_dma(&machine->memory), buffer);
		(void)background_cleaner_step(memory_reclaim(&machine->memory));
	}
}

static void volumes_detach(struct bench_machine *machine)
{
	(void)volume_drop(machine->volumes[1]);
	pages_make_dirty(machine, 2, 0, 4096);
	for (unsigned i = 0; i < VOLUMES; i++)
		must(volume_detach(machine->volumes[i], false) == STATUS_OK, "a volume cannot be detached");
}

void cache_look_at(struct bench_machine *machine)
{
	static struct phys_addr low_blocks[4 * GIB / BLOCK_BYTES];
	struct pagecache_statistics statistics;

	cache_start(machine);
	low_blocks_take(machine, low_blocks);
	memory_take_all_but(machine, CACHE_GB * GIB);
	cache_fill(machine);
	low_blocks_ask(machine, low_blocks);
	pagecache_statistics(&machine->pagecache, &statistics);
	write_and_flush(machine);
	direct_and_discard(machine);
	map_and_ask(machine);
	requests_serve(machine);
	guarantee_use(machine);
	commands_run(machine);
	volumes_detach(machine);
}
