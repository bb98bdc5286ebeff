// SPDX-License-Identifier: BSD-2-Clause
/*
 * NVMe: from a PCI function to block devices, and back. Starting goes through fixed steps, and
 * stopping undoes as many of them as were done, in reverse order: so a start that fails half way
 * uses the same code as a removal.
 */
#include "nvme.h"

#include "registers.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define WATCH_PERIOD_SHARE  8
#define WATCH_PERIOD_MAX_NS NS_PER_S
#define SHUTDOWN_MIN_NS     (2 * NS_PER_S)
#define SHUTDOWN_MAX_NS     (60 * NS_PER_S)

static uint32_t indices; /* in use; changed by probe and remove, of which one runs at a time */

static void vector_handle(void *context)
{
	struct nvme_vector *vector = context;

	/* A line stays raised until the completions were taken, so it has to be masked. */
	if (vector->nvme->function->interrupt_mode == PCI_INTERRUPTS_LINE)
		register_write32(vector->nvme->registers, NVME_INTMS, 1);
	deferred_queue(&vector->deferred);
}

static void vector_run(struct deferred *deferred)
{
	struct nvme_vector *vector = container_of(deferred, struct nvme_vector, deferred);
	struct nvme *nvme = vector->nvme;

	if (vector->index == 0)
		nvme_admin_process(nvme);
	for (unsigned i = vector->index; i < nvme->queue_count; i += nvme->vector_count) {
		if (nvme->queues[i])
			nvme_queue_process(nvme->queues[i]);
	}
	nvme_line_unmask(nvme);
}

static status_t vectors_open(struct nvme *nvme)
{
	status_t status = STATUS_OK;

	nvme->vector_count = pci_interrupts_open(nvme->function, nvme->queue_count);
	if (nvme->vector_count == 0) {
		log_error("%s: no interrupt", nvme->name);
		return STATUS_UNSUPPORTED;
	}
	for (unsigned i = 0; status == STATUS_OK && i < nvme->vector_count; i++) {
		struct nvme_vector *vector = &nvme->vectors[i];

		vector->nvme = nvme;
		vector->index = i;
		deferred_init(&vector->deferred, vector_run);
		format_text(vector->name, sizeof(vector->name), "%s queue %u", nvme->name, i);
		status = pci_interrupt_attach(nvme->function, i, &vector->interrupt, vector->name,
					      (int)(i % platform_cpu_count()), vector_handle, vector);
	}
	if (status != STATUS_OK)
		log_error("%s: interrupts cannot be attached: %s", nvme->name, status_text(status));
	return status;
}

/* No handler and no deferred work runs any more. */
static void vectors_close(struct nvme *nvme)
{
	pci_interrupts_close(nvme->function);
	for (unsigned i = 0; i < nvme->vector_count; i++) {
		if (nvme->vectors[i].nvme)
			deferred_flush(&nvme->vectors[i].deferred);
	}
}

/* Text of a fixed width, padded with blanks; the device's, so anything may be in it. */
static void text_copy(char *text, const uint8_t *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		text[i] = from[i] >= ' ' && from[i] <= '~' ? (char)from[i] : '?';
	while (bytes > 0 && text[bytes - 1] == ' ')
		bytes--;
	text[bytes] = '\0';
}

static void controller_read(struct nvme *nvme, const uint8_t *answer)
{
	const unsigned transfer_shift = NVME_CAP_PAGE_SHIFT_MIN(nvme->cap) + answer[NVME_CONTROLLER_MDTS];
	uint32_t shutdown_us;

	memcpy(&shutdown_us, answer + NVME_CONTROLLER_RTD3E, sizeof(shutdown_us));
	memcpy(&nvme->namespaces_numbered, answer + NVME_CONTROLLER_NAMESPACES, sizeof(nvme->namespaces_numbered));
	memcpy(nvme->serial, answer + NVME_CONTROLLER_SERIAL, NVME_SERIAL_BYTES);
	text_copy(nvme->model, answer + NVME_CONTROLLER_MODEL, NVME_MODEL_BYTES - 1);
	nvme->write_cache = answer[NVME_CONTROLLER_CACHE] & NVME_CACHE_PRESENT;
	nvme->shutdown_ns = MIN(MAX(shutdown_us * NS_PER_US, SHUTDOWN_MIN_NS), SHUTDOWN_MAX_NS);
	nvme->transfer_bytes_max = DISK_TRANSFER_BYTES_MAX;
	if (answer[NVME_CONTROLLER_MDTS] != 0 && transfer_shift < 32)
		nvme->transfer_bytes_max = MIN(nvme->transfer_bytes_max, 1u << transfer_shift);
}

static status_t controller_identify(struct nvme *nvme)
{
	struct memory *memory = nvme->environment->memory;
	struct dma_coherent answer;
	status_t status;

	status = dma_coherent_alloc(memory, &nvme->function->device, NVME_IDENTIFY_BYTES, 1ull << nvme->page_shift, &answer);
	if (status != STATUS_OK)
		return status;
	status = nvme_identify(nvme, NVME_IDENTIFY_CONTROLLER, 0, &answer);
	if (status == STATUS_OK)
		controller_read(nvme, answer.memory);
	dma_coherent_free(memory, &answer);
	return status;
}

