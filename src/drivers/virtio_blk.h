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

#include "disk_queue.h"
#include "disk_watch.h"
#include "driver.h"
#include "heap/dma.h"
#include "runtime/kernel/deferred.h"
#include "virtio_pci.h"

#define VIRTIO_BLK_NAME_BYTES  16
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

struct virtio_blk_vector {
	struct interrupt interrupt;
	struct deferred deferred;
	struct virtio_blk *disk_device;
	char name[2 * VIRTIO_BLK_NAME_BYTES];
	unsigned index;
};

struct virtio_blk {
	struct block_device block;
	struct virtio virtio;
	const struct driver_environment *environment;       /* [I] */
	unsigned index;                                     /* [I] */
	char name[VIRTIO_BLK_NAME_BYTES];                   /* [I] */
	uint64_t timeout_ns;                                /* [I] */
	uint32_t segment_bytes_max;                         /* [I] */
	unsigned segments_max;                              /* [I] */
	struct virtio_blk_queue *queues[PLATFORM_CPUS_MAX]; /* [I] */
	unsigned queue_count;                               /* [I] */
	struct virtio_blk_vector vectors[PLATFORM_CPUS_MAX];
	unsigned vector_count; /* [I] */
	bool identifying;      /* probe: what is read is the serial number */
	struct disk_watch watch;
	const char *_Atomic complaint; /* [a] why it must be reset; NULL: all is well */
	bool gone;                     /* watch task */
	unsigned resets;               /* watch task */
	_Atomic unsigned errors;       /* [a] failed commands */
	struct disk_activity activity; /* [a] */
};

/* virtio_blk.c: after a reset of the device: features, queues, ready. */
status_t virtio_blk_start(struct virtio_blk *disk) MUST_CHECK;

/* virtio_blk_queue.c */
status_t virtio_blk_queue_alloc(struct virtio_blk *disk, unsigned index, struct virtio_blk_queue **result) MUST_CHECK;
void virtio_blk_queue_free(struct virtio_blk *disk, struct virtio_blk_queue *queue);
void virtio_blk_queue_init(struct virtio_blk_queue *queue, const char *name, uint64_t timeout_ns);
void virtio_blk_queue_process(struct virtio_blk_queue *queue);

/* virtio_blk_watch.c */
void virtio_blk_watch_look(struct disk_watch *watch);
void virtio_blk_complain(struct virtio_blk *disk, const char *complaint); /* the device must be reset. Any context */
