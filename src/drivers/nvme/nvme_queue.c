// SPDX-License-Identifier: BSD-2-Clause
/*
 * An I/O queue: requests become commands, completions end them. A command covers as much of a
 * request as PRP entries can say; the id of a command is the number of its slot, so a completion
 * leads to its request without a search.
 */
#include "nvme_queue.h"

#include "nvme_namespace.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

/* A transfer as the controller sees it; section 4.3: PRP entries. */
struct transfer {
	uint64_t first; /* may begin within a page */
	uint64_t end;   /* where the last piece ended */
	uint32_t bytes;
	unsigned entries; /* in the list */
	uint64_t *list;
};

/*
 * Adds what comes next of the request, as far as PRP entries can say it: all pages but the first
 * begin at their start, and all but the last are whole. False: the transfer ends here.
 */
static bool transfer_extend(const struct nvme_queue *queue, struct transfer *transfer, struct block_request *request)
{
	const struct phys_range piece = disk_peek(request);
	const uint64_t page = piece.start.value & ~(queue->page_bytes - 1);
	uint64_t bytes = MIN(piece.bytes, page + queue->page_bytes - piece.start.value);

	bytes = MIN(bytes, queue->command_bytes_max - transfer->bytes);
	if (bytes == 0)
		return false;
	if (transfer->bytes == 0) {
		transfer->first = piece.start.value;
	} else if (piece.start.value == transfer->end && piece.start.value != page) {
		/* Goes on within a page that is in the list already. */
	} else {
		if (piece.start.value != page || !is_aligned(transfer->end, queue->page_bytes) ||
		    transfer->entries == NVME_LIST_ENTRIES)
			return false;
		transfer->list[transfer->entries++] = page;
	}
	transfer->end = piece.start.value + bytes;
	transfer->bytes += (uint32_t)bytes;
	disk_advance(request, (uint32_t)bytes);
	return true;
}

static const struct nvme_namespace *namespace_of(const struct nvme_queue *queue, struct block_request *request)
{
	return nvme_namespace_at(queue->device, disk_target(request));
}

static void command_fill(struct nvme_queue *queue, unsigned slot, struct block_request *request, struct nvme_command *command)
{
	const struct nvme_namespace *disk = namespace_of(queue, request);
	const uint64_t sector = disk_position(request) >> disk->sector_shift;
	struct transfer transfer = { .list = (uint64_t *)((char *)queue->lists.memory + slot * NVME_LIST_BYTES) };

	command->opcode = request->operation == BLOCK_WRITE ? NVME_IO_WRITE : NVME_IO_READ;
	while (transfer_extend(queue, &transfer, request))
		;
	command->prp[0] = transfer.first;
	if (transfer.entries == 1)
		command->prp[1] = transfer.list[0];
	else if (transfer.entries > 1)
		command->prp[1] = queue->lists.address.value + slot * NVME_LIST_BYTES;
	command->dwords[0] = (uint32_t)sector;
	command->dwords[1] = (uint32_t)(sector >> 32);
	command->dwords[2] = (transfer.bytes >> disk->sector_shift) - 1;
}

static void queue_fill(struct disk_queue *disk_queue, unsigned slot, struct block_request *request)
{
	struct nvme_queue *queue = container_of(disk_queue, struct nvme_queue, disk);
	struct nvme_command command = {
		.opcode = NVME_IO_FLUSH,
		.id = (uint16_t)slot,
		.namespace_id = namespace_of(queue, request)->id,
	};

	if (request->operation != BLOCK_FLUSH)
		command_fill(queue, slot, request, &command);
	queue->commands[slot] = command;
	queue->tries[slot] = 1;
	nvme_ring_push(&queue->ring, &command);
}

static void queue_ring(struct disk_queue *disk_queue)
{
	nvme_ring_submit(&container_of(disk_queue, struct nvme_queue, disk)->ring);
}

static void queue_empty(struct disk_queue *disk_queue)
{
	nvme_ring_reset(&container_of(disk_queue, struct nvme_queue, disk)->ring);
}

void nvme_queue_init(struct nvme_queue *queue, const char *name, uint64_t timeout_ns)
{
	const struct disk_queue_config config = {
		.name = name,
		.timeout_ns = timeout_ns,
		.activity = &queue->device->activity,
		.slot_count = queue->ring.entries - 1u,
		.fill = queue_fill,
		.ring = queue_ring,
		.empty = queue_empty,
	};

	disk_queue_init(&queue->disk, &config);
}

status_t nvme_status(uint16_t status)
{
	if (NVME_STATUS_IS_OK(status))
		return STATUS_OK;
	if (NVME_STATUS_TYPE(status) != NVME_TYPE_GENERIC)
		return STATUS_IO_ERROR;
	switch (NVME_STATUS_CODE(status)) {
	case NVME_CODE_ABORTED:
		return STATUS_TIMEOUT;
	case NVME_CODE_PROTECTED:
		return STATUS_READ_ONLY;
	case NVME_CODE_RANGE:
		return STATUS_RANGE;
	default:
		return STATUS_IO_ERROR;
	}
}

bool nvme_status_is_passing(uint16_t status)
{
	if (NVME_STATUS_IS_OK(status) || (status & NVME_STATUS_FINAL))
		return false;
	return NVME_STATUS_TYPE(status) != NVME_TYPE_GENERIC || NVME_STATUS_CODE(status) != NVME_CODE_ABORTED;
}

/*
 * Gives the command to the controller once more, if that may help; its data and its list still lie
 * where they did.
 */
static bool command_repeat(struct nvme_queue *queue, unsigned slot, uint16_t status)
{
	if (!nvme_status_is_passing(status) || queue->tries[slot] == NVME_TRIES_MAX)
		return false;
	queue->tries[slot]++;
	nvme_ring_push(&queue->ring, &queue->commands[slot]);
	nvme_ring_submit(&queue->ring);
	return true;
}

/* False: there was none. A device that makes no sense is stopped, and will be reset. */
static bool completion_take(struct nvme_queue *queue, struct list *done, struct disk_failures *failures)
{
	struct nvme_completion completion;
	struct block_request *request = NULL;
	const enum nvme_ring_result result = nvme_ring_take(&queue->ring, &completion);

	if (result == NVME_RING_EMPTY)
		return false;
	if (result != NVME_RING_BROKEN)
		request = disk_queue_request_locked(&queue->disk, completion.id);
	if (!request) {
		disk_queue_distrust_locked(&queue->disk);
		disk_device_request_reset(queue->device, result == NVME_RING_BROKEN
								 ? "a completion belongs to no queue"
								 : "completed a command that it does not have");
		return false;
	}
	if (command_repeat(queue, completion.id, completion.status))
		return true;
	if (!NVME_STATUS_IS_OK(completion.status))
		disk_failure_note(failures, namespace_of(queue, request)->name, request,
				  NVME_STATUS_TYPE(completion.status) << 8 | NVME_STATUS_CODE(completion.status));
	disk_queue_complete_locked(&queue->disk, completion.id, nvme_status(completion.status), done);
	return true;
}

void nvme_queue_process(struct disk_queue *disk_queue)
{
	struct nvme_queue *queue = container_of(disk_queue, struct nvme_queue, disk);
	struct disk_failures failures = { .count = 0 };
	struct list done;

	list_init(&done);
	if (disk_queue_enter(&queue->disk)) {
		while (completion_take(queue, &done, &failures))
			;
		nvme_ring_release(&queue->ring);
		disk_queue_pump_locked(&queue->disk);
	}
	disk_queue_leave(&queue->disk);
	disk_failures_log(&failures, &queue->device->errors);
	disk_requests_finish(&done);
}
