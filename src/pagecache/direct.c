// SPDX-License-Identifier: BSD-2-Clause
/*
 * I/O past the cache, between a device and memory of the caller. Before it, dirty pages of the
 * range are written; whole pages that a write covers leave the cache before and after it, and parts
 * of pages go through the cache. A loss of the device's cache in between makes a read start again.
 */
#include "direct.h"

#include "pagecache/page/exclusive.h"
#include "pagecache/page/io.h"
#include "pagecache/writeback/writeback.h"
#include "runtime/base/bits.h"

/* The most segments of one request to the device. */
#define PARTS_MAX 16

static status_t check(const struct node *node, enum block_operation operation, uint64_t offset,
		      const struct phys_range *segments, uint32_t count, uint64_t *bytes)
{
	const struct block_device *device = node->volume->device;

	if (operation == BLOCK_FLUSH || !is_aligned(offset, device->sector_bytes))
		return STATUS_INVALID;
	*bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (!is_aligned(segments[i].bytes, device->sector_bytes) ||
		    !is_aligned(segments[i].start.value | segments[i].bytes, device->segment_alignment))
			return STATUS_INVALID;
		if (*bytes + segments[i].bytes < *bytes)
			return STATUS_RANGE;
		*bytes += segments[i].bytes;
	}
	if (node_check_range(node, offset, *bytes) != STATUS_OK)
		return STATUS_RANGE;
	return operation == BLOCK_WRITE ? node_check_writable(node) : STATUS_OK;
}

/* How far a transfer has got. */
struct cursor {
	const struct phys_range *segments;
	uint32_t index;
	uint64_t skip; /* bytes of segments[index] that are done */
};

/* Takes the next parts of the segments, at most `most` bytes. */
static uint32_t next_parts(struct cursor *cursor, uint64_t most, uint32_t parts_max, struct phys_range *parts, uint64_t *bytes)
{
	uint32_t count = 0;

	for (*bytes = 0; *bytes < most && count < parts_max;) {
		const struct phys_range *segment = &cursor->segments[cursor->index];
		const uint64_t part = MIN(segment->bytes - cursor->skip, most - *bytes);

		if (part > 0)
			parts[count++] = (struct phys_range){ { segment->start.value + cursor->skip }, part };
		*bytes += part;
		cursor->skip += part;
		if (cursor->skip == segment->bytes) {
			cursor->index++;
			cursor->skip = 0;
		}
	}
	return count;
}

/* Transfers the range; it was done up to *end. */
static status_t transfer(struct node *node, enum block_operation operation, uint64_t offset, uint64_t bytes,
			 struct cursor *cursor, uint64_t *end)
{
	struct block_device *device = node->volume->device;
	const uint64_t most = align_down(device->transfer_bytes_max, device->sector_bytes);
	struct phys_range parts[PARTS_MAX];
	status_t status = STATUS_OK;

	for (*end = offset; bytes > 0 && status == STATUS_OK; bytes -= *end - offset, offset = *end) {
		const uint64_t run_bytes = node_run_end(node, offset / PAGE_BYTES) * PAGE_BYTES - offset;
		const uint64_t piece = MIN(MIN(bytes, most), run_bytes);
		const uint64_t position = node_position(node, offset / PAGE_BYTES) + offset % PAGE_BYTES;
		uint64_t done;
		const uint32_t count = next_parts(cursor, piece, MIN(device->segments_max, (uint32_t)PARTS_MAX), parts, &done);

		status = block_device_transfer(device, operation, position + node->volume->start_bytes, parts, count);
		*end += status == STATUS_OK ? done : 0;
	}
	return status;
}

static void note_written(struct node *node, uint64_t offset, uint64_t end, uint64_t losses)
{
	while (offset < end) {
		const uint64_t number = offset / PAGE_BYTES, run_end = MIN(end, node_run_end(node, number) * PAGE_BYTES);

		volume_note_written(node->volume, node_position(node, number) + offset % PAGE_BYTES, run_end - offset, losses);
		offset = run_end;
	}
}

/*
 * Writes a dirty page, and waits. A write by another task may have failed because of another page
 * in its request, so only a write of this task's own counts.
 */
static status_t write_dirty_page(struct node *node, uint64_t number)
{
	struct index *index = &node->volume->pagecache->pages.index;
	const uint64_t key = page_key_make(node->id, number);
	uint64_t losses = 0;
	bool tried = false;
	uint32_t state;

	for (;;) {
		/* Before the state, as in index.c. */
		const struct lookup lookup = { .changes = atomic_load(&index_stripe(index, key)->changes) };
		struct page *page = index_find(index, key, &state);

		if (!page_is_newer(state))
			return STATUS_OK;
		if (page_is(state, PAGE_WRITEBACK)) {
			(void)platform_wait(&page->state, state, PLATFORM_FOREVER);
		} else if (tried && (state & PAGE_FAILED)) {
			return atomic_load(&node->volume->writeback.write_status);
		} else if (tried && losses == written_losses(node->volume)) {
			return STATUS_OK; /* it was written, and a writer has come since */
		} else if (page_is(state, PAGE_WRITING)) {
			index_wait(index, key, &lookup);
		} else {
			losses = written_losses(node->volume);
			tried = writeback_start_range(node, number, number + 1, false);
		}
	}
}

