// SPDX-License-Identifier: BSD-2-Clause
/* Why an operation may fail, or would wait for the fuzzer itself. */
#include "cache_model.h"
#include "runtime/base/bits.h"

bool model_is_mapped(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes, bool only_writes)
{
	for (unsigned i = 0; i < MODEL_MAPPINGS; i++) {
		const struct model_mapping *mapping = &model->mappings[i];

		if (mapping->mapping && mapping->mapping->node == node &&
		    (!only_writes || mapping->mapping->access == MAP_WRITE) &&
		    offset < (mapping->first + mapping->count) * PAGE_BYTES &&
		    align_up(offset + bytes, PAGE_BYTES) > mapping->first * PAGE_BYTES)
			return true;
	}
	return false;
}

bool model_has_mapping(const struct model *model, bool only_writes)
{
	for (unsigned i = 0; i < MODEL_MAPPINGS; i++) {
		const struct mapping *mapping = model->mappings[i].mapping;

		if (mapping && (!only_writes || mapping->access == MAP_WRITE))
			return true;
	}
	return false;
}

bool model_read_may_fail(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes)
{
	const uint64_t end = offset + bytes;

	for (offset = align_down(offset, PAGE_BYTES); model->disk.fail_reads && offset < end; offset += PAGE_BYTES) {
		const uint64_t position = model_position(node, offset);

		if (position < model->disk.fail_end && position + PAGE_BYTES > model->disk.fail_start)
			return true;
	}
	return false;
}

uint64_t model_blocks_to_give(const struct volume *volume)
{
	const uint64_t cached = atomic_load(&volume->counts.cached_pages) * PAGE_BYTES;
	const uint64_t keep = volume->config.keep_bytes;
	const uint64_t closed = volume->eviction.heap.queue_blocks[0] - (volume->eviction.heap.open[0] != NULL) +
				volume->eviction.heap.queue_blocks[1] - (volume->eviction.heap.open[1] != NULL) +
				volume->eviction.heap.empty_blocks;

	return MIN(closed, (MAX(cached, keep) - keep) / BLOCK_BYTES);
}

static bool holds_on(const struct volume *volume)
{
	return atomic_load(&volume->eviction.heap.blocks) > 0 && model_blocks_to_give(volume) == 0;
}

/* Without any of these, a frame is always to be had. */
bool model_is_short(const struct model *model)
{
	return model->run_count > 0 || model->disk.fail_writes || atomic_load(&model->pagecache.writeback.failed_pages) > 0 ||
	       model_has_mapping(model, false) || holds_on(&model->volumes[0]) || holds_on(&model->volumes[1]);
}

uint64_t model_failed_pages(struct model *model)
{
	return atomic_load(&model->pagecache.writeback.failed_pages);
}

bool model_is_device_error(status_t status)
{
	return status == STATUS_IO_ERROR || status == STATUS_GONE;
}
