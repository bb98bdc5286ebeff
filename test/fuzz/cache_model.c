// SPDX-License-Identifier: BSD-2-Clause
#include "cache_model.h"

#include <stdlib.h>
#include <string.h>

#include "fake/cache_check.h"
#include "fake/memory_check.h"
#include "runtime/base/bits.h"

#define MODEL_BLOCKS 12

/* The first volume ends in the middle of a page. */
#define WHOLE_BYTES (1400 * PAGE_BYTES + 1536)
#define FILES_START align_up(WHOLE_BYTES, PAGE_BYTES)
#define FILES_BYTES (1024 * PAGE_BYTES)
#define DISK_BYTES  (FILES_START + FILES_BYTES)

/* The second file lies across the pages of the volume. */
static const struct file_layout {
	uint64_t start;
	uint64_t extent_pages;
	uint64_t extent_distance;
	uint64_t bytes;
} layouts[MODEL_FILES] = {
	{ 0, 128, 128 * PAGE_BYTES, 512 * PAGE_BYTES - 1000 },
	{ 520 * PAGE_BYTES + 1536, 100, 110 * PAGE_BYTES, 400 * PAGE_BYTES },
};

static void must(status_t status)
{
	if (status != STATUS_OK)
		platform_panic("%s", status_text(status));
}

/* Making it ------------------------------------------------------------------------------------ */

static void disk_init(struct model *model)
{
	struct random random;

	fake_block_init(&model->disk, DISK_BYTES, false);
	random_seed(&random, 3);
	for (uint64_t i = 0; i < DISK_BYTES; i += 8) {
		const uint64_t value = random_next(&random);

		memcpy(model->disk.data + i, &value, 8);
	}
	memcpy(model->expected, model->disk.data, DISK_BYTES);
}

static void memory_init_small(struct model *model)
{
	static const struct memory_config config = {
		.watermarks.min_bytes = BLOCK_BYTES,
		.watermarks.low_bytes = 2 * BLOCK_BYTES,
		.general_retain_bytes = BLOCK_BYTES,
		.dma_retain_bytes = BLOCK_BYTES,
	};
	struct phys_range range;

	range = host_arena_range(model->arena);
	must(memory_init(&model->memory, &config, &range, 1, model->metadata));
}

void model_file_open(struct model *model, unsigned number, unsigned turn)
{
	struct model_file *file = &model->files[number];
	const struct file_layout *layout = &layouts[number];

	for (unsigned i = 0; i < MODEL_EXTENTS; i++)
		file->extents[i] = (struct extent){
			.first = i * layout->extent_pages,
			.position = layout->start + (i + turn) % MODEL_EXTENTS * layout->extent_distance,
			.pages = layout->extent_pages,
		};
	must(node_open(&file->node, &model->volumes[1], file->extents, MODEL_EXTENTS, layout->bytes));
	file->open = true;
}

void model_attach(struct model *model, unsigned volume, unsigned turn)
{
	static const struct volume_config configs[MODEL_VOLUMES] = {
		{ .preference = 50, .keep_bytes = BLOCK_BYTES },
		{ .preference = 40 },
	};

	must(volume_attach(&model->volumes[volume], &model->pagecache, &model->disk.device, volume == 0 ? "whole" : "files",
			   volume == 0 ? 0 : FILES_START, volume == 0 ? WHOLE_BYTES : FILES_BYTES, &configs[volume]));
	for (unsigned i = 0; volume == 1 && i < MODEL_FILES; i++)
		model_file_open(model, i, turn);
}

/* What lasts from one input to the next: it is used for nothing but its addresses. */
static void model_init_once(struct model *model)
{
	struct phys_range range;

	model->arena = host_arena_create(4 * GIB, MODEL_BLOCKS * BLOCK_BYTES);
	range = host_arena_range(model->arena);
	model->metadata = aligned_alloc(64, align_up(memory_metadata_bytes(&range, 1), 64));
	model->expected = malloc(DISK_BYTES);
}

void model_init(struct model *model)
{
	static const struct pagecache_config config = {
		.dirty_background_percent = 4,
		.dirty_max_percent = 8,
		.dirty_age_ns = 30 * NS_PER_S,
		.move_percent = 25,
		.requests = 4,
		.cpu_frames = CPU_FRAMES_MAX,
		.readahead_bytes = 256 * KIB,
		.nodes = 8,
	};
	const struct memory_request request = { .blocks = 1, .owner = &model->owner };

	if (!model->arena)
		model_init_once(model);
	memset(platform_virt(host_arena_range(model->arena).start), 0xc9, MODEL_BLOCKS * BLOCK_BYTES);
	memset(model, 0, offsetof(struct model, arena));
	host_random_seed(1);
	host_clock_set(HOST_CLOCK_ALONE);
	random_seed(&model->random, 1);
	memory_init_small(model);
	must(pagecache_init(&model->pagecache, &model->memory, &config));
	owner_init(&model->owner, "fuzzer", false);
	must(memory_blocks_alloc(&model->memory, &request, &model->direct));
	disk_init(model);
	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		model_attach(model, i, 0);
}