/*
 * Writes the dirty pages of the range, so that the device reads them back, without making them
 * durable. All writes are started before it waits for the first.
 */
static status_t write_dirty(struct node *node, uint64_t offset, uint64_t bytes)
{
	const uint64_t end = divide_round_up(offset + bytes, PAGE_BYTES);
	status_t status = STATUS_OK;

	written_settle(node->volume); /* pages that the device has lost are dirty again */
	if (atomic_load(&node->volume->counts.dirty_pages) == 0)
		return STATUS_OK;
	(void)writeback_start_range(node, offset / PAGE_BYTES, end, false);
	for (uint64_t number = offset / PAGE_BYTES; number < end && status == STATUS_OK; number++)
		status = write_dirty_page(node, number);
	return status;
}

/*
 * Writes a part of a page through the cache: other tasks may write to the rest of the page
 * meanwhile, which must not be discarded.
 */
static status_t write_part(struct node *node, uint64_t offset, uint64_t bytes, struct cursor *cursor)
{
	status_t status = STATUS_OK;

	while (bytes > 0 && status == STATUS_OK) {
		struct phys_range part;
		uint64_t done;

		(void)next_parts(cursor, bytes, 1, &part, &done);
		if (done > 0)
			status = node_write(node, offset, platform_virt(part.start), done);
		offset += done;
		bytes -= done;
	}
	return status;
}

/*
 * Writes whole pages, or up to the end of the node. A reader may bring an old page back into the
 * cache meanwhile, and a loss may make it dirty, so that it is written over this write: so a loss
 * since the first discard counts, and no range is noted as written before the second discard.
 */
static status_t write_whole(struct node *node, uint64_t offset, uint64_t bytes, struct cursor *cursor)
{
	const uint64_t losses = written_losses(node->volume);
	status_t status = node_discard(node, offset, bytes);
	uint64_t end = offset;

	if (status == STATUS_OK)
		status = transfer(node, BLOCK_WRITE, offset, bytes, cursor, &end);
	const status_t forgotten = node_discard(node, offset, bytes);
	note_written(node, offset, end, losses);
	return status == STATUS_OK ? forgotten : status;
}

static status_t direct_write(struct node *node, uint64_t offset, uint64_t bytes, struct cursor *cursor)
{
	const uint64_t end = offset + bytes;
	const uint64_t first = MIN(align_up(offset, PAGE_BYTES), end);
	const uint64_t last = end == node->bytes ? end : MAX(align_down(end, PAGE_BYTES), first);
	status_t status = write_part(node, offset, first - offset, cursor);

	if (status == STATUS_OK && last > first)
		status = write_whole(node, first, last - first, cursor);
	if (status == STATUS_OK)
		status = write_part(node, last, end - last, cursor);
	return status;
}

/*
 * Reads the range. If the device loses a dirty page that was written for this, the read may have
 * got old data: the page is written and the range read once more.
 */
static status_t direct_read(struct node *node, uint64_t offset, uint64_t bytes, const struct cursor *start)
{
	uint64_t losses, end;
	status_t status;

	do {
		struct cursor cursor = *start;

		losses = written_losses(node->volume);
		status = write_dirty(node, offset, bytes);
		if (status == STATUS_OK)
			status = transfer(node, BLOCK_READ, offset, bytes, &cursor, &end);
	} while (status == STATUS_OK && losses != written_losses(node->volume));
	return status;
}

status_t node_direct(struct node *node, enum block_operation operation, uint64_t offset, const struct phys_range *segments,
		     uint32_t segment_count)
{
	struct cursor cursor = { .segments = segments };
	uint64_t bytes;
	status_t status = check(node, operation, offset, segments, segment_count, &bytes);

	if (status != STATUS_OK || bytes == 0)
		return status;
	if (operation == BLOCK_READ)
		return direct_read(node, offset, bytes, &cursor);
	/*
	 * The pages that the write covers are discarded; a write that fails must not leave older
	 * data behind.
	 */
	status = write_dirty(node, offset, bytes);
	if (status != STATUS_OK)
		return status;
	status = direct_write(node, offset, bytes, &cursor);
	return status == STATUS_OK ? write_dirty(node, offset, bytes) : status;
}
