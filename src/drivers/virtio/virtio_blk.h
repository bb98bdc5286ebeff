// SPDX-License-Identifier: BSD-2-Clause
/*
 * virtio block devices; virtio 1.1, section 5.2. One queue for each CPU where the device offers
 * several.
 *
 * 1. Each slot of a queue has descriptors of its own, so nothing is allocated for a request; how
 *    many depends on whether the device reads indirect tables (virtqueue.h).
 * 2. A device that answers what cannot be, asks for a reset, or lets a command wait too long, is
 *    reset; its requests go on afterwards, or end with STATUS_TIMEOUT after too many resets. One
 *    that cannot be reset loses the right to DMA and is gone.
 * 3. Requests complete only when the device is done with their memory.
 *
 * Lock: each queue has its own [Q].
 */
#pragma once

#include "virtio_blk_queue.h"
#include "virtio_pci.h"

struct virtio_blk {
	struct disk_device common;
	struct block_device block;
	struct virtio virtio;
	struct virtio_blk_limits limits; /* [I] */
	bool identifying;                /* probe: what is read is the serial number */
};

static inline struct virtio_blk *virtio_blk_of(struct disk_device *device)
{
	return container_of(device, struct virtio_blk, common);
}
