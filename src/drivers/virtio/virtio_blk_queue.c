// SPDX-License-Identifier: BSD-2-Clause
/*
 * A queue of a virtio disk: requests become tables of descriptors. Each slot has its own table,
 * header and status byte, allocated with the queue, and the slot's number is found in the ring's
 * entry: so a completion leads to its request without a search. Virtio 1.1, section 5.2.6.
 */
#include "virtio_blk_queue.h"

#include "runtime/base/bits.h"
#include "runtime/base/log.h"

#define SECTOR_SHIFT 9
#define HEADER_BYTES offsetof(struct virtio_blk_header, status)
#define TABLE_BYTES  (VIRTIO_BLK_DESCRIPTORS * sizeof(struct virtqueue_descriptor))
#define OVERHEAD     2 /* descriptors of a command beside its data: header and status */

/* Without indirect tables: descriptors of a command; several commands are worth more. */
#define SHARE_MAX 16
#define SHARE_MIN 4
#define SHARES    4

enum request_type {
	TYPE_READ = 0,
	TYPE_WRITE = 1,
	TYPE_FLUSH = 4,
	TYPE_GET_ID = 8,
};

enum request_status {
	REQUEST_OK = 0,
	REQUEST_FAILED = 1,
	REQUEST_UNSUPPORTED = 2,
	REQUEST_PENDING = 0xff, /* ours: the device has written nothing */
};

/*
 * The descriptors of a command, while they are being filled; the first one is the header. The
 * device may write to them, so what was written is not read back.
 */
struct table {
	struct virtqueue_descriptor *descriptors;
	unsigned first; /* number of descriptors[0], as the device counts */
	unsigned count;
	struct virtqueue_descriptor last;
};

static struct virtio_blk_header *header_of(const struct virtio_blk_queue *queue, unsigned slot)
{
	return (struct virtio_blk_header *)queue->headers.memory + slot;
}

static struct table table_of(const struct virtio_blk_queue *queue, unsigned slot)
{
	if (!queue->limits.indirect)
		return (struct table){ .descriptors = virtqueue_chain(&queue->ring, slot), .first = slot * queue->ring.share };
	return (struct table){ .descriptors = (void *)((char *)queue->tables.memory + slot * TABLE_BYTES) };
}

static void table_add(struct table *table, uint64_t address, uint32_t bytes, unsigned flags)
{
	const unsigned index = table->count++;

	if (index > 0) {
		table->last.flags |= VIRTQUEUE_DESCRIPTOR_NEXT;
		table->last.next = (uint16_t)(table->first + index);
		table->descriptors[index - 1] = table->last;
	}
	table->last = (struct virtqueue_descriptor){ address, bytes, (uint16_t)flags, 0 };
	table->descriptors[index] = table->last;
}

/*
 * Adds what comes next of the request, joined with what came before where memory goes on. False:
 * the command ends here.
 */
static bool table_extend(const struct virtio_blk_queue *queue, struct table *table, struct block_request *request,
			 unsigned flags)
{
	const struct phys_range piece = disk_peek(request);
	struct virtqueue_descriptor *last = &table->last;
	const bool joins = table->count > 1 && last->address + last->bytes == piece.start.value &&
			   last->bytes < queue->limits.segment_bytes_max;
	uint64_t bytes = MIN(piece.bytes, queue->limits.segment_bytes_max - (joins ? last->bytes : 0));

	if (bytes == 0)
		return false;
	if (joins)
		last->bytes += (uint32_t)bytes;
	else if (table->count <= queue->limits.segments_max)
		table_add(table, piece.start.value, (uint32_t)bytes, flags);
	else
		return false;
	disk_advance(request, (uint32_t)bytes);
	return true;
}

