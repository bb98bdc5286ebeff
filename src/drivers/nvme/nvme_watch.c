// SPDX-License-Identifier: BSD-2-Clause
/*
 * What happens when a controller does not do as it should. Runs in the controller's watch task
 * alone.
 *
 *	command late --> its completion is looked for --> Abort --> reset
 *	fatal status, nonsense in a completion, no answer to an admin command --> reset
 *	reset fails, or the controller is not there any more --> gone
 */
#include "nvme.h"
#include "drivers/registers.h"
#include "runtime/base/log.h"

void nvme_late(struct disk_device *device, struct disk_queue *queue)
{
	const unsigned id = container_of(queue, struct nvme_queue, disk)->ring.id;
	unsigned slot;
	bool aborted;

	while (!atomic_load(&device->reset_reason) && disk_queue_choose_late(queue, &slot, &aborted)) {
		if (aborted) {
			disk_device_request_reset(device, "a command was aborted and does not end");
			return;
		}
		log_warn("%s: command %u of queue %u takes too long; aborting it", device->name, slot, id);
		if (nvme_admin_abort(nvme_of(device), id, slot) != STATUS_OK)
			disk_device_request_reset(device, "no answer to Abort");
	}
}

/* Whether the controller can be told to shut down before it is disabled. */
static bool is_sane(struct nvme *nvme)
{
	return (register_read32(nvme->registers, NVME_CSTS) & (NVME_CSTS_FATAL | NVME_CSTS_READY)) == NVME_CSTS_READY;
}

void nvme_look(struct disk_device *device)
{
	const uint32_t status = register_read32(nvme_of(device)->registers, NVME_CSTS);

	if (status == NVME_CSTS_ABSENT)
		disk_device_request_reset(device, "it is not there any more");
	else if (status & NVME_CSTS_FATAL)
		disk_device_request_reset(device, "fatal status");
	else if (!(status & NVME_CSTS_READY))
		disk_device_request_reset(device, "it is not ready any more");
	else
		nvme_events_look(nvme_of(device));
}

status_t nvme_halt(struct disk_device *device)
{
	if (is_sane(nvme_of(device)))
		nvme_queues_delete(nvme_of(device));
	return nvme_controller_disable(nvme_of(device));
}

status_t nvme_restart(struct disk_device *device)
{
	status_t status = nvme_controller_enable(nvme_of(device));

	if (status == STATUS_OK)
		status = nvme_queues_create(nvme_of(device));
	if (status == STATUS_OK)
		nvme_events_start(nvme_of(device));
	return status;
}
