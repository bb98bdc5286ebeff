// SPDX-License-Identifier: BSD-2-Clause
/*
 * Matches drivers with PCI functions. The linker collects the drivers in a table, so none is named
 * here. What a driver leaves behind when it goes is cut off from the machine first, in one place,
 * and then reported.
 */
#include "driver.h"

#include "heap/dma/dma.h"
#include "heap/dma/dma_quarantine.h"
#include "heap/memory.h"
#include "runtime/base/block_device.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/mutex.h"
#include "runtime/base/string.h"
#include "runtime/kernel/clock.h"
#include "runtime/kernel/iommu.h"
#include "runtime/kernel/panic.h"
#include "runtime/kernel/task.h"

/* The linker makes these of the section. */
extern const struct driver *const __start_drivers[];
extern const struct driver *const __stop_drivers[];

static struct mutex lock; /* one probe or remove at a time */
static const struct driver_environment *environment;

void driver_pause(uint64_t ns)
{
	if (panic_is_active())
		clock_delay_ns(ns);
	else
		task_sleep(ns);
}

static bool driver_wants(const struct driver *driver, const struct pci_function *function)
{
	for (const struct pci_id *id = driver->ids; id->vendor_id != 0; id++) {
		if (pci_matches(function, id))
			return true;
	}
	return false;
}

static const struct driver *driver_find(const struct pci_function *function)
{
	for (const struct driver *const *driver = __start_drivers; driver < __stop_drivers; driver++) {
		if (driver_wants(*driver, function))
			return *driver;
	}
	return NULL;
}

/* Ends the quarantine of what the function has, if it can be reset from here. */
static void quarantine_try_end(struct pci_function *function)
{
	if (dma_quarantine_bytes(environment->dma, &function->device) > 0 && pci_reset(function) == STATUS_OK)
		driver_device_was_reset(function);
}

/*
 * The driver may have forgotten to stop its device: from here on the function neither writes to
 * memory nor interrupts, and memory that it may still know stays in quarantine.
 */
static void function_quiet(struct pci_function *function)
{
	uint64_t leaks;

	pci_disable(function);
	pci_interrupts_close(function);
	function->driver_data = NULL;
	(void)tracked_heap_report_left(&function->tracked);
	leaks = dma_device_leaks(environment->dma, &function->device);
	if (leaks > 0) {
		log_error("%s: %llu pieces of DMA memory were left behind", function->device.name, (unsigned long long)leaks);
		driver_device_is_loose(function);
	}
	dma_guarantee_end(environment->dma, &function->device);
	quarantine_try_end(function);
}

void driver_device_is_loose(struct pci_function *function)
{
	(void)dma_quarantine(environment->dma, &function->device);
}

void driver_device_was_reset(struct pci_function *function)
{
	(void)dma_quarantine_end(environment->dma, &function->device);
}

static status_t probe_locked(struct pci_function *function, const struct driver *driver)
{
	status_t status;

	format_text(function->device_name, sizeof(function->device_name), "%s %s", driver->name, function->name);
	function->device = (struct device){ .name = function->device_name, .dma_mask = UINT64_MAX };
	if (!driver_heap(function)->name)
		memory_tracked_heap_init(environment->memory, &function->tracked, function->device_name);
	pci_disable(function); /* firmware may have left it running */
	pci_bridges_open(function);
	status = driver->probe(environment, function);
	if (status != STATUS_OK) {
		log_error("%s: not started: %s", function->device.name, status_text(status));
		function_quiet(function);
	}
	return status;
}

static status_t bind_locked(struct pci_function *function)
{
	const struct driver *driver;

	if (function->driver)
		return STATUS_BUSY;
	driver = driver_find(function);
	if (!driver)
		return STATUS_NOT_FOUND;
	function->driver_status = pci_bars_size(function);
	if (function->driver_status == STATUS_OK)
		function->driver_status = probe_locked(function, driver);
	else
		log_warn("pci: %s is a bridge or shows the console; driver %s does not get it", function->name, driver->name);
	if (function->driver_status == STATUS_OK)
		function->driver = driver;
	return function->driver_status;
}

static status_t remove_locked(struct pci_function *function)
{
	const struct driver *const driver = function->driver;

	if (!driver)
		return STATUS_NOT_FOUND;
	if (block_devices_retire(environment->block_devices, &function->device) != STATUS_OK) {
		log_warn("%s: not removed: a volume is on its disk; detach the volume first", function->device.name);
		return STATUS_BUSY;
	}
	function->driver = NULL; /* first: a panic meanwhile must not call a driver that is half gone */
	driver->remove(function);
	function->driver_status = STATUS_GONE;
	function_quiet(function);
	log_info("%s: removed", function->device.name);
	return STATUS_OK;
}

status_t driver_probe(struct pci_function *function)
{
	status_t status;

	mutex_lock(&lock);
	status = bind_locked(function);
	mutex_unlock(&lock);
	return status;
}

status_t driver_remove(struct pci_function *function)
{
	status_t status;

	mutex_lock(&lock);
	status = remove_locked(function);
	mutex_unlock(&lock);
	return status;
}

status_t drivers_start(const struct driver_environment *with)
{
	status_t status;

	environment = with;
	mutex_init(&lock, "drivers");
	pci_avoid_messages(with->no_message_interrupts);
	status = pci_scan(memory_general_heap(with->memory), with->screen);
	if (status != STATUS_OK)
		return status;
	iommu_turn_off();
	pci_commands_register(with->commands);
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		if (driver_probe(function) != STATUS_OK && pci_is_storage(function)) {
			char text[PCI_REASON_BYTES];

			log_info("pci: %s: %s", function->name, pci_reason(function, text));
		}
	}
	return STATUS_OK;
}

void drivers_stop(void)
{
	struct pci_function *function = NULL, *next;

	if (!environment)
		return;
	mutex_lock(&lock);
	do {
		struct pci_function *last = NULL;

		for (next = pci_next(NULL); next != function; next = pci_next(next))
			last = next;
		function = last;
		if (function && function->driver && function->driver->shutdown)
			function->driver->shutdown(function);
		if (function && function->driver)
			pci_stop_dma(function);
	} while (function);
	mutex_unlock(&lock);
}

void drivers_panic_end(void)
{
	if (!environment)
		return;
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function)) {
		if (function->driver && function->driver->panic_end)
			function->driver->panic_end(function);
	}
}

struct pci_function *driver_function(const char *driver, struct pci_function *after)
{
	struct pci_function *function = pci_next(after);

	while (function && !(function->driver && strcmp(function->driver->name, driver) == 0))
		function = pci_next(function);
	return function;
}
