// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio driver beside a device that answers anything. The input says what the device offers,
 * where its structures lie, what its registers read as, how requests end, what lies in the rings,
 * and what is asked of it meanwhile. All zeros are a good device with indirect tables.
 *
 * The fake bus checks what the driver touches and where it sends the device; here each request ends
 * once, and the driver goes without leaving anything.
 */
#include <string.h>

#include "driver_requests.h"
#include "fake/drivers/fake_virtio.h"
#include "input.h"
#include "runtime/base/bits.h"

#define LIE          0x1f /* of the low bits of a choice: one in 32 */
#define CAPABILITIES 0x34 /* from here on configuration space is the device's */

static struct input input;
static struct fake_bus bus;
static struct fake_virtio virtio;

static uint64_t any_register(struct fake_virtio *self, uint64_t offset, uint64_t truth)
{
	(void)self, (void)offset;
	if ((input_byte(&input) & LIE) != LIE)
		return truth;
	return input_byte(&input) & 1 ? input_number(&input, 4) : truth ^ 1ull << input_byte(&input) % 32;
}

static uint32_t any_answer(struct fake_virtio *self, unsigned queue)
{
	const uint8_t kind = input_byte(&input) % 16;

	(void)self, (void)queue;
	if (kind < 12)
		return 0;
	return kind < 14 ? FAKE_VIRTIO_NO_ANSWER : input_byte(&input);
}

/* An entry of a used ring, an interrupt, or bytes anywhere in the driver's shared memory. */
static void any_step(struct fake_device *device)
{
	const uint8_t kind = input_byte(&input) % 16;

	(void)device;
	if (kind == 15) {
		const unsigned queue = input_byte(&input) % FAKE_VIRTIO_QUEUES;

		fake_virtio_complete(&virtio, queue, (uint32_t)input_number(&input, 1 + (input_byte(&input) & 3)));
	} else if (kind == 14) {
		virtio.status |= input_byte(&input);
	} else if (kind == 13) {
		fake_bus_interrupt(&bus, input_byte(&input) % 4);
	} else if (kind == 12 && driver_memory_scribble(&input)) {
		virtio.strict = false;
	}
}

static void device_describe(void)
{
	const uint8_t kind = input_byte(&input);

	fake_virtio_init(&virtio, &bus);
	if (kind & 1)
		virtio.features ^= input_number(&input, 8);
	if (kind & 2)
		virtio.queue_size = (uint16_t)input_number(&input, 2);
	if (kind & 4)
		bus.function.bars[4].bytes = input_number(&input, 3);
	if (kind & 8)
		bus.mode = (enum pci_interrupt_mode)(input_byte(&input) % 4);
	if (kind & 16)
		bus.fail_at = input_byte(&input) % 32;
	if (kind & 32)
		virtio.seg_max = (uint32_t)input_number(&input, 2);
	if (kind & 64)
		virtio.features &= ~VIRTIO_FEATURE_INDIRECT;
	virtio.strict = !(kind & 128); /* structures on top of each other */
	if (kind & 128)
		for (unsigned count = input_byte(&input) % 8; count > 0; count--)
			bus.config[CAPABILITIES + input_byte(&input) % (FAKE_CONFIG_BYTES - CAPABILITIES)] = input_byte(&input);
	virtio.lie = any_register;
	virtio.answer = any_answer;
	virtio.device.step = any_step;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, size };
	device_describe();
	driver_requests_run(&bus, &input, "virtio");
	fake_virtio_fini(&virtio);
	return 0;
}
