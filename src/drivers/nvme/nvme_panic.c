// SPDX-License-Identifier: BSD-2-Clause
/*
 * After a panic: the controller is disabled, which ends what was under way, and started anew with
 * the memory of its admin queue and its first I/O queue. Completions are polled, and no lock is
 * taken: all other CPUs stand still. In the end each controller hears that power may go, since the
 * user may switch the machine off while the report is read: it then saves what its cache and its
 * tables need.
 */
#include "nvme.h"
#include "runtime/base/bits.h"

#define ADMIN_NS        (5 * NS_PER_S)
#define SHUTDOWN_MAX_NS (5 * NS_PER_S)

/* STATUS_BUSY: none yet. */
static status_t completion_poll(struct nvme_ring *ring)
{
	struct nvme_completion completion;
	const enum nvme_ring_result result = nvme_ring_take(ring, &completion);

	if (result == NVME_RING_EMPTY)
		return STATUS_BUSY;
	nvme_ring_release(ring);
	return result == NVME_RING_TAKEN && completion.id == 0 ? nvme_status(completion.status) : STATUS_IO_ERROR;
}

static status_t admin_run(struct nvme *nvme, const struct nvme_command *command)
{
	const uint64_t deadline_ns = platform_now_ns() + ADMIN_NS;
	status_t status;

	nvme_ring_push(&nvme->admin.ring, command);
	nvme_ring_submit(&nvme->admin.ring);
	while ((status = completion_poll(&nvme->admin.ring)) == STATUS_BUSY) {
		if (platform_now_ns() > deadline_ns)
			return STATUS_TIMEOUT;
		platform_cpu_relax();
	}
	return status;
}

static status_t queue_open(struct nvme *nvme)
{
	/* One queue of each kind: a number from 0 on. */
	const struct nvme_command features = { .opcode = NVME_ADMIN_SET_FEATURES, .dwords = { NVME_FEATURE_QUEUES, 0 } };
	struct nvme_queue *queue = nvme_queue_at(&nvme->common, 0);
	struct nvme_command commands[2];
	status_t status = admin_run(nvme, &features);

	nvme_ring_reset(&queue->ring);
	nvme_queue_commands(queue, -1, commands);
	for (size_t i = 0; status == STATUS_OK && i < ARRAY_LENGTH(commands); i++)
		status = admin_run(nvme, &commands[i]);
	return status;
}

status_t nvme_take_over(struct disk_device *device)
{
	struct nvme *nvme = nvme_of(device);
	status_t status = nvme_registers_disable(nvme);

	if (status == STATUS_OK)
		status = nvme_registers_enable(nvme);
	if (status == STATUS_OK)
		status = queue_open(nvme);
	return status;
}

status_t nvme_queue_poll(struct disk_queue *disk_queue)
{
	return completion_poll(&container_of(disk_queue, struct nvme_queue, disk)->ring);
}

/* One that was not taken over may be in the middle of commands, which an abrupt shutdown ends. */
void nvme_panic_end(struct pci_function *function)
{
	struct nvme *nvme = nvme_of(function->driver_data);

	if (!nvme->common.gone)
		nvme_controller_shutdown(nvme, nvme->common.taken_over ? NVME_CC_SHUTDOWN_NORMAL : NVME_CC_SHUTDOWN_ABRUPT,
					 MIN(nvme->shutdown_ns, SHUTDOWN_MAX_NS));
}