void model_fini(struct model *model)
{
	model_check_valid(model);
	/* What failed of one file fails the flush of another one, so the volumes go first. */
	if (pagecache_flush(&model->pagecache) != STATUS_OK)
		assert(model->may_have_lost);
	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		volume_error_clear(&model->volumes[i]);
	must(pagecache_flush(&model->pagecache));
	for (unsigned i = 0; i < MODEL_FILES; i++) {
		if (!model->files[i].open)
			continue;
		must(node_close(&model->files[i].node, false));
		model_check_node_written(model, &model->files[i].node);
	}
	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		must(volume_detach(&model->volumes[i], false));
	assert(memcmp(model->disk.data, model->expected, DISK_BYTES) == 0);
	while (model->run_count > 0)
		memory_blocks_free(&model->memory, model->runs[--model->run_count]);
	memory_blocks_free(&model->memory, model->direct);
	must(pagecache_fini(&model->pagecache));
	assert(memory_is_valid(&model->memory));
	must(memory_fini(&model->memory));
	fake_block_fini(&model->disk);
}

/* What should be where ------------------------------------------------------------------------- */

struct node *model_node(struct model *model, unsigned number)
{
	return number == 0 ? &model->volumes[0].node : &model->files[number - 1].node;
}

bool model_is_in_range(const struct node *node, uint64_t offset, uint64_t bytes)
{
	return offset <= node->bytes && bytes <= node->bytes - offset;
}

uint64_t model_position(const struct node *node, uint64_t offset)
{
	const struct extent *extent = node->extents;

	while (offset / PAGE_BYTES >= extent->first + extent->pages)
		extent++;
	return node->volume->start_bytes + extent->position + (offset - extent->first * PAGE_BYTES);
}

uint64_t model_piece(uint64_t offset, uint64_t bytes)
{
	return MIN(bytes, PAGE_BYTES - offset % PAGE_BYTES);
}

bool model_is_expected(struct model *model, const struct node *node, uint64_t offset, const unsigned char *data, uint64_t bytes)
{
	for (uint64_t done = 0, piece; done < bytes; done += piece) {
		piece = model_piece(offset + done, bytes - done);
		if (memcmp(model->expected + model_position(node, offset + done), data + done, piece) != 0)
			return false;
	}
	return true;
}

void model_expect(struct model *model, const struct node *node, uint64_t offset, const unsigned char *data, uint64_t bytes)
{
	for (uint64_t done = 0, piece; done < bytes; done += piece) {
		piece = model_piece(offset + done, bytes - done);
		memcpy(model->expected + model_position(node, offset + done), data + done, piece);
	}
}

void model_expect_disk(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes)
{
	for (uint64_t done = 0, piece; done < bytes; done += piece) {
		const uint64_t position = model_position(node, offset + done);

		piece = model_piece(offset + done, bytes - done);
		memcpy(model->expected + position, model->disk.data + position, piece);
	}
}

/* Checking ------------------------------------------------------------------------------------- */

/* What lies behind the end of a node in its last page is not the node's: it stays. */
static void check_tail(struct model *model, const struct node *node)
{
	const uint64_t bytes = align_up(node->bytes, PAGE_BYTES) - node->bytes;
	const uint64_t position = model_position(node, node->bytes - 1) + 1;

	if (node != &model->volumes[0].node)
		assert(memcmp(model->expected + position, model->disk.data + position, bytes) == 0);
}

void model_check_node_written(struct model *model, const struct node *node)
{
	for (uint64_t offset = 0, piece; offset < node->bytes; offset += piece) {
		const uint64_t position = model_position(node, offset);

		piece = model_piece(offset, node->bytes - offset);
		assert(memcmp(model->expected + position, model->disk.data + position, piece) == 0);
	}
	check_tail(model, node);
}

void model_check_written(struct model *model, unsigned volume)
{
	assert(atomic_load(&model->volumes[volume].counts.dirty_pages) == 0);
	if (volume == 0)
		model_check_node_written(model, &model->volumes[0].node);
	for (unsigned i = 0; volume == 1 && i < MODEL_FILES; i++)
		if (model->files[i].open)
			model_check_node_written(model, &model->files[i].node);
}

void model_check_valid(struct model *model)
{
	assert(pagecache_is_valid(&model->pagecache));
	assert(memory_is_valid(&model->memory));
}
