// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio block devices; virtio 1.1, section 5.2. One queue for each CPU where the device offers several.
 *
 * 1. Each slot of a queue has a table of descriptors of its own, so nothing is allocated for a request.
 * 2. A device that answers what cannot be, asks for a reset, or lets a command wait too long, is reset; its requests go on
 *    afterwards, or end with STATUS_TIMEOUT after too many resets. One that cannot be reset loses the right to DMA and is gone.
 * 3. Requests complete only when the device is done with their memory.
 *
 * Lock: each queue has its own [Q].
 */
#pragma once

#include "disk_device.h"
#include "heap/dma.h"
#include "virtio_pci.h"

#define VIRTIO_BLK_SLOTS       64
#define VIRTIO_BLK_DESCRIPTORS 256 /* in the table of a slot: a page; two are for header and status */

/* What the device reads, and where it writes how it went. */
struct virtio_blk_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector; /* of 512 bytes */
	uint8_t status;
	uint8_t padding[15];
};

struct virtio_blk;

struct virtio_blk_queue {
	struct disk_queue disk;
	struct virtqueue ring; /* [Q], except virtqueue_interrupts_off */
	struct dma_coherent ring_memory, tables, headers;
	struct virtio_blk *disk_device; /* [I] */
	uint32_t segment_bytes_max;     /* [I] of one descriptor */
	unsigned segments_max;          /* [I] of one command */
};

struct virtio_blk {
	struct disk_device common;
	struct block_device block;
	struct virtio virtio;
	uint32_t segment_bytes_max; /* [I] */
	unsigned segments_max;      /* [I] */
	bool identifying;           /* probe: what is read is the serial number */
};

static inline struct virtio_blk *virtio_blk_of(struct disk_device *device)
{
	return container_of(device, struct virtio_blk, common);
}

static inline struct virtio_blk_queue *virtio_blk_queue_at(const struct virtio_blk *disk, unsigned index)
{
	return container_of(disk->common.queues[index], struct virtio_blk_queue, disk);
}

/* virtio_blk_queue.c */
status_t virtio_blk_queue_alloc(struct virtio_blk *disk, unsigned index) MUST_CHECK;
void virtio_blk_queue_free(struct virtio_blk *disk, struct virtio_blk_queue *queue);
void virtio_blk_queue_init(struct virtio_blk_queue *queue, const char *name, uint64_t timeout_ns);
void virtio_blk_queue_empty(struct disk_queue *queue); /* [Q], or after a panic */
void virtio_blk_queue_process(struct disk_queue *queue);
status_t virtio_blk_queue_poll(struct disk_queue *queue) MUST_CHECK; /* after a panic */
