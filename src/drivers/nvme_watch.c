// SPDX-License-Identifier: BSD-2-Clause
/*
 * What happens when a controller does not do as it should. Runs in the controller's watch task alone.
 *
 *	command late --> its completion is looked for --> Abort --> reset
 *	fatal status, nonsense in a completion, no answer to an admin command --> reset
 *	reset fails, or the controller is not there any more --> gone
 */
#include "nvme.h"
#include "registers.h"
#include "runtime/base/log.h"

#define ABORT_SHARE 4 /* an aborted command gets this part of its time again */

void nvme_complain(struct nvme *nvme, const char *complaint)
{
	const char *none = NULL;

	if (atomic_compare_exchange_strong(&nvme->complaint, &none, complaint))
		disk_watch_alarm(&nvme->watch);
}

/* Takes the late command of a queue in hand. False: none is late. */
static bool late_take(struct nvme_queue *queue, unsigned *slot, bool *aborted)
{
	bool late;

	spinlock_lock(&queue->disk.lock);
	*slot = disk_queue_late_locked(&queue->disk, platform_now_ns());
	late = queue->disk.state == DISK_QUEUE_LIVE && *slot < queue->disk.slot_count;
	if (late) {
		*aborted = queue->disk.slots[*slot].aborted;
		queue->disk.slots[*slot].aborted = true;
		queue->disk.slots[*slot].deadline_ns = platform_now_ns() + queue->disk.timeout_ns / ABORT_SHARE;
	}
	spinlock_unlock(&queue->disk.lock);
	return late;
}

static void queue_look(struct nvme *nvme, struct nvme_queue *queue)
{
	unsigned slot;
	bool aborted;

	spinlock_lock(&queue->disk.lock);
	slot = disk_queue_late_locked(&queue->disk, platform_now_ns());
	spinlock_unlock(&queue->disk.lock);
	if (slot == queue->disk.slot_count)
		return;
	nvme_queue_process(queue); /* its interrupt may have been lost */
	while (!atomic_load(&nvme->complaint) && late_take(queue, &slot, &aborted)) {
		if (aborted) {
			nvme_complain(nvme, "a command was aborted and does not end");
			return;
		}
		log_warn("%s: command %u of queue %u takes too long; aborting it", nvme->name, slot, queue->ring.id);
		if (nvme_admin_abort(nvme, queue->ring.id, slot) != STATUS_OK)
			nvme_complain(nvme, "no answer to Abort");
	}
}

/* Whether the controller can be told to shut down before it is disabled. */
static bool is_sane(struct nvme *nvme)
{
	return (register_read32(nvme->registers, NVME_CSTS) & (NVME_CSTS_FATAL | NVME_CSTS_READY)) == NVME_CSTS_READY;
}

static void status_look(struct nvme *nvme)
{
	const uint32_t status = register_read32(nvme->registers, NVME_CSTS);

	if (status == NVME_CSTS_ABSENT)
		nvme_complain(nvme, "it is not there any more");
	else if (status & NVME_CSTS_FATAL)
		nvme_complain(nvme, "fatal status");
	else if (!(status & NVME_CSTS_READY))
		nvme_complain(nvme, "it is not ready any more");
}

/* The controller has lost its memory, and does no DMA. */
static void queues_recall(struct nvme *nvme, struct list *done)
{
	for (unsigned i = 0; i < nvme->queue_count; i++) {
		struct nvme_queue *queue = nvme->queues[i];

		disk_queue_recall(&queue->disk, done);
		spinlock_lock(&queue->disk.lock);
		nvme_ring_reset(&queue->ring);
		spinlock_unlock(&queue->disk.lock);
	}
}

static void give_up(struct nvme *nvme)
{
	struct list done;

	list_init(&done);
	pci_stop_dma(nvme->function);
	nvme->gone = true;
	for (unsigned i = 0; i < nvme->namespace_count; i++)
		atomic_store(&nvme->namespaces[i]->block.gone, true);
	log_error("%s: the controller is given up", nvme->name);
	for (unsigned i = 0; i < nvme->queue_count; i++)
		disk_queue_fail(&nvme->queues[i]->disk, &done);
	disk_requests_finish(&done);
}

static void reset(struct nvme *nvme)
{
	struct list done;
	status_t status;

	list_init(&done);
	nvme->resets++;
	log_warn("%s: reset %u: %s", nvme->name, nvme->resets, atomic_load(&nvme->complaint));
	atomic_store(&nvme->quiet, true);
	for (unsigned i = 0; i < nvme->queue_count; i++)
		disk_queue_stop(&nvme->queues[i]->disk);
	for (unsigned i = 0; i < nvme->namespace_count; i++)
		atomic_fetch_add(&nvme->namespaces[i]->block.cache_losses, 1);
	if (is_sane(nvme))
		nvme_queues_delete(nvme);
	status = nvme_controller_disable(nvme);
	if (status == STATUS_OK) {
		queues_recall(nvme, &done);
		atomic_store(&nvme->complaint, NULL);
		status = nvme_controller_enable(nvme);
	}
	if (status == STATUS_OK)
		status = nvme_queues_create(nvme);
	disk_requests_finish(&done);
	if (status != STATUS_OK) {
		give_up(nvme);
		return;
	}
	for (unsigned i = 0; i < nvme->queue_count; i++)
		disk_queue_start(&nvme->queues[i]->disk);
	atomic_store(&nvme->quiet, false);
	nvme_line_unmask(nvme);
	log_info("%s: goes on after the reset", nvme->name);
}

void nvme_watch_look(struct disk_watch *watch)
{
	struct nvme *nvme = container_of(watch, struct nvme, watch);

	if (nvme->gone)
		return;
	status_look(nvme);
	for (unsigned i = 0; i < nvme->queue_count && !atomic_load(&nvme->complaint); i++)
		queue_look(nvme, nvme->queues[i]);
	if (atomic_load(&nvme->complaint))
		reset(nvme);
}
