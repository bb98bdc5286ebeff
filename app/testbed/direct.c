// SPDX-License-Identifier: BSD-2-Clause
/*
 * A ring of requests over one cursor: a request is cut where the cursor stands, and submitted as
 * soon as the oldest slot is free. So the device always has up to 32 requests, in order, whatever
 * the pieces of the buffers are.
 */
#include "direct.h"

#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "runtime/base/bits.h"
#include "runtime/base/block_device.h"
#include "runtime/base/completion.h"

#define SLOTS          32
#define SLOT_SEGMENTS  16
#define TRANSFER_BYTES (DIRECT_BYTES_MAX / SLOTS)

struct slot {
	struct block_request request;
	struct phys_range segments[SLOT_SEGMENTS];
	struct completion done;
	bool busy;
};

/* Where the next request begins. */
struct cursor {
	struct dma_buffer *const *buffers;
	uint64_t left;         /* buffers, the current one included */
	uint64_t buffer_bytes; /* of the current one, that no request has */
	uint32_t piece;
	uint64_t piece_offset;
};

const struct device *direct_device(const struct block_device *device)
{
	static const struct device any = { .name = "direct", .dma_mask = UINT64_MAX };

	return device->device ? device->device : &any;
}

static void cursor_init(struct cursor *cursor, struct dma_buffer *const *buffers, uint64_t count)
{
	*cursor = (struct cursor){ .buffers = buffers, .left = count };
	if (count > 0)
		cursor->buffer_bytes = buffers[0]->bytes;
}

static void cursor_advance(struct cursor *cursor, uint64_t bytes)
{
	cursor->piece_offset += bytes;
	cursor->buffer_bytes -= bytes;
	if (cursor->piece_offset == (*cursor->buffers)->pieces[cursor->piece].bytes) {
		cursor->piece++;
		cursor->piece_offset = 0;
	}
	if (cursor->buffer_bytes == 0) {
		cursor->buffers++;
		cursor->left--;
		cursor->piece = 0;
		cursor->piece_offset = 0;
		cursor->buffer_bytes = cursor->left > 0 ? (*cursor->buffers)->bytes : 0;
	}
}

/* Cuts the next request out of the current buffer and returns its length. */
static uint64_t slot_fill(struct slot *slot, const struct block_device *device, struct cursor *cursor)
{
	const uint32_t segments_max = MIN(device->segments_max, SLOT_SEGMENTS);
	const uint64_t bytes_max = align_down(MIN(device->transfer_bytes_max, TRANSFER_BYTES), device->sector_bytes);
	const struct dma_buffer *buffer = *cursor->buffers;
	uint64_t bytes = 0;
	uint32_t count = 0;

	while (count < segments_max && bytes < bytes_max && cursor->left > 0 && *cursor->buffers == buffer) {
		const struct phys_range *piece = &buffer->pieces[cursor->piece];
		const uint64_t rest = MIN(piece->bytes - cursor->piece_offset, cursor->buffer_bytes);
		const uint64_t length = MIN(rest, bytes_max - bytes);

		slot->segments[count++] = (struct phys_range){ { piece->start.value + cursor->piece_offset }, length };
		bytes += length;
		cursor_advance(cursor, length);
	}
	slot->request.segment_count = count;
	return bytes;
}

/* Runs in the driver's task, which may use no vector registers: nothing here but the signal. */
static void slot_done(struct block_request *request)
{
	completion_signal(&container_of(request, struct slot, request)->done);
}

static status_t slot_wait(struct slot *slot)
{
	if (!slot->busy)
		return STATUS_OK;
	(void)completion_wait(&slot->done, PLATFORM_FOREVER);
	slot->busy = false;
	return slot->request.status;
}

static void slot_submit(struct slot *slot, struct block_device *device, enum block_operation operation, uint64_t offset)
{
	slot->request.operation = operation;
	slot->request.offset_bytes = offset;
	slot->request.segments = slot->segments;
	slot->request.done = slot_done;
	completion_init(&slot->done);
	slot->busy = true;
	device->submit(device, &slot->request);
}

static status_t transfer(struct memory *memory, struct block_device *device, enum block_operation operation,
			 uint64_t offset_bytes, struct dma_buffer *const *buffers, uint64_t count)
{
	struct heap *heap = memory_general_heap(memory);
	struct slot *slots = heap_alloc(heap, SLOTS * sizeof(*slots), 0);
	status_t status = STATUS_OK, last;
	struct cursor cursor;
	unsigned next = 0;

	if (!slots)
		return STATUS_NO_MEMORY;
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i].busy = false;
	cursor_init(&cursor, buffers, count);
	for (; cursor.left > 0 && status == STATUS_OK; next = (next + 1) % SLOTS) {
		status = slot_wait(&slots[next]);
		if (status == STATUS_OK) {
			const uint64_t bytes = slot_fill(&slots[next], device, &cursor);

			slot_submit(&slots[next], device, operation, offset_bytes);
			offset_bytes += bytes;
		}
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		last = slot_wait(&slots[i]);
		if (status == STATUS_OK)
			status = last;
	}
	heap_free(heap, slots);
	return status;
}

status_t direct_read(struct memory *memory, struct block_device *device, uint64_t offset_bytes,
		     struct dma_buffer *const *buffers, uint64_t count)
{
	return transfer(memory, device, BLOCK_READ, offset_bytes, buffers, count);
}

status_t direct_write(struct memory *memory, struct block_device *device, uint64_t offset_bytes,
		      struct dma_buffer *const *buffers, uint64_t count)
{
	return transfer(memory, device, BLOCK_WRITE, offset_bytes, buffers, count);
}
