/* The driver of QEMU's educational device; its registers are described in QEMU's docs/specs/edu.txt. */
#include "edu.h"

#include "driver.h"
#include "heap/dma.h"
#include "registers.h"
#include "runtime/base/completion.h"
#include "runtime/base/log.h"
#include "runtime/base/mutex.h"
#include "runtime/base/string.h"

enum edu_register {
	EDU_ID = 0x00,
	EDU_INTERRUPT_STATUS = 0x24,
	EDU_INTERRUPT_ACKNOWLEDGE = 0x64,
	EDU_DMA_SOURCE = 0x80, /* 64 bits, as the following */
	EDU_DMA_TARGET = 0x88,
	EDU_DMA_BYTES = 0x90,
	EDU_DMA_COMMAND = 0x98,
	EDU_REGISTERS_BYTES = 0xa0,
};

#define EDU_ID_MASK        0xffffu
#define EDU_ID_VALUE       0x00edu
#define EDU_DMA_BITS       28
#define EDU_MEMORY         0x40000ull /* where the device's memory is, for its DMA engine */
#define EDU_DMA_START      1u
#define EDU_DMA_TO_RAM     2u
#define EDU_DMA_INTERRUPTS 4u
#define EDU_INTERRUPT_DMA  0x100u
#define EDU_TIMEOUT_NS     (5 * NS_PER_S)

struct edu {
	struct pci_function *function;                /* [I] */
	const struct driver_environment *environment; /* [I] */
	volatile void *registers;                     /* [I] */
	struct interrupt interrupt;                   /* [I] */
	struct dma_buffer *buffer;                    /* [L] */
	struct completion done;                       /* [a] of the transfer under way */
	struct mutex lock;                            /* [L] one transfer at a time */
	bool broken;                                  /* [L] */
};

/* The line may be shared, so look whether it was ours; then quiet the device. Nothing else is left to do. */
static void edu_handle(void *context)
{
	struct edu *edu = context;
	const uint32_t status = register_read32(edu->registers, EDU_INTERRUPT_STATUS);

	if (status == 0)
		return;
	register_write32(edu->registers, EDU_INTERRUPT_ACKNOWLEDGE, status);
	if (status & EDU_INTERRUPT_DMA)
		completion_signal(&edu->done);
}

/* Lets the device copy, and waits for it. The lock is held. */
static status_t edu_transfer(struct edu *edu, uint64_t source, uint64_t target, uint32_t bytes, uint32_t direction)
{
	completion_init(&edu->done);
	register_write64(edu->registers, EDU_DMA_SOURCE, source);
	register_write64(edu->registers, EDU_DMA_TARGET, target);
	register_write64(edu->registers, EDU_DMA_BYTES, bytes);
	register_write64(edu->registers, EDU_DMA_COMMAND, EDU_DMA_START | EDU_DMA_INTERRUPTS | direction);
	if (completion_wait(&edu->done, platform_now_ns() + EDU_TIMEOUT_NS) == STATUS_OK)
		return STATUS_OK;
	/* It may still write to our buffer at any time, unless it is not allowed to. */
	pci_stop_dma(edu->function);
	edu->broken = true;
	log_error("%s: no answer to a transfer of %u bytes; out of order", edu->function->device.name, bytes);
	return STATUS_TIMEOUT;
}

static bool edu_fits(uint32_t offset, uint32_t bytes)
{
	return bytes > 0 && bytes <= EDU_MEMORY_BYTES && offset <= EDU_MEMORY_BYTES - bytes;
}

status_t edu_write(struct edu *edu, uint32_t offset, const void *from, uint32_t bytes)
{
	status_t status = STATUS_GONE;

	if (!edu_fits(offset, bytes))
		return STATUS_RANGE;
	mutex_lock(&edu->lock);
	if (!edu->broken) {
		memcpy(edu->buffer->memory, from, bytes);
		status = edu_transfer(edu, edu->buffer->segments[0].start.value, EDU_MEMORY + offset, bytes, 0);
	}
	mutex_unlock(&edu->lock);
	return status;
}

status_t edu_read(struct edu *edu, uint32_t offset, void *to, uint32_t bytes)
{
	status_t status = STATUS_GONE;

	if (!edu_fits(offset, bytes))
		return STATUS_RANGE;
	mutex_lock(&edu->lock);
	if (!edu->broken)
		status = edu_transfer(edu, EDU_MEMORY + offset, edu->buffer->segments[0].start.value, bytes, EDU_DMA_TO_RAM);
	if (status == STATUS_OK)
		memcpy(to, edu->buffer->memory, bytes);
	mutex_unlock(&edu->lock);
	return status;
}

static status_t edu_start(struct edu *edu)
{
	const struct dma_request request = { .bytes = EDU_MEMORY_BYTES, .segments_max = 1 };
	struct pci_function *function = edu->function;
	status_t status;

	function->device.dma_mask = (1ull << EDU_DMA_BITS) - 1;
	pci_enable(function, PCI_MEMORY | PCI_BUS_MASTER);
	status = pci_bar_map(function, 0, 0, EDU_REGISTERS_BYTES, &edu->registers);
	if (status != STATUS_OK)
		return status;
	if ((register_read32(edu->registers, EDU_ID) & EDU_ID_MASK) != EDU_ID_VALUE)
		return STATUS_UNSUPPORTED;
	status = dma_alloc(edu->environment->memory, &function->device, &request, &edu->buffer);
	if (status != STATUS_OK)
		return status;
	if (pci_interrupts_open(function, 1) == 0)
		return STATUS_UNSUPPORTED;
	return pci_interrupt_attach(function, 0, &edu->interrupt, "edu", -1, edu_handle, edu);
}

/* Frees what edu_start has taken, as far as it came. */
static void edu_stop(struct edu *edu)
{
	struct memory *memory = edu->environment->memory;

	pci_stop_dma(edu->function);
	pci_interrupts_close(edu->function);
	dma_free(memory, edu->buffer);
	heap_free(memory_general_heap(memory), edu);
}

static status_t edu_probe(const struct driver_environment *environment, struct pci_function *function)
{
	struct edu *edu = heap_alloc(memory_general_heap(environment->memory), sizeof(*edu), 0);
	status_t status;

	if (!edu)
		return STATUS_NO_MEMORY;
	*edu = (struct edu){ .function = function, .environment = environment };
	mutex_init(&edu->lock, "edu");
	completion_init(&edu->done);
	status = edu_start(edu);
	if (status != STATUS_OK) {
		edu_stop(edu);
		return status;
	}
	function->driver_data = edu;
	log_info("%s: ready", function->device.name);
	return STATUS_OK;
}

static void edu_remove(struct pci_function *function)
{
	edu_stop(function->driver_data);
}

struct edu *edu_from_function(struct pci_function *function)
{
	return function->driver_data;
}

static const struct pci_id ids[] = { { 0x1234, 0x11e8, 0 }, { 0 } };
static const struct driver edu_driver = { "edu", ids, edu_probe, edu_remove };
DRIVER(edu_driver);