static void queue_fill(struct disk_queue *disk_queue, unsigned slot, struct block_request *request)
{
	static const uint32_t types[] = { TYPE_READ, TYPE_WRITE, TYPE_FLUSH };
	struct virtio_blk_queue *queue = container_of(disk_queue, struct virtio_blk_queue, disk);
	const unsigned data_flags = request->operation == BLOCK_READ ? VIRTQUEUE_DESCRIPTOR_WRITE : 0;
	const uint64_t header_address = queue->headers.address.value + slot * sizeof(struct virtio_blk_header);
	struct virtio_blk_header *header = header_of(queue, slot);
	struct table table = table_of(queue, slot);

	header->type = disk_target(request) == VIRTIO_BLK_IDENTIFY ? TYPE_GET_ID : types[request->operation];
	header->sector = 0;
	header->status = REQUEST_PENDING;
	table_add(&table, header_address, HEADER_BYTES, 0);
	if (request->operation != BLOCK_FLUSH) {
		header->sector = disk_position(request) >> SECTOR_SHIFT;
		while (table_extend(queue, &table, request, data_flags))
			;
	}
	table_add(&table, header_address + HEADER_BYTES, 1, VIRTQUEUE_DESCRIPTOR_WRITE);
	if (queue->limits.indirect)
		virtqueue_add_table(&queue->ring, slot, queue->tables.address.value + slot * TABLE_BYTES, table.count);
	else
		virtqueue_add(&queue->ring, slot);
}

static void queue_ring(struct disk_queue *disk_queue)
{
	virtqueue_submit(&container_of(disk_queue, struct virtio_blk_queue, disk)->ring);
}

void virtio_blk_queue_empty(struct disk_queue *disk_queue)
{
	struct virtio_blk_queue *queue = container_of(disk_queue, struct virtio_blk_queue, disk);

	virtqueue_reset(&queue->ring, queue->ring_memory.memory);
}

void virtio_blk_queue_init(struct virtio_blk_queue *queue, const char *name, uint64_t timeout_ns)
{
	const struct disk_queue_config config = {
		.name = name,
		.timeout_ns = timeout_ns,
		.activity = &queue->device->activity,
		.slot_count = queue->slots,
		.fill = queue_fill,
		.ring = queue_ring,
		.empty = virtio_blk_queue_empty,
	};

	disk_queue_init(&queue->disk, &config);
}

/*
 * Divides the descriptors among slots. No command is longer than the queue has entries, with
 * indirect tables either, section 2.6.5.3.1.
 */
static bool descriptors_divide(struct virtio_blk_queue *queue, unsigned entries_max)
{
	unsigned share = 1, entries = entries_max ? 1u << log2_floor(MIN(entries_max, VIRTIO_BLK_ENTRIES_MAX)) : 0;

	if (entries <= OVERHEAD)
		return false;
	if (queue->limits.indirect) {
		entries = MIN(entries, VIRTIO_BLK_DESCRIPTORS);
	} else {
		share = MIN(MAX(entries / SHARES, SHARE_MIN), SHARE_MAX);
	}
	queue->ring.entries = (uint16_t)entries;
	queue->ring.share = (uint16_t)share;
	queue->slots = MIN(entries / share, VIRTIO_BLK_SLOTS);
	queue->limits.segments_max = MIN(queue->limits.segments_max, (share > 1 ? share : entries) - OVERHEAD);
	return true;
}

static status_t memory_alloc(struct virtio_blk_queue *queue, struct dma *dma, const struct device *reader)
{
	status_t status = dma_coherent_alloc(dma, reader, virtqueue_layout(queue->ring.entries).bytes, 0, &queue->ring_memory);

	if (status == STATUS_OK && queue->limits.indirect)
		status = dma_coherent_alloc(dma, reader, queue->slots * TABLE_BYTES, TABLE_BYTES, &queue->tables);
	if (status == STATUS_OK)
		status = dma_coherent_alloc(dma, reader, queue->slots * sizeof(struct virtio_blk_header), 0, &queue->headers);
	return status;
}

