// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the functions of the machine: from each host bridge down through all bridges, each bus
 * once. Numbers come from firmware and devices, so a bridge whose buses cannot be is passed over,
 * and no loop of bridges can trap the scan.
 */
#include "pci.h"

#include "pci_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/heap.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define FUNCTIONS_MAX 1024 /* for machines that show the same devices at every address */
#define HOSTS_MAX     64

static struct list functions = { &functions, &functions };
static unsigned function_count;

/* A scan of the buses of one segment. */
struct scan {
	struct heap *heap;
	struct pci_host host;
	bool several_segments;
	uint64_t seen[PCI_BUSES / 64]; /* buses looked at: a broken bridge does not lead around in circles */
};

static void function_name(struct pci_function *function, bool with_segment)
{
	char *name = function->name;
	size_t used = 0;

	if (with_segment)
		used = format_text(name, sizeof(function->name), "%04x:", function->segment);
	format_text(name + used, sizeof(function->name) - used, "%02x:%02x.%x", function->bus, function->slot,
		    function->number);
}

static void function_read(struct pci_function *function)
{
	const uint32_t class_revision = pci_read32(function, PCI_REVISION);

	function->vendor_id = pci_read16(function, PCI_VENDOR_ID);
	function->device_id = pci_read16(function, PCI_DEVICE_ID);
	function->class_code = class_revision >> 8;
	function->revision = (uint8_t)class_revision;
	function->header_type = pci_read8(function, PCI_HEADER_TYPE) & PCI_HEADER_TYPE_MASK;
	if (function->header_type == PCI_HEADER_DEVICE) {
		function->subsystem_vendor_id = pci_read16(function, PCI_SUBSYSTEM_VENDOR_ID);
		function->subsystem_id = pci_read16(function, PCI_SUBSYSTEM_ID);
	}
	pci_bars_read(function);
	function->device = (struct device){ .name = function->device_name, .dma_mask = UINT64_MAX };
	memcpy(function->device_name, function->name, sizeof(function->name));
}

/* NULL: nothing is there, or there is no room to keep it. */
static struct pci_function *function_find(struct scan *scan, unsigned bus, unsigned slot, unsigned number)
{
	struct pci_function probe = {
		.segment = scan->host.segment,
		.bus = (uint8_t)bus,
		.slot = (uint8_t)slot,
		.number = (uint8_t)number,
	};
	struct pci_function *function;

	if (!pci_config_map(&scan->host, bus, slot, number, &probe.config) || pci_read16(&probe, PCI_VENDOR_ID) == 0xffff)
		return NULL;
	function = function_count < FUNCTIONS_MAX ? heap_alloc(scan->heap, sizeof(*function), 0) : NULL;
	if (!function) {
		log_warn("pci: no room for function %02x:%02x.%x; ignored", bus, slot, number);
		return NULL;
	}
	*function = probe;
	function_name(function, scan->several_segments);
	function_read(function);
	list_insert_last(&functions, &function->link);
	function_count++;
	return function;
}

static void bus_scan(struct scan *scan, unsigned bus);

static void bridge_scan(struct scan *scan, const struct pci_function *bridge)
{
	const unsigned bus = pci_read8(bridge, PCI_SECONDARY_BUS), last = pci_read8(bridge, PCI_SUBORDINATE_BUS);

	if (bus == 0)
		return; /* firmware left it closed */
	if (bus <= bridge->bus || bus > last || last > scan->host.last_bus || bitmap_test(scan->seen, bus)) {
		log_warn("pci: bridge %s says that buses %u to %u are behind it, which cannot be; ignored", bridge->name, bus,
			 last);
		return;
	}
	bus_scan(scan, bus);
}

/* The recursion ends: each level has a bus of its own, with a larger number. */
static void bus_scan(struct scan *scan, unsigned bus)
{
	bitmap_set(scan->seen, bus);
	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		unsigned numbers = 1;

		for (unsigned number = 0; number < numbers; number++) {
			struct pci_function *function = function_find(scan, bus, slot, number);

			if (!function)
				continue;
			if (number == 0 && (pci_read8(function, PCI_HEADER_TYPE) & PCI_HEADER_MULTIFUNCTION))
				numbers = PCI_FUNCTIONS;
			if (function->header_type == PCI_HEADER_BRIDGE)
				bridge_scan(scan, function);
		}
	}
}

status_t pci_scan(struct heap *heap)
{
	struct scan *scan = heap_alloc(heap, sizeof(*scan), 0);
	struct pci_host host;

	if (!scan)
		return STATUS_NO_MEMORY;
	*scan = (struct scan){ .heap = heap };
	for (unsigned i = 0; i < HOSTS_MAX && pci_host_get(i, &host); i++)
		scan->several_segments |= host.segment != 0;
	for (unsigned i = 0; i < HOSTS_MAX && pci_host_get(i, &scan->host); i++) {
		memset(scan->seen, 0, sizeof(scan->seen));
		bus_scan(scan, scan->host.first_bus);
	}
	log_info("pci: %u functions, %s", function_count, scan->host.ecam ? "ECAM" : "legacy access");
	heap_free(heap, scan);
	return function_count > 0 ? STATUS_OK : STATUS_UNSUPPORTED;
}

struct pci_function *pci_next(struct pci_function *function)
{
	struct list *next = function ? function->link.next : functions.next;

	return next == &functions ? NULL : container_of(next, struct pci_function, link);
}

bool pci_matches(const struct pci_function *function, const struct pci_id *id)
{
	if (id->vendor_id == PCI_ANY)
		return function->class_code == id->class_code;
	return function->vendor_id == id->vendor_id && (id->device_id == PCI_ANY || id->device_id == function->device_id);
}

void pci_enable(struct pci_function *function, unsigned rights)
{
	pci_write16(function, PCI_COMMAND, (uint16_t)(pci_read16(function, PCI_COMMAND) | rights));
}

void pci_disable(struct pci_function *function)
{
	const uint16_t command = pci_read16(function, PCI_COMMAND);

	pci_write16(function, PCI_COMMAND,
		    (uint16_t)((command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)) |
			       PCI_COMMAND_LINE_DISABLE));
}

void pci_stop_dma(struct pci_function *function)
{
	pci_write16(function, PCI_COMMAND, (uint16_t)(pci_read16(function, PCI_COMMAND) & ~PCI_COMMAND_BUS_MASTER));
	(void)pci_read16(function, PCI_COMMAND); /* the write has arrived, and pushed memory writes before it */
}
