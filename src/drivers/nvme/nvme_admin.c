// SPDX-License-Identifier: BSD-2-Clause
/*
 * Admin commands. They are few, and one at a time: the task that wants one waits for it, and takes
 * the completion itself when the interrupt does not come.
 */
#include "nvme.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define ADMIN_ENTRIES    16
#define ADMIN_TIMEOUT_NS (10 * NS_PER_S)
#define POLL_NS          (2 * NS_PER_MS)
#define EVENT_ID         0 /* of the command that ends with an event */

status_t nvme_admin_alloc(struct nvme *nvme)
{
	spinlock_init(&nvme->admin.lock, "nvme admin");
	const status_t status = nvme_ring_alloc(nvme, 0, ADMIN_ENTRIES, &nvme->admin.ring, &nvme->admin.memory);

	if (status != STATUS_OK)
		return status;
	return dma_coherent_alloc(nvme->common.environment->dma, &nvme->common.function->device, NVME_IDENTIFY_BYTES,
				  1ull << nvme->page_shift, &nvme->admin.answer);
}

void nvme_admin_free(struct nvme *nvme)
{
	dma_coherent_free(nvme->common.environment->dma, &nvme->admin.answer);
	nvme_ring_free(nvme, &nvme->admin.memory);
}

/* False: there was none. */
static bool completion_take(struct nvme *nvme)
{
	struct nvme_admin *admin = &nvme->admin;
	struct nvme_completion completion;
	const enum nvme_ring_result result = nvme_ring_take(&admin->ring, &completion);

	if (result == NVME_RING_EMPTY)
		return false;
	if (result == NVME_RING_TAKEN && completion.id == EVENT_ID && admin->event_asked) {
		admin->event = completion;
		admin->event_asked = false;
		atomic_store(&admin->event_there, true);
		return true;
	}
	if (result == NVME_RING_BROKEN || completion.id != admin->id || atomic_load(&admin->done)) {
		admin->open = false;
		disk_device_request_reset(&nvme->common, "completed an admin command that it does not have");
		return false;
	}
	admin->completion = completion;
	atomic_store(&admin->done, 1);
	platform_wake(&admin->done);
	return true;
}

void nvme_admin_process(struct nvme *nvme)
{
	spinlock_lock(&nvme->admin.lock);
	if (nvme->admin.open) {
		while (completion_take(nvme))
			;
		nvme_ring_release(&nvme->admin.ring);
	}
	spinlock_unlock(&nvme->admin.lock);
}

static status_t command_submit(struct nvme_admin *admin, struct nvme_command *command)
{
	status_t status = STATUS_GONE;

	spinlock_lock(&admin->lock);
	if (admin->open) {
		if (++admin->id == EVENT_ID)
			admin->id++;
		command->id = admin->id;
		atomic_store(&admin->done, 0);
		nvme_ring_push(&admin->ring, command);
		nvme_ring_submit(&admin->ring);
		status = STATUS_OK;
	}
	spinlock_unlock(&admin->lock);
	return status;
}

static status_t command_wait(struct nvme *nvme, uint64_t deadline_ns)
{
	struct nvme_admin *admin = &nvme->admin;
	uint64_t now;

	for (;;) {
		nvme_admin_process(nvme);
		if (atomic_load(&admin->done))
			return STATUS_OK;
		now = platform_now_ns();
		if (now >= deadline_ns || !admin->open)
			return STATUS_TIMEOUT;
		(void)platform_wait(&admin->done, 0, MIN(now + POLL_NS, deadline_ns));
	}
}

bool nvme_admin_await_event(struct nvme *nvme)
{
	const struct nvme_command command = { .opcode = NVME_ADMIN_AWAIT_EVENT, .id = EVENT_ID };
	struct nvme_admin *admin = &nvme->admin;
	bool open;

	spinlock_lock(&admin->lock);
	open = admin->open;
	if (open && !admin->event_asked) {
		admin->event_asked = true;
		nvme_ring_push(&admin->ring, &command);
		nvme_ring_submit(&admin->ring);
	}
	spinlock_unlock(&admin->lock);
	return open;
}

bool nvme_admin_take_event(struct nvme *nvme, struct nvme_completion *event)
{
	if (!atomic_exchange(&nvme->admin.event_there, false))
		return false;
	spinlock_lock(&nvme->admin.lock);
	*event = nvme->admin.event;
	spinlock_unlock(&nvme->admin.lock);
	return true;
}

/* Once. `code`: how the controller says that it ended. */
static status_t command_run(struct nvme *nvme, struct nvme_command *command, uint16_t *code)
{
	struct nvme_admin *admin = &nvme->admin;
	status_t status;

	status = command_submit(admin, command);
	if (status != STATUS_OK)
		return status;
	status = command_wait(nvme, platform_now_ns() + MIN(nvme->common.timeout_ns, ADMIN_TIMEOUT_NS));
	if (status != STATUS_OK) {
		log_error("%s: no answer to admin command 0x%x", nvme->common.name, command->opcode);
		spinlock_lock(&admin->lock);
		admin->open = false; /* until it was reset: the completion might still come */
		spinlock_unlock(&admin->lock);
		return status;
	}
	*code = admin->completion.status;
	return STATUS_OK;
}

