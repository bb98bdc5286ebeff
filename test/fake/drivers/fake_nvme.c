// SPDX-License-Identifier: BSD-2-Clause
/* Registers, commands, completions: each in the order in which the driver sees them. */
#include "fake_nvme.h"

#include <stdlib.h>

#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define EVENT_ID 0

static struct fake_nvme *nvme_of(struct fake_device *device)
{
	return container_of(device, struct fake_nvme, device);
}

static unsigned page_shift(const struct fake_nvme *nvme)
{
	return 12 + (nvme->cc >> 7 & 0xf);
}

static void *reach(struct fake_nvme *nvme, uint64_t address, uint64_t bytes)
{
	return nvme->strict ? fake_bus_reach(nvme->bus, address, bytes) : fake_bus_memory(nvme->bus, address, bytes);
}

/* Commands ------------------------------------------------------------------------------------- */

static void copy(struct fake_nvme *nvme, uint64_t address, uint64_t bytes, uint8_t *blocks, bool to_memory)
{
	uint8_t *memory = reach(nvme, address, bytes);

	if (memory && blocks)
		memcpy(to_memory ? memory : blocks, to_memory ? blocks : memory, bytes);
}

/*
 * Walks the PRP entries of a command, section 4.3. `blocks` NULL: only looks whether each is the
 * driver's.
 */
static void transfer(struct fake_nvme *nvme, const struct nvme_command *command, uint64_t bytes, uint8_t *blocks,
		     bool to_memory)
{
	const uint64_t page_bytes = 1ull << page_shift(nvme);
	const uint64_t first = MIN(bytes, page_bytes - command->prp[0] % page_bytes);
	const uint64_t pages = divide_round_up(bytes - first, page_bytes);

	copy(nvme, command->prp[0], first, blocks, to_memory);
	for (uint64_t i = 0; i < pages; i++) {
		const uint64_t done = first + i * page_bytes;
		uint64_t page = command->prp[1];

		if (pages > 1) {
			const uint64_t *entry = reach(nvme, command->prp[1] + i * 8, 8);

			if (!entry)
				return;
			page = *entry;
		}
		if (page % page_bytes != 0 && nvme->strict)
			host_fail("a PRP entry that does not begin a page");
		copy(nvme, page, MIN(bytes - done, page_bytes), blocks ? blocks + done : NULL, to_memory);
	}
}

static const uint8_t serial[] = { 'f', 'a', 'k', 'e' };

static void identify(struct fake_nvme *nvme, const struct nvme_command *command, uint8_t *answer)
{
	const uint64_t blocks = FAKE_NVME_BYTES >> nvme->sector_shift;
	const uint32_t count = FAKE_NVME_NAMESPACES;

	switch (command->dwords[0] & 0xff) {
	case NVME_IDENTIFY_CONTROLLER:
		memset(answer + NVME_CONTROLLER_SERIAL, ' ', 60);
		memcpy(answer + NVME_CONTROLLER_SERIAL, serial, sizeof(serial));
		memcpy(answer + NVME_CONTROLLER_MODEL, serial, sizeof(serial));
		memcpy(answer + NVME_CONTROLLER_NAMESPACES, &count, 4);
		answer[NVME_CONTROLLER_CACHE] = nvme->write_cache;
		answer[NVME_CONTROLLER_MDTS] = 5;
		break;
	case NVME_IDENTIFY_ACTIVE:
		nvme->active_lists++;
		memcpy(answer, nvme->ids, sizeof(nvme->ids));
		break;
	default:
		for (unsigned i = 0; i < FAKE_NVME_NAMESPACES && nvme->ids[i] != 0; i++) {
			if (nvme->ids[i] == command->namespace_id)
				memcpy(answer, &blocks, 8);
		}
		answer[NVME_NAMESPACE_FORMATS + 2] = (uint8_t)nvme->sector_shift;
	}
}

static void answer_fill(struct fake_nvme *nvme, const struct nvme_command *command)
{
	const uint64_t bytes = command->opcode == NVME_ADMIN_IDENTIFY ? NVME_IDENTIFY_BYTES : NVME_LOG_BYTES;
	uint8_t *answer = reach(nvme, command->prp[0], bytes);

	if (!answer)
		return;
	if (command->opcode == NVME_ADMIN_IDENTIFY)
		identify(nvme, command, answer);
	if (nvme->fill)
		nvme->fill(nvme, command, answer, bytes);
}

static struct fake_nvme_queue *queue_named(struct fake_nvme *nvme, const struct nvme_command *command)
{
	const unsigned id = command->dwords[0] & 0xffff;

	if ((id == 0 || id >= FAKE_NVME_QUEUES) && nvme->strict)
		host_fail("a queue that the controller does not have");
	return &nvme->queues[id % FAKE_NVME_QUEUES];
}

