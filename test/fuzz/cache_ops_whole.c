// SPDX-License-Identifier: BSD-2-Clause
/* Mapping, flushing, opening and closing, attaching and detaching, and memory for others. */
#include <string.h>

#include "cache_ops.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

#define MAPPED_BYTES_MAX (64 * PAGE_BYTES)

/* Mapping -------------------------------------------------------------------------------------- */

/* Looks at, or fills, what the device would. */
static void mapping_transfer(struct model *model, const struct mapping *mapping, uint64_t offset, uint64_t bytes)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < mapping->segment_count; i++) {
		unsigned char *memory = platform_virt(mapping->segments[i].start);
		const uint64_t length = mapping->segments[i].bytes;

		if (mapping->access == MAP_READ) {
			assert(model_is_expected(model, mapping->node, offset + done, memory, length));
		} else {
			memset(memory, (int)random_next(&model->random), length);
			model_expect(model, mapping->node, offset + done, memory, length);
		}
		done += length;
	}
	assert(done == bytes);
}

static struct model_mapping *free_mapping(struct model *model)
{
	for (unsigned i = 0; i < MODEL_MAPPINGS; i++)
		if (!model->mappings[i].mapping)
			return &model->mappings[i];
	return NULL;
}

static bool map_may_fail(struct model *model, const struct node *node, status_t status, uint64_t offset, uint64_t bytes)
{
	if (status == STATUS_NO_MEMORY)
		return model_is_short(model);
	return model_is_device_error(status) &&
	       (model_read_may_fail(model, node, offset, bytes) || atomic_load(&node->volume->counts.failed_pages) > 0 ||
		atomic_load(&node->volume->device->gone));
}

/*
 * There is another mapping for writing already, and with this one they would have more pages than
 * may be dirty.
 */
static bool is_beyond_limit(const struct model *model, const struct node *node, uint64_t offset, uint64_t bytes)
{
	const uint64_t pages = divide_round_up(offset % PAGE_BYTES + bytes, PAGE_BYTES);
	uint64_t mapped = 0;

	for (unsigned i = 0; i < MODEL_MAPPINGS; i++) {
		const struct mapping *mapping = model->mappings[i].mapping;

		if (mapping && mapping->access == MAP_WRITE && mapping->node->volume == node->volume)
			mapped += mapping->page_count;
	}
	return mapped > 0 && mapped + pages > writeback_limits(node->volume).max;
}

void model_map(struct model *model, struct node *node, uint64_t offset, uint64_t bytes, enum map_access access)
{
	struct model_mapping *free = free_mapping(model);
	struct mapping *mapping;
	status_t status;

	if (!free)
		return;
	if (!model_is_in_range(node, offset, bytes) || bytes > MAP_BYTES_MAX || bytes == 0) {
		assert(node_map(node, offset, bytes, access, &mapping) ==
		       (bytes == 0 && offset <= node->bytes ? STATUS_INVALID : STATUS_RANGE));
		return;
	}
	bytes = MIN(bytes, MAPPED_BYTES_MAX);
	/* A mapping waits where a second one of the same task would have to wait for itself. */
	if (model_is_mapped(model, node, offset, bytes, access == MAP_READ))
		return;
	status = node_map(node, offset, bytes, access, &mapping);
	if (status != STATUS_OK) {
		assert(status == STATUS_BUSY ? access == MAP_WRITE && is_beyond_limit(model, node, offset, bytes)
					     : map_may_fail(model, node, status, offset, bytes));
		return;
	}
	*free = (struct model_mapping){ mapping, offset / PAGE_BYTES, mapping->page_count };
	mapping_transfer(model, mapping, offset, bytes);
}

void model_unmap(struct model *model, unsigned number)
{
	struct mapping *mapping = model->mappings[number].mapping;

	if (!mapping)
		return;
	/* It has stayed as it was. */
	for (uint32_t i = 0; mapping->access == MAP_READ && i < mapping->page_count; i++) {
		const uint64_t offset = (model->mappings[number].first + i) * PAGE_BYTES;

		assert(model_is_expected(model, mapping->node, offset, page_memory(mapping->pages[i]),
					 MIN(PAGE_BYTES, mapping->node->bytes - offset)));
	}
	node_unmap(mapping);
	model->mappings[number].mapping = NULL;
}

/* Flushing ------------------------------------------------------------------------------------- */

static void check_flush(struct model *model, status_t status, bool may_fail)
{
	if (status == STATUS_OK)
		assert(!model->disk.fail_flushes);
	else
		assert(model_is_device_error(status) && (may_fail || model->may_have_lost || model->disk.fail_writes));
}