status_t nvme_admin_run(struct nvme *nvme, struct nvme_command *command, uint32_t *result)
{
	unsigned tries = 0;
	uint16_t code;

	do {
		const status_t status = command_run(nvme, command, &code);

		if (status != STATUS_OK)
			return status;
	} while (nvme_status_is_passing(code) && ++tries < NVME_TRIES_MAX);
	if (!NVME_STATUS_IS_OK(code)) {
		log_debug("%s: admin command 0x%x failed: status type %u, code 0x%x", nvme->common.name, command->opcode,
			  NVME_STATUS_TYPE(code), NVME_STATUS_CODE(code));
		return nvme_status(code);
	}
	if (result)
		*result = nvme->admin.completion.result;
	return STATUS_OK;
}

/*
 * Into memory that stays until the controller has been stopped: it may still answer after we gave
 * up.
 */
status_t nvme_identify(struct nvme *nvme, unsigned what, uint32_t namespace_id)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_IDENTIFY,
		.namespace_id = namespace_id,
		.prp = { nvme->admin.answer.address.value },
		.dwords = { what },
	};

	memset(nvme->admin.answer.memory, 0, NVME_IDENTIFY_BYTES);
	return nvme_admin_run(nvme, &command, NULL);
}

status_t nvme_queues_negotiate(struct nvme *nvme, unsigned *count)
{
	const uint32_t wanted = *count - 1;
	struct nvme_command command = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.dwords = { NVME_FEATURE_QUEUES, wanted << 16 | wanted },
	};
	uint32_t granted;
	status_t status;

	status = nvme_admin_run(nvme, &command, &granted);
	if (status != STATUS_OK)
		return status;
	*count = MIN(*count, MIN(granted & 0xffff, granted >> 16) + 1);
	return STATUS_OK;
}

void nvme_queue_commands(const struct nvme_queue *queue, int vector, struct nvme_command commands[2])
{
	const uint32_t size_and_id = (queue->ring.entries - 1u) << 16 | queue->ring.id;

	commands[0] = (struct nvme_command){
		.opcode = NVME_ADMIN_CREATE_COMPLETION,
		.prp = { queue->memory.completions.address.value },
		.dwords = { size_and_id, NVME_QUEUE_CONTIGUOUS },
	};
	if (vector >= 0)
		commands[0].dwords[1] |= NVME_QUEUE_INTERRUPTS | (uint32_t)vector << 16;
	commands[1] = (struct nvme_command){
		.opcode = NVME_ADMIN_CREATE_SUBMISSION,
		.prp = { queue->memory.submissions.address.value },
		.dwords = { size_and_id, NVME_QUEUE_CONTIGUOUS | (uint32_t)queue->ring.id << 16 },
	};
}

static status_t queue_create(struct nvme *nvme, const struct nvme_queue *queue, unsigned vector)
{
	struct nvme_command commands[2];
	status_t status;

	nvme_queue_commands(queue, (int)vector, commands);
	status = nvme_admin_run(nvme, &commands[0], NULL);
	if (status == STATUS_OK)
		status = nvme_admin_run(nvme, &commands[1], NULL);
	return status;
}

status_t nvme_queues_create(struct nvme *nvme)
{
	unsigned granted = nvme->common.queue_count;
	status_t status;

	status = nvme_queues_negotiate(nvme, &granted);
	if (status == STATUS_OK && granted < nvme->common.queue_count)
		status = STATUS_UNSUPPORTED;
	for (unsigned i = 0; status == STATUS_OK && i < nvme->common.queue_count; i++)
		status = queue_create(nvme, nvme_queue_at(&nvme->common, i), i % nvme->common.vector_count);
	if (status != STATUS_OK)
		log_error("%s: the I/O queues cannot be created: %s", nvme->common.name, status_text(status));
	return status;
}

static status_t queue_delete(struct nvme *nvme, const struct nvme_queue *queue)
{
	struct nvme_command submissions = { .opcode = NVME_ADMIN_DELETE_SUBMISSION, .dwords = { queue->ring.id } };
	struct nvme_command completions = { .opcode = NVME_ADMIN_DELETE_COMPLETION, .dwords = { queue->ring.id } };
	status_t status;

	status = nvme_admin_run(nvme, &submissions, NULL);
	if (status == STATUS_OK)
		status = nvme_admin_run(nvme, &completions, NULL);
	return status;
}

void nvme_queues_delete(struct nvme *nvme)
{
	for (unsigned i = 0; disk_device_queue(&nvme->common, i); i++) {
		if (queue_delete(nvme, nvme_queue_at(&nvme->common, i)) != STATUS_OK && !nvme->admin.open)
			return;
	}
}

status_t nvme_admin_abort(struct nvme *nvme, unsigned queue_id, unsigned command_id)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_ABORT,
		.dwords = { command_id << 16 | queue_id },
	};

	return nvme_admin_run(nvme, &command, NULL);
}