static uint32_t admin_run(struct fake_nvme *nvme, const struct nvme_command *command)
{
	struct fake_nvme_queue *queue;
	const uint32_t entries = (command->dwords[0] >> 16) + 1;

	switch (command->opcode) {
	case NVME_ADMIN_IDENTIFY:
	case NVME_ADMIN_GET_LOG:
		answer_fill(nvme, command);
		return 0;
	case NVME_ADMIN_CREATE_COMPLETION:
		queue = queue_named(nvme, command);
		queue->completions = command->prp[0];
		queue->completion_entries = entries;
		queue->completion_tail = 0;
		queue->phase = true;
		queue->vector = command->dwords[1] & NVME_QUEUE_INTERRUPTS ? (int)(command->dwords[1] >> 16) : -1;
		(void)reach(nvme, command->prp[0], entries * sizeof(struct nvme_completion));
		return 0;
	case NVME_ADMIN_CREATE_SUBMISSION:
		queue = queue_named(nvme, command);
		queue->submissions = command->prp[0];
		queue->submission_entries = entries;
		queue->head = 0;
		(void)reach(nvme, command->prp[0], entries * sizeof(*command));
		return 0;
	case NVME_ADMIN_DELETE_SUBMISSION:
		queue_named(nvme, command)->submission_entries = 0;
		return 0;
	case NVME_ADMIN_DELETE_COMPLETION:
		queue_named(nvme, command)->completion_entries = 0;
		return 0;
	case NVME_ADMIN_AWAIT_EVENT:
		nvme->event_asked = true;
		return FAKE_NVME_NO_ANSWER;
	default:
		return 0;
	}
}

static uint32_t io_run(struct fake_nvme *nvme, const struct nvme_command *command)
{
	const uint64_t sector = command->dwords[0] | (uint64_t)command->dwords[1] << 32;
	const uint64_t bytes = ((uint64_t)(command->dwords[2] & 0xffff) + 1) << nvme->sector_shift;
	const bool there =
		sector < FAKE_NVME_BYTES >> nvme->sector_shift && bytes <= FAKE_NVME_BYTES - (sector << nvme->sector_shift);

	if (command->opcode != NVME_IO_READ && command->opcode != NVME_IO_WRITE)
		return 0;
	transfer(nvme, command, bytes, there ? nvme->blocks + (sector << nvme->sector_shift) : NULL,
		 command->opcode == NVME_IO_READ);
	return there ? 0 : FAKE_NVME_STATUS(NVME_TYPE_GENERIC, NVME_CODE_RANGE) | NVME_STATUS_FINAL;
}

void fake_nvme_complete(struct fake_nvme *nvme, unsigned index, const struct nvme_completion *completion)
{
	struct fake_nvme_queue *queue = &nvme->queues[index];
	struct nvme_completion *entry;

	if (queue->completion_entries == 0)
		return;
	entry = fake_bus_memory(nvme->bus, queue->completions + queue->completion_tail * sizeof(*entry), sizeof(*entry));
	if (!entry)
		return;
	*entry = *completion;
	entry->status = (uint16_t)((completion->status & ~NVME_STATUS_PHASE) | queue->phase);
	if (++queue->completion_tail == queue->completion_entries) {
		queue->completion_tail = 0;
		queue->phase = !queue->phase;
	}
	if (queue->vector >= 0)
		fake_bus_interrupt(nvme->bus, (unsigned)queue->vector);
}

static void command_run(struct fake_nvme *nvme, unsigned index, const struct nvme_command *command)
{
	struct fake_nvme_queue *queue = &nvme->queues[index];
	struct nvme_completion completion = { .submission_id = (uint16_t)index, .id = command->id };
	uint32_t status = index == 0 ? admin_run(nvme, command) : io_run(nvme, command);

	if (index == 0)
		nvme->admin_commands[command->opcode]++;
	else
		nvme->io_commands[command->opcode]++;
	if (nvme->answer && status != FAKE_NVME_NO_ANSWER)
		status = nvme->answer(nvme, index, command);
	if (status == FAKE_NVME_NO_ANSWER)
		return;
	completion.submission_head = (uint16_t)queue->head;
	completion.status = (uint16_t)status;
	if (index == 0 && command->opcode == NVME_ADMIN_SET_FEATURES && command->dwords[0] == NVME_FEATURE_QUEUES)
		completion.result = (FAKE_NVME_QUEUES - 2) << 16 | (FAKE_NVME_QUEUES - 2);
	fake_nvme_complete(nvme, index, &completion);
}

static void submissions_take(struct fake_nvme *nvme, unsigned index, uint32_t tail)
{
	struct fake_nvme_queue *queue = &nvme->queues[index];

	if (!(nvme->csts & NVME_CSTS_READY) || queue->submission_entries == 0)
		return;
	if (tail >= queue->submission_entries && nvme->strict)
		host_fail("a doorbell got a value that cannot be");
	tail %= queue->submission_entries;
	while (queue->head != tail && queue->submission_entries > 0) {
		const struct nvme_command *entry =
			fake_bus_memory(nvme->bus, queue->submissions + queue->head * sizeof(*entry), sizeof(*entry));

		if (!entry)
			return;
		const struct nvme_command command = *entry;

		queue->head = (queue->head + 1) % queue->submission_entries;
		command_run(nvme, index, &command);
	}
}

