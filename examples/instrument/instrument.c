// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers, interrupt and the ring of buffers. The handler only wakes: the counts in the window
 * say what there is to do, so an interrupt too many or one that comes late does no harm. What the
 * card writes is checked before it is used.
 */
#include "instrument.h"

#include "drivers/driver.h"
#include "drivers/registers.h"
#include "runtime/base/heap.h"
#include "runtime/base/log.h"
#include "runtime/base/mutex.h"

/* BAR 0 of an ivshmem device (docs/specs/ivshmem-spec.txt in QEMU's sources). */
#define DOORBELL        12
#define DOORBELL_BYTES  16
#define STOP_WAIT_NS    (5 * NS_PER_S)
#define REGISTER(field) offsetof(struct window, field)

struct instrument {
	struct pci_function *function;
	volatile void *bell;
	volatile struct window *window;
	struct interrupt interrupt;
	_Atomic uint32_t rings; /* interrupts so far; instrument_next sleeps on it */
	struct mutex queueing;
	_Atomic uint32_t queued; /* [queueing] buffers, wrapping as the window's count does */
	_Atomic uint32_t taken;  /* of them by the program */
	uint64_t sample;         /* that the next buffer begins with, if none is lost */
	bool running, gone;
	struct dma_buffer *buffers[WINDOW_SLOTS];
};

static const struct driver instrument_driver;

struct instrument *instrument_find(void)
{
	struct pci_function *function = driver_function(instrument_driver.name, NULL);

	return function ? function->driver_data : NULL;
}

const struct device *instrument_device(const struct instrument *card)
{
	return &card->function->device;
}

static void handle_interrupt(void *context)
{
	struct instrument *card = context;

	atomic_fetch_add(&card->rings, 1);
	platform_wake(&card->rings);
}

static uint32_t window_read(const struct instrument *card, size_t offset)
{
	return register_read32(card->window, offset);
}

static void window_write(struct instrument *card, size_t offset, uint32_t value)
{
	register_write32(card->window, offset, value);
}

static void ring(struct instrument *card)
{
	register_write32(card->bell, DOORBELL, window_read(card, REGISTER(peer)) << 16);
}

/* Sleeps until the card has raised or lowered the register to something else than `value`. */
static status_t wait_for_change(struct instrument *card, size_t offset, uint32_t value, uint64_t deadline_ns)
{
	status_t status = STATUS_OK;

	for (;;) {
		const uint32_t rings = atomic_load(&card->rings);

		if (window_read(card, offset) != value)
			return STATUS_OK;
		if (status == STATUS_TIMEOUT)
			return status;
		status = platform_wait(&card->rings, rings, deadline_ns);
	}
}

status_t instrument_start(struct instrument *card, const struct instrument_stream *stream)
{
	if (card->gone)
		return STATUS_GONE;
	if (card->running)
		return STATUS_BUSY;
	card->queued = card->taken = window_read(card, REGISTER(filled));
	card->sample = 0;
	card->running = true;
	window_write(card, REGISTER(queued), card->queued);
	register_write64(card->window, REGISTER(rate), stream->rate);
	register_write64(card->window, REGISTER(trigger), stream->trigger);
	window_write(card, REGISTER(control), WINDOW_RUN);
	ring(card);
	return STATUS_OK;
}

static status_t queue_locked(struct instrument *card, struct dma_buffer *buffer)
{
	const uint32_t index = card->queued % WINDOW_SLOTS;
	volatile struct window_slot *slot = &card->window->slots[index];

	if (card->queued - card->taken == WINDOW_SLOTS)
		return STATUS_BUSY;
	card->buffers[index] = buffer;
	register_write64(&slot->address, 0, buffer->segments[0].start.value);
	register_write32(&slot->bytes, 0, (uint32_t)buffer->bytes);
	window_write(card, REGISTER(queued), ++card->queued);
	ring(card);
	return STATUS_OK;
}

status_t instrument_queue(struct instrument *card, struct dma_buffer *buffer)
{
	status_t status;

	if (card->gone)
		return STATUS_GONE;
	if (buffer->segment_count != 1 || buffer->bytes % sizeof(uint64_t) != 0 || buffer->bytes > UINT32_MAX)
		return STATUS_INVALID;
	mutex_lock(&card->queueing);
	status = queue_locked(card, buffer);
	mutex_unlock(&card->queueing);
	return status;
}