static status_t queues_alloc(struct nvme *nvme)
{
	unsigned wanted = nvme->queue_count;
	status_t status;

	status = nvme_queues_negotiate(nvme, &wanted);
	if (status != STATUS_OK)
		return status;
	nvme->queue_count = wanted;
	for (unsigned i = 0; i < wanted; i++) {
		status = nvme_queue_alloc(nvme, i + 1, &nvme->queues[i]);
		if (status != STATUS_OK)
			return status;
	}
	return nvme_queues_create(nvme);
}

static status_t controller_start(struct nvme *nvme)
{
	status_t status;

	pci_enable(nvme->function, PCI_MEMORY);
	status = nvme_controller_open(nvme);
	if (status == STATUS_OK)
		status = nvme_controller_disable(nvme);
	if (status == STATUS_OK) {
		driver_device_was_reset(nvme->function);
		status = nvme_admin_alloc(nvme);
	}
	if (status == STATUS_OK)
		status = vectors_open(nvme);
	if (status != STATUS_OK)
		return status;
	pci_enable(nvme->function, PCI_BUS_MASTER);
	status = nvme_controller_enable(nvme);
	if (status == STATUS_OK)
		status = controller_identify(nvme);
	if (status == STATUS_OK)
		status = queues_alloc(nvme);
	if (status == STATUS_OK)
		status = nvme_namespaces_find(nvme);
	if (status != STATUS_OK)
		return status;
	return disk_watch_start(&nvme->watch, nvme->name, MIN(nvme->timeout_ns / WATCH_PERIOD_SHARE, WATCH_PERIOD_MAX_NS),
				nvme_watch_look);
}

/* Ends the controller's work, in order if it can. From here on no task may start it again. */
static void controller_quiet(struct nvme *nvme)
{
	disk_watch_stop(&nvme->watch);
	atomic_store(&nvme->quiet, true);
	for (unsigned i = 0; i < nvme->queue_count && nvme->queues[i]; i++)
		disk_queue_stop(&nvme->queues[i]->disk);
	if (nvme->registers && !nvme->gone && nvme->admin.open) {
		nvme_queues_delete(nvme);
		nvme_controller_shutdown(nvme);
	}
	if (nvme->registers && (nvme->gone || nvme_controller_disable(nvme) != STATUS_OK))
		driver_device_is_loose(nvme->function);
	pci_stop_dma(nvme->function);
}

/* Stops what controller_start has started, as far as it came, and frees everything. */
static void controller_stop(struct nvme *nvme)
{
	struct list done;

	list_init(&done);
	controller_quiet(nvme);
	vectors_close(nvme);
	for (unsigned i = 0; i < nvme->queue_count && nvme->queues[i]; i++)
		disk_queue_fail(&nvme->queues[i]->disk, &done);
	disk_requests_finish(&done);
	for (unsigned i = 0; i < nvme->queue_count && nvme->queues[i]; i++)
		nvme_queue_free(nvme, nvme->queues[i]);
	nvme_namespaces_free(nvme);
	nvme_admin_free(nvme);
	indices &= ~(1u << nvme->index);
	heap_free(driver_heap(nvme->function), nvme);
}

static status_t nvme_probe(const struct driver_environment *environment, struct pci_function *function)
{
	struct nvme *nvme;
	status_t status;

	if (indices == UINT32_MAX)
		return STATUS_UNSUPPORTED;
	nvme = heap_alloc_zeroed(driver_heap(function), sizeof(*nvme), 0);
	if (!nvme)
		return STATUS_NO_MEMORY;
	nvme->function = function;
	nvme->environment = environment;
	nvme->timeout_ns = environment->io_timeout_ns ? environment->io_timeout_ns : DISK_TIMEOUT_NS;
	nvme->index = (unsigned)__builtin_ctz(~indices);
	indices |= 1u << nvme->index;
	format_text(nvme->name, sizeof(nvme->name), "nvme%u", nvme->index);
	spinlock_init(&nvme->admin.lock, "nvme admin");
	status = controller_start(nvme);
	if (status != STATUS_OK) {
		controller_stop(nvme);
		return status;
	}
	function->driver_data = nvme;
	for (unsigned i = 0; i < nvme->queue_count; i++)
		disk_queue_start(&nvme->queues[i]->disk);
	for (unsigned i = 0; i < nvme->namespace_count; i++)
		block_device_register(environment->block_devices, &nvme->namespaces[i]->block);
	log_info("%s: %u queues, %u interrupts", nvme->name, nvme->queue_count, nvme->vector_count);
	return STATUS_OK;
}

static void nvme_remove(struct pci_function *function)
{
	struct nvme *nvme = function->driver_data;

	for (unsigned i = 0; i < nvme->namespace_count; i++)
		block_device_unregister(nvme->environment->block_devices, &nvme->namespaces[i]->block);
	controller_stop(nvme);
}

static void nvme_shutdown(struct pci_function *function)
{
	controller_quiet(function->driver_data);
}

static const struct pci_id ids[] = { { .vendor_id = PCI_ANY, .class_code = 0x010802 }, { 0 } };
static const struct driver nvme_driver = {
	.name = "nvme",
	.ids = ids,
	.probe = nvme_probe,
	.remove = nvme_remove,
	.shutdown = nvme_shutdown,
};
DRIVER(nvme_driver);