status_t virtio_blk_queue_alloc(struct disk_device *device, unsigned index, unsigned entries_max,
				const struct virtio_blk_limits *limits)
{
	struct virtio_blk_queue *queue = heap_alloc(driver_heap(device->function), sizeof(*queue), 0);
	status_t status = STATUS_UNSUPPORTED;

	if (!queue)
		return STATUS_NO_MEMORY;
	*queue = (struct virtio_blk_queue){ .ring.index = (uint16_t)index, .device = device, .limits = *limits };
	if (descriptors_divide(queue, entries_max))
		status = memory_alloc(queue, device->environment->dma, &device->function->device);
	else
		log_error("%s: queue %u has %u entries, which is too few for a command", device->name, index, entries_max);
	if (status != STATUS_OK) {
		virtio_blk_queue_free(queue);
		return status;
	}
	virtqueue_reset(&queue->ring, queue->ring_memory.memory);
	virtio_blk_queue_init(queue, device->name, device->timeout_ns);
	device->queues[index] = &queue->disk;
	return STATUS_OK;
}

void virtio_blk_queue_free(struct virtio_blk_queue *queue)
{
	struct dma *dma = queue->device->environment->dma;

	dma_coherent_free(dma, &queue->ring_memory);
	dma_coherent_free(dma, &queue->tables);
	dma_coherent_free(dma, &queue->headers);
	heap_free(driver_heap(queue->device->function), queue);
}

static status_t slot_status(struct virtio_blk_queue *queue, unsigned slot, struct disk_failures *failures)
{
	const uint8_t status = *(volatile uint8_t *)&header_of(queue, slot)->status;

	if (status == REQUEST_OK)
		return STATUS_OK;
	disk_failure_note(failures, queue->device->name, disk_queue_request_locked(&queue->disk, slot), status);
	return status == REQUEST_UNSUPPORTED ? STATUS_UNSUPPORTED : STATUS_IO_ERROR;
}

status_t virtio_blk_queue_poll(struct disk_queue *disk_queue)
{
	struct virtio_blk_queue *queue = container_of(disk_queue, struct virtio_blk_queue, disk);
	unsigned slot;
	const enum virtqueue_result result = virtqueue_take(&queue->ring, &slot);

	if (result == VIRTQUEUE_EMPTY)
		return STATUS_BUSY;
	if (result == VIRTQUEUE_BROKEN || slot != 0)
		return STATUS_IO_ERROR;
	return *(volatile uint8_t *)&header_of(queue, 0)->status == REQUEST_OK ? STATUS_OK : STATUS_IO_ERROR;
}

/* False: there was none. A device that makes no sense is stopped, and will be reset. */
static bool completion_take(struct virtio_blk_queue *queue, struct list *done, struct disk_failures *failures)
{
	unsigned slot;
	const enum virtqueue_result result = virtqueue_take(&queue->ring, &slot);

	if (result == VIRTQUEUE_EMPTY)
		return false;
	if (result == VIRTQUEUE_BROKEN || !disk_queue_request_locked(&queue->disk, slot)) {
		disk_queue_distrust_locked(&queue->disk);
		disk_device_request_reset(queue->device, result == VIRTQUEUE_BROKEN
								 ? "its used ring makes no sense"
								 : "completed a command that it does not have");
		return false;
	}
	disk_queue_complete_locked(&queue->disk, slot, slot_status(queue, slot, failures), done);
	return true;
}

void virtio_blk_queue_process(struct disk_queue *disk_queue)
{
	struct virtio_blk_queue *queue = container_of(disk_queue, struct virtio_blk_queue, disk);
	struct disk_failures failures = { .count = 0 };
	struct list done;

	list_init(&done);
	for (bool live = disk_queue_enter(&queue->disk); live; live = disk_queue_is_live_locked(&queue->disk)) {
		virtqueue_interrupts_off(&queue->ring);
		while (completion_take(queue, &done, &failures))
			;
		disk_queue_pump_locked(&queue->disk);
		if (!virtqueue_interrupts_on(&queue->ring))
			break;
	}
	disk_queue_leave(&queue->disk);
	disk_failures_log(&failures, &queue->device->errors);
	disk_requests_finish(&done);
}
