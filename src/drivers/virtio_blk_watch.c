// SPDX-License-Identifier: BSD-2-Clause
/*
 * What happens when a virtio disk does not do as it should: a command that is late is looked for
 * once more, and then the device is reset, or given up. Runs in the disk's watch task alone, so no
 * two resets meet.
 */
#include "runtime/base/log.h"
#include "virtio_blk.h"

void virtio_blk_complain(struct virtio_blk *disk, const char *complaint)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&disk->complaint, &none, complaint))
		disk_watch_alarm(&disk->watch);
}

static bool queue_is_late(struct virtio_blk_queue *queue)
{
	bool late;

	spinlock_lock(&queue->disk.lock);
	late = disk_queue_late_locked(&queue->disk, platform_now_ns()) < queue->disk.slot_count;
	spinlock_unlock(&queue->disk.lock);
	return late;
}

static void queue_look(struct virtio_blk *disk, struct virtio_blk_queue *queue)
{
	if (!queue_is_late(queue))
		return;
	virtio_blk_queue_process(queue); /* its interrupt may have been lost */
	if (queue_is_late(queue))
		virtio_blk_complain(disk, "a command takes too long");
}

static void give_up(struct virtio_blk *disk)
{
	struct list done;

	list_init(&done);
	pci_stop_dma(disk->virtio.function);
	disk->gone = true;
	atomic_store(&disk->block.gone, true);
	log_error("%s: the device is given up", disk->name);
	for (unsigned i = 0; i < disk->queue_count; i++)
		disk_queue_fail(&disk->queues[i]->disk, &done);
	disk_requests_finish(&done);
}

/* The device has forgotten everything, and does no DMA. */
static void queues_recall(struct virtio_blk *disk, struct list *done)
{
	for (unsigned i = 0; i < disk->queue_count; i++) {
		struct virtio_blk_queue *queue = disk->queues[i];

		disk_queue_recall(&queue->disk, done);
		spinlock_lock(&queue->disk.lock);
		virtqueue_reset(&queue->ring, queue->ring_memory.memory);
		spinlock_unlock(&queue->disk.lock);
	}
}

static void reset(struct virtio_blk *disk)
{
	struct list done;
	status_t status;

	list_init(&done);
	disk->resets++;
	log_warn("%s: reset %u: %s", disk->name, disk->resets, atomic_load(&disk->complaint));
	for (unsigned i = 0; i < disk->queue_count; i++)
		disk_queue_stop(&disk->queues[i]->disk);
	atomic_fetch_add(&disk->block.cache_losses, 1);
	status = virtio_reset(&disk->virtio);
	if (status == STATUS_OK) {
		queues_recall(disk, &done);
		atomic_store(&disk->complaint, NULL);
		status = virtio_blk_start(disk);
	}
	disk_requests_finish(&done);
	if (status != STATUS_OK) {
		give_up(disk);
		return;
	}
	for (unsigned i = 0; i < disk->queue_count; i++) {
		disk_queue_start(&disk->queues[i]->disk);
		virtio_blk_queue_process(disk->queues[i]); /* interrupts may be off since one came while it was stopped */
	}
	log_info("%s: goes on after the reset", disk->name);
}

void virtio_blk_watch_look(struct disk_watch *watch)
{
	struct virtio_blk *disk = container_of(watch, struct virtio_blk, watch);

	if (disk->gone)
		return;
	if (virtio_is_broken(&disk->virtio))
		virtio_blk_complain(disk, "it asks for a reset, or is gone");
	for (unsigned i = 0; i < disk->queue_count && !atomic_load(&disk->complaint); i++)
		queue_look(disk, disk->queues[i]);
	if (atomic_load(&disk->complaint))
		reset(disk);
}