void fake_nvme_event(struct fake_nvme *nvme, uint32_t result)
{
	const struct nvme_completion completion = { .result = result, .id = EVENT_ID };

	if (!nvme->event_asked)
		return;
	nvme->event_asked = false;
	fake_nvme_complete(nvme, 0, &completion);
}

/* Registers ------------------------------------------------------------------------------------ */

static void enable(struct fake_nvme *nvme)
{
	nvme->queues[0] = (struct fake_nvme_queue){
		.submissions = nvme->asq,
		.completions = nvme->acq,
		.submission_entries = (nvme->aqa & 0xfff) + 1,
		.completion_entries = (nvme->aqa >> 16 & 0xfff) + 1,
		.phase = true,
	};
	(void)fake_bus_reach(nvme->bus, nvme->asq, nvme->queues[0].submission_entries * sizeof(struct nvme_command));
	(void)fake_bus_reach(nvme->bus, nvme->acq, nvme->queues[0].completion_entries * sizeof(struct nvme_completion));
	nvme->csts = NVME_CSTS_READY;
}

static void cc_write(struct fake_nvme *nvme, uint32_t value)
{
	const uint32_t changed = nvme->cc ^ value;

	nvme->cc = value;
	if ((changed & NVME_CC_ENABLE) && (value & NVME_CC_ENABLE))
		enable(nvme);
	if ((changed & NVME_CC_ENABLE) && !(value & NVME_CC_ENABLE)) {
		memset(nvme->queues, 0, sizeof(nvme->queues));
		nvme->event_asked = false;
		nvme->csts = 0;
	}
	if (value & NVME_CC_SHUTDOWN_MASK) {
		nvme->shutdown = value & NVME_CC_SHUTDOWN_MASK;
		nvme->csts = (nvme->csts & ~NVME_CSTS_SHUTDOWN_MASK) | NVME_CSTS_SHUTDOWN_DONE;
	}
}

static uint64_t truth(const struct fake_nvme *nvme, uint64_t offset)
{
	switch (offset) {
	case NVME_CAP:
		return nvme->cap;
	case NVME_VS:
		return nvme->version;
	case NVME_CC:
		return nvme->cc;
	case NVME_CSTS:
		return nvme->csts;
	default:
		return 0;
	}
}

static uint64_t nvme_read(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes)
{
	struct fake_nvme *nvme = nvme_of(device);

	(void)bar, (void)bytes;
	return nvme->lie ? nvme->lie(nvme, offset, truth(nvme, offset)) : truth(nvme, offset);
}

static void nvme_write(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes, uint64_t value)
{
	struct fake_nvme *nvme = nvme_of(device);

	(void)bar, (void)bytes;
	if (offset >= NVME_DOORBELLS) {
		const uint64_t doorbell = (offset - NVME_DOORBELLS) / NVME_CAP_STRIDE_BYTES(nvme->cap);

		if (doorbell % 2 == 0 && doorbell / 2 < FAKE_NVME_QUEUES)
			submissions_take(nvme, (unsigned)(doorbell / 2), (uint32_t)value);
		return;
	}
	if (offset == NVME_CC)
		cc_write(nvme, (uint32_t)value);
	else if (offset == NVME_AQA)
		nvme->aqa = (uint32_t)value;
	else if (offset == NVME_ASQ)
		nvme->asq = value;
	else if (offset == NVME_ACQ)
		nvme->acq = value;
}

static void nvme_step(struct fake_device *device)
{
	(void)device;
}

void fake_nvme_init(struct fake_nvme *nvme, struct fake_bus *bus)
{
	*nvme = (struct fake_nvme){
		.device = { nvme_read, nvme_write, nvme_step, NULL },
		.bus = bus,
		.cap = NVME_CAP_COMMANDS_NVM | 4ull << 24 | 63,
		.version = NVME_VERSION(1, 4),
		.ids = { 1 },
		.blocks = calloc(1, FAKE_NVME_BYTES),
		.sector_shift = 9,
		.write_cache = true,
		.strict = true,
	};
	fake_bus_init(bus, &nvme->device);
	bus->function.vendor_id = 0x1b36;
	bus->function.device_id = 0x0010;
	bus->function.class_code = 0x010802;
	bus->function.bars[0] = (struct pci_bar){ .start = GIB, .bytes = 16 * KIB };
}

void fake_nvme_fini(struct fake_nvme *nvme)
{
	fake_bus_fini(nvme->bus);
	free(nvme->blocks);
}
