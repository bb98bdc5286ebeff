// SPDX-License-Identifier: BSD-2-Clause
/*
 * A queue of a virtio block device: a disk queue in front of a virtqueue. It knows the disk's
 * device, but not how that is reached. Lock: that of its disk queue, [Q].
 */
#pragma once

#include "drivers/disk_device.h"
#include "heap/dma/dma.h"
#include "virtqueue.h"

#define VIRTIO_BLK_SLOTS       64
#define VIRTIO_BLK_ENTRIES_MAX 1024
#define VIRTIO_BLK_DESCRIPTORS 256 /* in the table of a slot: a page; two are for header and status */

/* The target of a request. */
enum {
	VIRTIO_BLK_DATA,
	VIRTIO_BLK_IDENTIFY, /* what is read is the serial number */
};

/* What the device reads, and where it writes how it went. */
struct virtio_blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector; /* of 512 bytes */
	uint8_t status;
	uint8_t padding[15];
};

struct virtio_blk_limits {
	uint32_t segment_bytes_max; /* of one descriptor */
	unsigned segments_max;      /* of one command */
	bool indirect;              /* the device reads tables of descriptors */
};

struct virtio_blk_queue {
	struct disk_queue disk;
	struct virtqueue ring; /* [Q], except virtqueue_interrupts_off */
	struct dma_coherent ring_memory, headers;
	struct dma_coherent tables;      /* [I] indirect ones; or nothing */
	struct disk_device *device;      /* [I] */
	struct virtio_blk_limits limits; /* [I] as the queue's size allows */
	unsigned slots;                  /* [I] */
};

static inline struct virtio_blk_queue *virtio_blk_queue_at(const struct disk_device *device, unsigned index)
{
	return container_of(device->queues[index], struct virtio_blk_queue, disk);
}

/*
 * The device's queue of that index, with at most so many entries. STATUS_UNSUPPORTED: too few for a
 * command.
 */
status_t virtio_blk_queue_alloc(struct disk_device *device, unsigned index, unsigned entries_max,
				const struct virtio_blk_limits *limits) MUST_CHECK;
void virtio_blk_queue_free(struct virtio_blk_queue *queue);
void virtio_blk_queue_init(struct virtio_blk_queue *queue, const char *name, uint64_t timeout_ns);
void virtio_blk_queue_empty(struct disk_queue *queue); /* [Q], or after a panic */
void virtio_blk_queue_process(struct disk_queue *queue);
status_t virtio_blk_queue_poll(struct disk_queue *queue) MUST_CHECK; /* after a panic */
