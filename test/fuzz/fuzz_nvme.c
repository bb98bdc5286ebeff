// SPDX-License-Identifier: BSD-2-Clause
/*
 * The NVMe driver beside a controller that answers anything. The input says what the controller is,
 * what its registers read as, how its commands end, what lies in Identify and in the rings, and
 * what is asked of it meanwhile. All zeros are a good controller.
 *
 * The fake bus checks what the driver touches and where it sends the device; here each request ends
 * once, and the driver goes without leaving anything.
 */
#include <string.h>

#include "driver_requests.h"
#include "fake/drivers/fake_nvme.h"
#include "input.h"
#include "runtime/base/bits.h"

#define LIE 0x1f /* of the low bits of a choice: one in 32 */

static struct input input;
static struct fake_bus bus;
static struct fake_nvme nvme;

static bool lies(void)
{
	return (input_byte(&input) & LIE) == LIE;
}

static uint64_t any_register(struct fake_nvme *self, uint64_t offset, uint64_t truth)
{
	if (!lies())
		return truth;
	/* The driver now knows other doorbells; or takes for disabled what goes on in its rings. */
	self->strict &= offset != NVME_CAP && offset != NVME_CC;
	return input_byte(&input) & 1 ? input_number(&input, 8) : truth ^ 1ull << input_byte(&input) % 64;
}

static uint32_t any_answer(struct fake_nvme *self, unsigned queue, const struct nvme_command *command)
{
	const uint8_t kind = input_byte(&input) % 16;

	(void)self, (void)queue, (void)command;
	if (kind < 12)
		return 0;
	return kind < 14 ? FAKE_NVME_NO_ANSWER : (uint32_t)input_number(&input, 2) & ~NVME_STATUS_PHASE;
}

/* Some bytes become others. With another sector size we do not know how long transfers are. */
static void any_fill(struct fake_nvme *self, const struct nvme_command *command, uint8_t *answer, uint64_t bytes)
{
	const unsigned format = NVME_NAMESPACE_FORMATS + 4 * (answer[NVME_NAMESPACE_FORMAT] & NVME_FORMAT_INDEX_MASK);

	for (unsigned count = input_byte(&input) % 8; count > 0; count--)
		answer[input_below(&input, (uint32_t)MIN(bytes, 640))] = input_byte(&input);
	if (command->opcode == NVME_ADMIN_IDENTIFY && command->dwords[0] == NVME_IDENTIFY_NAMESPACE)
		self->strict &= format == NVME_NAMESPACE_FORMATS && answer[NVME_NAMESPACE_FORMAT] % 16 == 0 &&
				answer[format + 2] == self->sector_shift;
}

/* A completion, an event, an interrupt, or bytes anywhere in the driver's shared memory. */
static void any_step(struct fake_device *device)
{
	const uint8_t kind = input_byte(&input) % 16;
	struct nvme_completion completion;

	(void)device;
	if (kind == 15) {
		completion = (struct nvme_completion){ .result = (uint32_t)input_number(&input, 4), .id = input_byte(&input) };
		completion.submission_id = input_byte(&input) % FAKE_NVME_QUEUES;
		completion.submission_head = input_byte(&input) % 70;
		completion.status = (uint16_t)input_number(&input, 2);
		fake_nvme_complete(&nvme, completion.submission_id, &completion);
	} else if (kind == 14) {
		fake_nvme_event(&nvme, (uint32_t)input_number(&input, 4));
	} else if (kind == 13) {
		fake_bus_interrupt(&bus, input_byte(&input) % 4);
	} else if (kind == 12 && driver_memory_scribble(&input)) {
		nvme.strict = false;
	}
}

static void controller_describe(void)
{
	const uint8_t kind = input_byte(&input);

	fake_nvme_init(&nvme, &bus);
	if (kind & 1)
		nvme.cap ^= input_number(&input, 8);
	if (kind & 2)
		nvme.version = (uint32_t)input_number(&input, 4);
	if (kind & 4)
		bus.function.bars[0].bytes = input_number(&input, 3);
	if (kind & 8)
		bus.mode = (enum pci_interrupt_mode)(input_byte(&input) % 4);
	if (kind & 16)
		bus.fail_at = input_byte(&input) % 32;
	if (kind & 32)
		for (unsigned i = 0; i < 4; i++)
			nvme.ids[i] = (uint32_t)input_number(&input, 1 + (kind >> 6 & 1) * 3);
	if (kind & 128) {
		bus.function.vendor_id = 0x144d;
		bus.function.device_id = 0xa821;
		nvme.sector_shift = 9 + input_byte(&input) % 4;
	}
	nvme.lie = any_register;
	nvme.answer = any_answer;
	nvme.fill = any_fill;
	nvme.device.step = any_step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, size };
	controller_describe();
	driver_requests_run(&bus, &input, "nvme");
	fake_nvme_fini(&nvme);
	return 0;
}
