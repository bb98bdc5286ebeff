// SPDX-License-Identifier: BSD-2-Clause
/* Reading, writing, and what else names a range of a node. */
#include "cache_ops.h"

#include <string.h>

#include "pagecache/direct.h"
#include "runtime/base/bits.h"

static void fill(struct model *model, unsigned char *memory, uint64_t bytes)
{
	const uint64_t value = random_next(&model->random);

	for (uint64_t i = 0; i < bytes; i++)
		memory[i] = (unsigned char)((value >> (i % 8 * 8)) + i / 8);
}

/* Reading -------------------------------------------------------------------------------------- */

void model_read(struct model *model, struct node *node, uint64_t offset, uint64_t bytes)
{
	status_t status;

	if (!model_is_in_range(node, offset, bytes)) {
		assert(node_read(node, offset, model->buffer, bytes) == STATUS_RANGE);
		return;
	}
	bytes = MIN(bytes, MODEL_BUFFER_BYTES);
	if (model_is_mapped(model, node, offset, bytes, true))
		return;
	status = node_read(node, offset, model->buffer, bytes);
	if (status == STATUS_OK)
		assert(model_is_expected(model, node, offset, model->buffer, bytes));
	else if (status == STATUS_NO_MEMORY)
		assert(model_is_short(model));
	else
		assert(model_is_device_error(status) && model_read_may_fail(model, node, offset, bytes));
}

/* Writing -------------------------------------------------------------------------------------- */

/* What a read of these bytes, which lie in one page, would give, without a frame for it. */
static void peek(struct model *model, const struct node *node, uint64_t offset, unsigned char *data, uint64_t bytes)
{
	struct lookup lookup;
	struct page *page = index_pin(&model->pagecache.pages.index, page_key_make(node->id, offset / PAGE_BYTES), &lookup);

	if (page) {
		memcpy(data, (const char *)page_memory(page) + offset % PAGE_BYTES, bytes);
		page_unpin(page);
	} else {
		memcpy(data, model->disk.data + model_position(node, offset), bytes);
	}
}

/*
 * Pages before the failing one are written, the others are as before; unless the same was there,
 * that tells them apart.
 */
static void settle_write(struct model *model, const struct node *node, uint64_t offset, const unsigned char *data,
			 uint64_t bytes)
{
	unsigned char now[PAGE_BYTES];
	bool written = true, same = false;

	for (uint64_t done = 0, piece; done < bytes; done += piece) {
		piece = model_piece(offset + done, bytes - done);
		same = model_is_expected(model, node, offset + done, data + done, piece);
		peek(model, node, offset + done, now, piece);
		written = written && memcmp(now, data + done, piece) == 0;
		if (written)
			model_expect(model, node, offset + done, data + done, piece);
		else
			assert(model_is_expected(model, node, offset + done, now, piece));
	}
	assert(!written || same);
}

/* A page of which a part is written may have to be read first. */
static bool edges_may_fail(struct model *model, const struct node *node, uint64_t offset, uint64_t bytes)
{
	return model_read_may_fail(model, node, offset, 1) || model_read_may_fail(model, node, offset + bytes - 1, 1);
}

void model_write(struct model *model, struct node *node, uint64_t offset, uint64_t bytes)
{
	const bool gone = atomic_load(&node->volume->device->gone);
	status_t status;

	if (!model_is_in_range(node, offset, bytes)) {
		assert(node_write(node, offset, model->buffer, bytes) == STATUS_RANGE);
		return;
	}
	bytes = MIN(bytes, MODEL_BUFFER_BYTES);
	if (model_is_mapped(model, node, offset, bytes, false))
		return;
	fill(model, model->buffer, bytes);
	status = node_write(node, offset, model->buffer, bytes);
	if (status == STATUS_OK) {
		assert(!gone);
		model_expect(model, node, offset, model->buffer, bytes);
		return;
	}
	if (gone) {
		assert(status == STATUS_GONE);
		return;
	}
	if (status == STATUS_NO_MEMORY)
		assert(model_is_short(model));
	else
		assert(model_is_device_error(status) &&
		       (edges_may_fail(model, node, offset, bytes) || atomic_load(&node->volume->counts.failed_pages) > 0));
	settle_write(model, node, offset, model->buffer, bytes);
}

