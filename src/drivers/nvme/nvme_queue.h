// SPDX-License-Identifier: BSD-2-Clause
/*
 * An I/O queue of an NVMe controller: a disk queue in front of a ring. It knows the disk's device
 * and its namespaces, but not the controller. Lock: that of its disk queue, [Q].
 */
#pragma once

#include "drivers/disk_device.h"
#include "heap/dma/dma.h"
#include "nvme_ring.h"

/* PRP entries: one in the command, or a list of these. */
#define NVME_LIST_ENTRIES  256
#define NVME_LIST_BYTES    (NVME_LIST_ENTRIES * 8ull)
#define NVME_QUEUE_ENTRIES 64 /* a page of commands */
#define NVME_TRIES_MAX     3  /* of a command whose errors are not final */

/* Memory of a ring. */
struct nvme_ring_memory {
	struct dma_coherent submissions, completions;
};

struct nvme_queue {
	struct disk_queue disk;
	struct nvme_ring ring; /* [Q] */
	struct nvme_ring_memory memory;
	struct dma_coherent lists;                        /* [I] PRP lists, one for each slot */
	struct nvme_command commands[NVME_QUEUE_ENTRIES]; /* [Q] of the slots, to be given once more */
	uint8_t tries[NVME_QUEUE_ENTRIES];                /* [Q] of those commands, so far */
	uint64_t page_bytes;                              /* [I] the controller's, for PRPs */
	uint32_t command_bytes_max;                       /* [I] that one command can transfer */
	struct disk_device *device;                       /* [I] */
};

static inline struct nvme_queue *nvme_queue_at(const struct disk_device *device, unsigned index)
{
	return container_of(device->queues[index], struct nvme_queue, disk);
}

/* Stopped. All but `disk` is there. */
void nvme_queue_init(struct nvme_queue *queue, const char *name, uint64_t timeout_ns);
void nvme_queue_process(struct disk_queue *queue);

/* What the status of a completion means. */
status_t nvme_status(uint16_t status);

/*
 * Whether the same command may succeed now: the status does not say "do not retry", and no Abort of
 * ours ended the command.
 */
bool nvme_status_is_passing(uint16_t status);
