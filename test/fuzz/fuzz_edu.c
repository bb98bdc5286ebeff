// SPDX-License-Identifier: BSD-2-Clause
/*
 * The example driver beside a device that answers anything: registers, interrupts that come or not,
 * and bytes anywhere in the buffers. The addresses of a transfer lie in the buffer, and everything
 * is given back..
 */
#include "drivers/edu/edu.h"
#include "fake/drivers/fake_bus.h"
#include "input.h"

#define OPERATIONS_MAX 30
#define LIE            0x0f
#define DEVICE_MEMORY  0x40000ull
#define DEVICE_BYTES   4096ull

enum edu_register {
	EDU_ID = 0x00,
	EDU_LIVENESS = 0x04,
	EDU_INTERRUPT_STATUS = 0x24,
	EDU_DMA_SOURCE = 0x80,
	EDU_DMA_TARGET = 0x88,
	EDU_DMA_BYTES = 0x90,
	EDU_DMA_COMMAND = 0x98,
};

static struct input input;
static struct fake_bus bus;
static uint64_t registers[0xa0 / 8 + 1];
static bool running;

static uint64_t truth(uint64_t offset)
{
	switch (offset) {
	case EDU_ID:
		return 0x010000edu;
	case EDU_LIVENESS:
		return (uint32_t)~registers[0];
	case EDU_INTERRUPT_STATUS:
		return running ? 0x100 : 0;
	default:
		return 0;
	}
}

static uint64_t any_read(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes)
{
	(void)device, (void)bar;
	return (input_byte(&input) & LIE) == LIE ? input_number(&input, bytes) : truth(offset);
}

static void transfer_check(void)
{
	const uint64_t bytes = registers[EDU_DMA_BYTES / 8];
	const bool from_device = registers[EDU_DMA_COMMAND / 8] & 2;
	const uint64_t device = registers[(from_device ? EDU_DMA_SOURCE : EDU_DMA_TARGET) / 8];
	const uint64_t memory = registers[(from_device ? EDU_DMA_TARGET : EDU_DMA_SOURCE) / 8];

	assert(device >= DEVICE_MEMORY && device + bytes <= DEVICE_MEMORY + DEVICE_BYTES);
	(void)fake_bus_reach(&bus, memory, bytes);
	running = true;
}

static void any_write(struct fake_device *device, unsigned bar, uint64_t offset, unsigned bytes, uint64_t value)
{
	(void)device, (void)bar, (void)bytes;
	registers[offset == EDU_LIVENESS ? 0 : offset / 8] = value;
	if (offset == EDU_DMA_COMMAND)
		transfer_check();
}

static void any_step(struct fake_device *device)
{
	const uint8_t kind = input_byte(&input) % 8;
	uint64_t bytes;
	uint8_t *memory;

	(void)device;
	if (kind < 4) {
		fake_bus_interrupt(&bus, 0);
		running = false;
	} else if (kind == 4 && (memory = fake_bus_piece(input_byte(&input), &bytes))) {
		memory[input_number(&input, 2) % bytes] = input_byte(&input);
	}
}

/* No transfer is under way when the driver has answered. */
static bool never_holds(struct fake_device *device, const void *memory, uint64_t bytes)
{
	(void)device, (void)memory, (void)bytes;
	return false;
}

static void use(void)
{
	struct edu *edu = edu_find();
	struct dma_buffer *buffer;
	const uint64_t bytes = 1 + input_number(&input, 2);

	if (edu_buffer_alloc(edu, bytes, &buffer) != STATUS_OK)
		return;
	for (unsigned i = 0; i < OPERATIONS_MAX && !input_is_over(&input); i++) {
		const enum edu_direction direction = input_byte(&input) & 1 ? EDU_TO_DEVICE : EDU_FROM_DEVICE;
		const uint64_t offset = input_number(&input, 2);
		const uint32_t device_offset = (uint32_t)input_number(&input, 2), count = (uint32_t)input_number(&input, 2);
		const status_t status = edu_transfer(edu, direction, buffer, offset, device_offset, count);

		assert(status != STATUS_OK || (count > 0 && offset + count <= bytes));
	}
	edu_buffer_free(edu, buffer);
}

static char said[64]; /* what the log would say is of no interest */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake_device device = { any_read, any_write, any_step, never_holds };

	input = (struct input){ data, size };
	host_output_capture(said, sizeof(said));
	fake_bus_init(&bus, &device);
	bus.mode = (enum pci_interrupt_mode)((input_byte(&input) + PCI_INTERRUPTS_MSI) % 4);
	bus.fail_at = input_byte(&input) % 8;
	bus.function.bars[0] =
		(struct pci_bar){ .start = GIB, .bytes = input_byte(&input) & 1 ? input_number(&input, 2) : MIB };
	running = false;
	for (unsigned i = 0; i < 2; i++) {
		if (fake_bus_probe(&bus, "edu") != STATUS_OK)
			continue;
		use();
		fake_bus_remove(&bus);
	}
	fake_bus_fini(&bus);
	return 0;
}
