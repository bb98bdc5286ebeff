// SPDX-License-Identifier: BSD-2-Clause
/*
 * NVMe: from a PCI function to block devices, and back. Starting goes through fixed steps, and
 * stopping undoes as many of them as were done, in reverse order: so a start that fails half way
 * uses the same code as a removal.
 */
#include "nvme.h"

#include "drivers/registers.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define SHUTDOWN_MIN_NS (2 * NS_PER_S)
#define SHUTDOWN_MAX_NS (60 * NS_PER_S)

static uint32_t indices; /* in use; changed by probe and remove, of which one runs at a time */

/* A line stays raised until the completions were taken, so it has to be masked. */
static bool nvme_quiet(struct disk_device *device, unsigned vector)
{
	(void)vector;
	if (device->function->interrupt_mode == PCI_INTERRUPTS_LINE)
		register_write32(nvme_of(device)->registers, NVME_INTMS, 1);
	return true;
}

static void nvme_serve(struct disk_device *device, unsigned vector)
{
	if (vector == 0)
		nvme_admin_process(nvme_of(device));
	disk_vector_serve(device, vector);
	nvme_line_unmask(nvme_of(device));
}

static const struct disk_operations operations = {
	.quiet = nvme_quiet,
	.serve = nvme_serve,
	.process = nvme_queue_process,
	.look = nvme_look,
	.late = nvme_late,
	.halt = nvme_halt,
	.restart = nvme_restart,
	.take_over = nvme_take_over,
	.poll = nvme_queue_poll,
};

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
	const status_t status = nvme_identify(nvme, NVME_IDENTIFY_CONTROLLER, 0);

	if (status == STATUS_OK)
		controller_read(nvme, nvme->admin.answer.memory);
	return status;
}

static status_t queues_alloc(struct nvme *nvme)
{
	unsigned wanted = nvme->common.queue_count;
	status_t status;

	status = nvme_queues_negotiate(nvme, &wanted);
	if (status != STATUS_OK)
		return status;
	nvme->common.queue_count = wanted;
	for (unsigned i = 0; i < wanted; i++) {
		status = nvme_queue_alloc(nvme, i);
		if (status != STATUS_OK)
			return status;
	}
	return nvme_queues_create(nvme);
}

static status_t controller_start(struct nvme *nvme)
{
	status_t status;

	pci_enable(nvme->common.function, PCI_MEMORY);
	status = nvme_controller_open(nvme);
	if (status == STATUS_OK)
		status = nvme_controller_disable(nvme);
	if (status == STATUS_OK) {
		driver_device_was_reset(nvme->common.function);
		status = nvme_admin_alloc(nvme);
	}
	if (status == STATUS_OK)
		status = disk_vectors_open(&nvme->common);
	if (status != STATUS_OK)
		return status;
	pci_enable(nvme->common.function, PCI_BUS_MASTER);
	status = nvme_controller_enable(nvme);
	if (status == STATUS_OK)
		status = controller_identify(nvme);
	if (status == STATUS_OK)
		status = queues_alloc(nvme);
	if (status == STATUS_OK)
		status = nvme_namespaces_find(nvme);
	if (status != STATUS_OK)
		return status;
	nvme_events_start(nvme);
	return disk_device_watch(&nvme->common);
}

/* Ends the controller's work, in order if it can. From here on no task may start it again. */
static void controller_quiet(struct nvme *nvme)
{
	disk_device_stop(&nvme->common);
	if (nvme->registers && !nvme->common.gone && nvme->admin.open) {
		nvme_queues_delete(nvme);
		nvme_controller_shutdown(nvme, NVME_CC_SHUTDOWN_NORMAL, nvme->shutdown_ns);
	}
	if (nvme->registers && (nvme->common.gone || nvme_controller_disable(nvme) != STATUS_OK))
		driver_device_is_loose(nvme->common.function);
	pci_stop_dma(nvme->common.function);
}

/* Stops what controller_start has started, as far as it came, and frees everything. */
static void controller_stop(struct nvme *nvme)
{
	controller_quiet(nvme);
	disk_vectors_close(&nvme->common);
	disk_device_fail(&nvme->common);
	for (unsigned i = 0; disk_device_queue(&nvme->common, i); i++)
		nvme_queue_free(nvme, nvme_queue_at(&nvme->common, i));
	nvme_namespaces_free(nvme);
	nvme_admin_free(nvme);
	disk_device_fini(&nvme->common);
	heap_free(driver_heap(nvme->common.function), nvme);
}

static status_t nvme_probe(const struct driver_environment *environment, struct pci_function *function)
{
	struct nvme *nvme = heap_alloc_zeroed(driver_heap(function), sizeof(*nvme), 0);
	status_t status;

	if (!nvme)
		return STATUS_NO_MEMORY;
	status = disk_device_init(&nvme->common, &operations, environment, function, "nvme", &indices);
	if (status != STATUS_OK) {
		heap_free(driver_heap(function), nvme);
		return status;
	}
	spinlock_init(&nvme->admin.lock, "nvme admin");
	status = controller_start(nvme);
	if (status != STATUS_OK) {
		controller_stop(nvme);
		return status;
	}
	function->driver_data = &nvme->common;
	disk_device_start(&nvme->common);
	disk_device_publish(&nvme->common);
	log_info("%s: %u queues, %u interrupts", nvme->common.name, nvme->common.queue_count, nvme->common.vector_count);
	return STATUS_OK;
}

static void nvme_remove(struct pci_function *function)
{
	disk_device_withdraw(function->driver_data);
	controller_stop(nvme_of(function->driver_data));
}

static void nvme_shutdown(struct pci_function *function)
{
	controller_quiet(nvme_of(function->driver_data));
}

static const struct pci_id ids[] = { { .vendor_id = PCI_ANY, .class_code = 0x010802 }, { 0 } };
static const struct driver nvme_driver = {
	.name = "nvme",
	.ids = ids,
	.probe = nvme_probe,
	.remove = nvme_remove,
	.shutdown = nvme_shutdown,
	.panic_end = nvme_panic_end,
};
DRIVER(nvme_driver);