/* A page that is mapped for writing is dirty when that ends, and a flush waits for it. */
void model_flush(struct model *model, unsigned volume)
{
	status_t status;

	if (model_has_mapping(model, true))
		return;
	status = volume_flush(&model->volumes[volume]);
	check_flush(model, status, false);
	/* With no fault any more, what was lost is all that is told. */
	if (status != STATUS_OK && !model->disk.fail_flushes && !model->disk.fail_writes) {
		volume_error_clear(&model->volumes[volume]);
		status = volume_flush(&model->volumes[volume]);
		assert(status == STATUS_OK);
	}
	if (status == STATUS_OK) /* what a failed device flush may have lost is dirty again */
		model_check_written(model, volume);
}

void model_flush_node(struct model *model, struct node *node)
{
	const bool may_fail = atomic_load(&node->volume->counts.failed_pages) > 0;
	status_t status;

	if (model_has_mapping(model, true))
		return;
	status = node_flush(node);
	check_flush(model, status, may_fail);
	if (status == STATUS_OK) /* what a failed device flush may have lost is dirty again */
		model_check_node_written(model, node);
}

/* Closing and detaching ------------------------------------------------------------------------ */

static bool file_close(struct model *model, unsigned number, bool discard)
{
	struct model_file *file = &model->files[number];
	const bool may_fail = atomic_load(&file->node.volume->counts.failed_pages) > 0;
	const status_t status = node_close(&file->node, discard);

	check_flush(model, status, may_fail);
	if (status != STATUS_OK && !discard)
		return false;
	if (status != STATUS_OK)
		model_expect_disk(model, &file->node, 0, file->node.bytes);
	model_check_node_written(model, &file->node);
	file->open = false;
	return true;
}

void model_reopen(struct model *model, unsigned file, bool discard, unsigned turn)
{
	if (!model_has_mapping(model, false) && file_close(model, file, discard))
		model_file_open(model, file, turn);
}

void model_reattach(struct model *model, unsigned number, bool discard, unsigned turn)
{
	struct volume *volume = &model->volumes[number];
	status_t status;

	if (model_has_mapping(model, false))
		return;
	for (unsigned i = 0; number == 1 && i < MODEL_FILES; i++)
		(void)file_close(model, i, true);
	status = volume_detach(volume, discard);
	check_flush(model, status, false);
	if (number == 0 && status == STATUS_OK)
		model_check_node_written(model, &volume->node);
	if (number == 0 && status != STATUS_OK && discard)
		model_expect_disk(model, &volume->node, 0, volume->node.bytes);
	if (status == STATUS_OK || discard)
		model_attach(model, number, turn);
	for (unsigned i = 0; number == 1 && i < MODEL_FILES; i++)
		if (!model->files[i].open)
			model_file_open(model, i, turn);
}

/* Memory for others ---------------------------------------------------------------------------- */

/* Blocks that a request that may wait can count on. */
static uint64_t blocks_to_be_had(struct model *model)
{
	const uint64_t free_bytes = memory_free_bytes(&model->memory);
	const uint64_t min_bytes = model->memory.reclaim.watermarks.min_bytes;
	uint64_t blocks = (MAX(free_bytes, min_bytes) - min_bytes) / BLOCK_BYTES;

	for (unsigned i = 0; i < MODEL_VOLUMES; i++)
		blocks += model_blocks_to_give(&model->volumes[i]);
	return blocks;
}

void model_take(struct model *model, uint64_t blocks, uint32_t count, enum memory_wait wait)
{
	const bool must_succeed = wait != MEMORY_WAIT_NEVER && blocks == 1 && count <= blocks_to_be_had(model) &&
				  !model->disk.fail_writes && !model_has_mapping(model, false) &&
				  model_failed_pages(model) == 0;
	const struct memory_request request = {
		.blocks = blocks,
		.owner = &model->owner,
		.wait = wait,
		.deadline_ns = platform_now_ns() + NS_PER_S,
	};
	status_t status;

	if (count > MODEL_RUNS - model->run_count)
		return;
	status = reclaim_blocks_alloc(memory_reclaim(&model->memory), &request, count, &model->runs[model->run_count]);
	if (status != STATUS_OK) {
		assert(!must_succeed && (status == STATUS_NO_MEMORY || status == STATUS_TIMEOUT || status == STATUS_RANGE));
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		memset(platform_virt(model->runs[model->run_count++]), 0xdb, blocks * BLOCK_BYTES);
}

void model_free_run(struct model *model, uint32_t which)
{
	if (which >= model->run_count)
		return;
	memory_blocks_free(&model->memory, model->runs[which]);
	model->runs[which] = model->runs[--model->run_count];
}
