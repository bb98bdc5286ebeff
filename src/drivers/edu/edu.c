// SPDX-License-Identifier: BSD-2-Clause
/*
 * The worked example of a driver: one transfer at a time, under a mutex. The interrupt handler
 * only quiets the device and signals a completion, which the task of the transfer waits for.
 */
#include "edu.h"

#include "drivers/driver.h"
#include "drivers/registers.h"
#include "runtime/base/completion.h"
#include "runtime/base/heap.h"
#include "runtime/base/log.h"
#include "runtime/base/mutex.h"

/*
 * docs/specs/edu.txt in QEMU's sources. Those from EDU_DMA_SOURCE on are 64 bits wide, the others
 * 32.
 */
enum edu_register {
	EDU_ID = 0x00,
	EDU_LIVENESS = 0x04, /* reads as the complement of what was written */
	EDU_INTERRUPT_STATUS = 0x24,
	EDU_INTERRUPT_ACKNOWLEDGE = 0x64,
	EDU_DMA_SOURCE = 0x80,
	EDU_DMA_TARGET = 0x88,
	EDU_DMA_BYTES = 0x90,
	EDU_DMA_COMMAND = 0x98,
	EDU_REGISTERS_BYTES = 0xa0,
};

#define ID_MASK              0xffffu
#define ID_VALUE             0x00edu
#define DMA_START            (1u << 0)
#define DMA_FROM_DEVICE      (1u << 1)
#define DMA_INTERRUPT        (1u << 2)
#define DMA_INTERRUPT_STATUS 0x100u

#define DEVICE_MEMORY    0x40000ull /* where the device sees its own memory */
#define DMA_MASK         ((1ull << 28) - 1)
#define TRANSFER_TIME_NS (5 * NS_PER_S)
#define LIVENESS_VALUE   0x5aa51234u

struct edu {
	struct pci_function *function;
	struct dma *dma;
	volatile void *registers;
	struct mutex mutex; /* one transfer at a time */
	bool gone;          /* [mutex] */
	struct completion transferred;
	struct interrupt interrupt;
};

static const struct driver edu_driver;

struct edu *edu_find(void)
{
	struct pci_function *function = driver_function(edu_driver.name, NULL);

	return function ? function->driver_data : NULL;
}

status_t edu_buffer_alloc(struct edu *edu, uint64_t bytes, struct dma_buffer **buffer)
{
	const struct dma_request request = { .bytes = bytes, .segments_max = 1 };

	return dma_alloc(edu->dma, &edu->function->device, &request, buffer);
}

void edu_buffer_free(struct edu *edu, struct dma_buffer *buffer)
{
	dma_free(edu->dma, buffer);
}

/* The line may be shared, so look whose interrupt it is; acknowledging quiets the device. */
static void handle_interrupt(void *context)
{
	struct edu *edu = context;
	const uint32_t status = register_read32(edu->registers, EDU_INTERRUPT_STATUS);

	if (status == 0)
		return;
	register_write32(edu->registers, EDU_INTERRUPT_ACKNOWLEDGE, status);
	if (status & DMA_INTERRUPT_STATUS)
		completion_signal(&edu->transferred);
}

static status_t transfer_locked(struct edu *edu, uint64_t source, uint64_t target, uint32_t bytes, uint32_t command)
{
	status_t status;

	if (edu->gone)
		return STATUS_GONE;
	completion_init(&edu->transferred);
	register_write64(edu->registers, EDU_DMA_SOURCE, source);
	register_write64(edu->registers, EDU_DMA_TARGET, target);
	register_write64(edu->registers, EDU_DMA_BYTES, bytes);
	register_write64(edu->registers, EDU_DMA_COMMAND, command | DMA_START | DMA_INTERRUPT);
	status = completion_wait(&edu->transferred, platform_now_ns() + TRANSFER_TIME_NS);
	if (status == STATUS_OK)
		return STATUS_OK;
	/* The transfer may still come, when the buffer has another owner. */
	pci_stop_dma(edu->function);
	edu->gone = true;
	log_error("%s: a transfer did not end; given up", edu->function->device.name);
	return status;
}

status_t edu_transfer(struct edu *edu, enum edu_direction direction, const struct dma_buffer *buffer, uint64_t offset,
		      uint32_t device_offset, uint32_t bytes)
{
	const uint64_t device = DEVICE_MEMORY + device_offset;
	uint64_t memory;
	status_t status;

	if (bytes == 0 || device_offset > EDU_TRANSFER_BYTES || bytes > EDU_TRANSFER_BYTES - device_offset ||
	    offset > buffer->bytes || bytes > buffer->bytes - offset || buffer->segment_count != 1)
		return STATUS_RANGE;
	memory = buffer->segments[0].start.value + offset;
	mutex_lock(&edu->mutex);
	status = direction == EDU_TO_DEVICE ? transfer_locked(edu, memory, device, bytes, 0)
					    : transfer_locked(edu, device, memory, bytes, DMA_FROM_DEVICE);
	mutex_unlock(&edu->mutex);
	return status;
}

/*
 * Registers, id and life; then the interrupt. On failure the core takes registers, interrupt and
 * DMA away again.
 */
static status_t edu_start(struct edu *edu)
{
	struct pci_function *function = edu->function;
	status_t status = pci_bar_map(function, 0, 0, EDU_REGISTERS_BYTES, PCI_REGISTERS, &edu->registers);

	if (status != STATUS_OK)
		return status;
	pci_enable(function, PCI_MEMORY);
	if ((register_read32(edu->registers, EDU_ID) & ID_MASK) != ID_VALUE)
		return STATUS_UNSUPPORTED;
	register_write32(edu->registers, EDU_LIVENESS, LIVENESS_VALUE);
	if (register_read32(edu->registers, EDU_LIVENESS) != ~LIVENESS_VALUE)
		return STATUS_IO_ERROR;
	if (pci_interrupts_open(function, 1) == 0)
		return STATUS_UNSUPPORTED;
	pci_enable(function, PCI_BUS_MASTER);
	return pci_interrupt_attach(function, 0, &edu->interrupt, function->device.name, -1, handle_interrupt, edu);
}

static status_t edu_probe(const struct driver_environment *environment, struct pci_function *function)
{
	struct edu *edu = heap_alloc(driver_heap(function), sizeof(*edu), 0);
	status_t status;

	if (!edu)
		return STATUS_NO_MEMORY;
	*edu = (struct edu){ .function = function, .dma = environment->dma };
	mutex_init(&edu->mutex, "edu");
	function->device.dma_mask = DMA_MASK;
	status = edu_start(edu);
	if (status != STATUS_OK) {
		pci_interrupts_close(function);
		heap_free(driver_heap(function), edu);
		return status;
	}
	function->driver_data = edu;
	log_info("%s: ready, DMA below 256 MB", function->device.name);
	return STATUS_OK;
}

static void edu_remove(struct pci_function *function)
{
	struct edu *edu = function->driver_data;

	if (edu->gone)
		driver_device_is_loose(function); /* it cannot be stopped, nor reset */
	pci_stop_dma(function);
	pci_interrupts_close(function);
	heap_free(driver_heap(function), edu);
}

static const struct pci_id edu_ids[] = { { 0x1234, 0x11e8, 0 }, { 0 } };
static const struct driver edu_driver = { .name = "edu", .ids = edu_ids, .probe = edu_probe, .remove = edu_remove };
DRIVER(edu_driver);