/* What the card says of its oldest buffer; false: that cannot be. */
static bool read_slot(struct instrument *card, struct instrument_filled *filled)
{
	const uint32_t index = card->taken % WINDOW_SLOTS;
	volatile struct window_slot *slot = &card->window->slots[index];

	filled->buffer = card->buffers[index];
	filled->bytes = register_read32(&slot->written, 0);
	filled->sample = register_read64(&slot->sample, 0);
	filled->time_ns = register_read64(&slot->time_ns, 0);
	filled->trigger = register_read64(&slot->trigger, 0);
	return filled->bytes == filled->buffer->bytes && filled->sample >= card->sample;
}

status_t instrument_next(struct instrument *card, uint64_t deadline_ns, struct instrument_filled *filled)
{
	const uint32_t queued = card->queued - card->taken;
	status_t status;

	if (card->gone)
		return STATUS_GONE;
	if (queued == 0)
		return STATUS_NOT_FOUND;
	status = wait_for_change(card, REGISTER(filled), card->taken, deadline_ns);
	if (status != STATUS_OK)
		return status;
	const uint32_t fault = window_read(card, REGISTER(fault));
	const uint32_t done = window_read(card, REGISTER(filled)) - card->taken;

	if (fault != WINDOW_FAULT_NONE || done > card->queued - card->taken || !read_slot(card, filled)) {
		log_error("%s: fault %u, %u of %u buffers filled, the next one with %lu bytes", card->function->device.name,
			  fault, done, queued, done > 0 ? filled->bytes : 0);
		return STATUS_IO_ERROR;
	}
	card->sample = filled->sample + filled->bytes / sizeof(uint64_t);
	card->taken++;
	return STATUS_OK;
}

status_t instrument_stop(struct instrument *card)
{
	status_t status;

	if (card->gone || !card->running)
		return card->gone ? STATUS_GONE : STATUS_OK;
	window_write(card, REGISTER(control), 0);
	ring(card);
	status = wait_for_change(card, REGISTER(running), WINDOW_RUN, platform_now_ns() + STOP_WAIT_NS);
	card->running = false;
	if (status == STATUS_OK)
		return STATUS_OK;
	/* The card may still write when the buffers belong to another owner. */
	pci_stop_dma(card->function);
	driver_device_is_loose(card->function);
	card->gone = true;
	log_error("%s: does not stop; cut off from memory", card->function->device.name);
	return status;
}

/* Registers and magic, then the interrupt. */
static status_t card_open(struct instrument *card)
{
	struct pci_function *function = card->function;
	volatile void *window;
	status_t status = pci_bar_map(function, 0, 0, DOORBELL_BYTES, PCI_REGISTERS, &card->bell);

	if (status == STATUS_OK)
		status = pci_bar_map(function, 2, 0, WINDOW_BYTES, PCI_REGISTERS, &window);
	if (status != STATUS_OK)
		return status;
	card->window = window;
	pci_enable(function, PCI_MEMORY);
	if (window_read(card, REGISTER(magic)) != WINDOW_MAGIC || window_read(card, REGISTER(version)) != WINDOW_VERSION)
		return STATUS_UNSUPPORTED;
	if (pci_interrupts_open(function, 1) == 0)
		return STATUS_UNSUPPORTED;
	pci_enable(function, PCI_BUS_MASTER);
	return pci_interrupt_attach(function, 0, &card->interrupt, function->device.name, -1, handle_interrupt, card);
}

static status_t probe(const struct driver_environment *environment, struct pci_function *function)
{
	struct instrument *card = heap_alloc(driver_heap(function), sizeof(*card), 0);
	status_t status;

	(void)environment;
	if (!card)
		return STATUS_NO_MEMORY;
	*card = (struct instrument){ .function = function };
	mutex_init(&card->queueing, "instrument");
	status = card_open(card);
	if (status != STATUS_OK) {
		pci_interrupts_close(function);
		heap_free(driver_heap(function), card);
		return status;
	}
	function->driver_data = card;
	log_info("%s: ready", function->device.name);
	return STATUS_OK;
}

static void remove(struct pci_function *function)
{
	struct instrument *card = function->driver_data;

	if (instrument_stop(card) != STATUS_OK)
		driver_device_is_loose(function);
	pci_stop_dma(function);
	pci_interrupts_close(function);
	heap_free(driver_heap(function), card);
}

static const struct pci_id ids[] = { { 0x1af4, 0x1110, 0 }, { 0 } };
static const struct driver instrument_driver = { .name = "instrument", .ids = ids, .probe = probe, .remove = remove };
DRIVER(instrument_driver);