/* Forgetting ----------------------------------------------------------------------------------- */

void model_discard(struct model *model, struct node *node, uint64_t offset, uint64_t bytes)
{
	uint64_t first, end;

	if (!model_is_in_range(node, offset, bytes)) {
		assert(node_discard(node, offset, bytes) == STATUS_RANGE);
		return;
	}
	if (model_is_mapped(model, node, offset, bytes, false))
		return;
	assert(node_discard(node, offset, bytes) == STATUS_OK);
	first = align_up(offset, PAGE_BYTES);
	end = offset + bytes == node->bytes ? node->bytes : align_down(offset + bytes, PAGE_BYTES);
	if (first < end)
		model_expect_disk(model, node, first, end - first);
}

void model_evict(struct model *model, struct node *node, uint64_t number)
{
	if (number < node_pages(node) && node_evict_page(node, number)) {
		assert(!model_is_mapped(model, node, number * PAGE_BYTES, 1, false));
		assert(!index_look(&model->pagecache.pages.index, page_key_make(node->id, number)));
	}
}

/* Direct I/O ----------------------------------------------------------------------------------- */

/*
 * What failed on the way may have been written in part: sector by sector it is old or new. Its ends
 * may be cached.
 */
static void settle_direct_write(struct model *model, struct node *node, uint64_t offset, const unsigned char *data,
				uint64_t bytes)
{
	const uint64_t sector = model->disk.device.sector_bytes;

	for (uint64_t done = 0; done < bytes; done += sector) {
		unsigned char now[PAGE_BYTES];

		peek(model, node, offset + done, now, sector);
		if (memcmp(now, data + done, sector) == 0)
			model_expect(model, node, offset + done, data + done, sector);
	}
}

static bool direct_may_fail(struct model *model, const struct node *node, enum block_operation operation, uint64_t offset,
			    uint64_t bytes)
{
	return model->disk.fail_writes || atomic_load(&node->volume->counts.failed_pages) > 0 ||
	       (operation == BLOCK_READ ? model_read_may_fail(model, node, offset, bytes)
					: edges_may_fail(model, node, offset, bytes));
}

void model_direct(struct model *model, struct node *node, enum block_operation operation, uint64_t offset, uint64_t bytes)
{
	unsigned char *memory = platform_virt(model->direct);
	const bool gone = operation == BLOCK_WRITE && atomic_load(&node->volume->device->gone);
	const uint64_t first = MIN(align_down(bytes / 3, 512), bytes);
	const struct phys_range segments[2] = {
		{ model->direct, first },
		{ { model->direct.value + first }, bytes - first },
	};
	status_t status;

	if (model_has_mapping(model, false) || bytes > BLOCK_BYTES)
		return;
	if (operation == BLOCK_WRITE)
		fill(model, memory, bytes);
	status = node_direct(node, operation, offset, segments, 2);
	if ((offset | bytes) % model->disk.device.sector_bytes != 0)
		assert(status == STATUS_INVALID);
	else if (!model_is_in_range(node, offset, bytes))
		assert(status == STATUS_RANGE);
	else if (gone)
		assert(status == STATUS_GONE);
	else if (status == STATUS_NO_MEMORY)
		assert(operation == BLOCK_WRITE && model_is_short(model)); /* for its ends */
	else if (status != STATUS_OK)
		assert(model_is_device_error(status) && direct_may_fail(model, node, operation, offset, bytes));
	else if (operation == BLOCK_READ)
		assert(model_is_expected(model, node, offset, memory, bytes));
	else
		model_expect(model, node, offset, memory, bytes);
	if (operation == BLOCK_WRITE && (model_is_device_error(status) || status == STATUS_NO_MEMORY) && !gone)
		settle_direct_write(model, node, offset, memory, bytes);
}
