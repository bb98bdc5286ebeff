// SPDX-License-Identifier: BSD-2-Clause
/*
 * Finds the functions of the machine: on every bus of every range, in order of their numbers, each
 * once. A machine may have several root buses, and only AML says which, so a bus needs no bridge
 * that leads to it. Bridges say what lies above a bus; their numbers come from firmware and
 * devices, and since a bridge only ever has larger buses behind it, no loop of bridges can trap the
 * scan or the walk from a function upwards.
 */
#include "pci.h"

#include "pci_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/format.h"
#include "runtime/base/heap.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/base/platform.h"
#include "runtime/base/string.h"

#define HOSTS_MAX     1024
#define RETRY_NS      NS_PER_S /* for all functions that are not ready, together */
#define RETRY_POLL_NS (10 * NS_PER_MS)

#define EXPRESS_FLAGS         2 /* offsets within the capability */
#define EXPRESS_CONTROL_2     40
#define EXPRESS_TYPE(flags)   ((flags) >> 4 & 15)
#define EXPRESS_ROOT_PORT     4
#define EXPRESS_SWITCH_PORT   6 /* a downstream one */
#define EXPRESS_CONTROL_2_ARI (1u << 5)

struct scan {
	struct heap *heap;
	struct list *functions;
	struct pci_host *hosts;
	unsigned host_count;
	bool several_segments;
	uint64_t retry_end_ns;                 /* until when functions that are not ready are waited for; 0: none was met */
	struct pci_function *above[PCI_BUSES]; /* the bridge in front of each bus of the present range */
	unsigned function_count, root_bus_count;
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

	function->class_code = class_revision >> 8;
	function->revision = (uint8_t)class_revision;
	function->header_type = pci_read8(function, PCI_HEADER_TYPE) & PCI_HEADER_TYPE_MASK;
	if (function->header_type == PCI_HEADER_DEVICE) {
		function->subsystem_vendor_id = pci_read16(function, PCI_SUBSYSTEM_VENDOR_ID);
		function->subsystem_id = pci_read16(function, PCI_SUBSYSTEM_ID);
	}
	pci_bars_locate(function);
	function->driver_status = STATUS_NOT_FOUND;
	function->device = (struct device){ .name = function->device_name, .dma_mask = UINT64_MAX };
	memcpy(function->device_name, function->name, sizeof(function->name));
}

/* Machines differ in what they answer for a function that is not there. */
uint32_t pci_id_read(const struct pci_function *function)
{
	const uint32_t id = pci_read32(function, PCI_VENDOR_ID);

	return (id & 0xffff) == PCI_VENDOR_NONE || (id & 0xffff) == 0 ? 0 : id;
}

/* Waits for one that is not ready, within the time for all of them. */
static uint32_t id_wait(struct scan *scan, const struct pci_function *probe)
{
	uint32_t id = pci_id_read(probe);

	while ((id & 0xffff) == PCI_VENDOR_RETRY) {
		if (scan->retry_end_ns == 0)
			scan->retry_end_ns = platform_now_ns() + RETRY_NS;
		if (platform_now_ns() >= scan->retry_end_ns) {
			log_warn("pci: function %02x:%02x.%x is not ready; ignored", probe->bus, probe->slot, probe->number);
			return 0;
		}
		pci_sleep(RETRY_POLL_NS);
		id = pci_id_read(probe);
	}
	return id;
}

/* NULL: nothing is there, or there is no room to keep it. */
static struct pci_function *function_find(struct scan *scan, struct pci_host *host, unsigned bus, unsigned slot,
					  unsigned number)
{
	struct pci_function *function, probe = {
		.segment = host->segment,
		.bus = (uint8_t)bus,
		.slot = (uint8_t)slot,
		.number = (uint8_t)number,
		.parent = scan->above[bus],
	};
	uint32_t id;

	pci_config_find(host, &probe);
	id = id_wait(scan, &probe);
	if (id == 0)
		return NULL;
	function = heap_alloc(scan->heap, sizeof(*function), 0);
	if (!function) {
		log_warn("pci: no room for function %02x:%02x.%x; ignored", bus, slot, number);
		return NULL;
	}
	*function = probe;
	function->vendor_id = (uint16_t)id;
	function->device_id = (uint16_t)(id >> 16);
	function_name(function, scan->several_segments);
	function_read(function);
	list_insert_last(scan->functions, &function->link);
	scan->function_count++;
	host->answered = true;
	return function;
}

/* Whether an earlier range has shown that bus. */
static bool bus_is_known(const struct scan *scan, const struct pci_host *host, unsigned bus)
{
	for (const struct pci_host *other = scan->hosts; other < host; other++) {
		if (other->answered && other->segment == host->segment && bus >= other->first_bus && bus <= other->last_bus)
			return true;
	}
	return false;
}

static void bridge_note(struct scan *scan, const struct pci_host *host, struct pci_function *bridge)
{
	const unsigned bus = pci_read8(bridge, PCI_SECONDARY_BUS), last = pci_read8(bridge, PCI_SUBORDINATE_BUS);

	if (INJECTED("bridges-off"))
		pci_write16(bridge, PCI_COMMAND,
			    (uint16_t)(pci_read16(bridge, PCI_COMMAND) & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_BUS_MASTER)));
	if (bus == 0)
		return; /* firmware left it closed */
	if (bus <= bridge->bus || bus > last || bus > host->last_bus || bus_is_known(scan, host, bus) || scan->above[bus])
		log_warn("pci: bridge %s says that buses %u to %u are behind it, which cannot be; ignored", bridge->name, bus,
			 last);
	else
		scan->above[bus] = bridge;
}

/*
 * Behind such a port is one device. Some answer to all slots, and would be seen 32 times. With ARI,
 * what looks like slots are further functions of it.
 */
static bool has_one_slot(const struct pci_function *bridge)
{
	const unsigned capability = pci_capability_find(bridge, PCI_CAPABILITY_EXPRESS, 0);
	unsigned type;

	if (!capability)
		return false;
	type = EXPRESS_TYPE(pci_read16(bridge, capability + EXPRESS_FLAGS));
	if (type != EXPRESS_ROOT_PORT && type != EXPRESS_SWITCH_PORT)
		return false;
	return !(pci_read16(bridge, capability + EXPRESS_CONTROL_2) & EXPRESS_CONTROL_2_ARI);
}

/* Only function 0 is always there; its header says whether to look for others. */
static void slot_scan(struct scan *scan, struct pci_host *host, unsigned bus, unsigned slot)
{
	unsigned count = 1;

	for (unsigned number = 0; number < count; number++) {
		struct pci_function *function = function_find(scan, host, bus, slot, number);

		if (!function)
			continue;
		if (pci_read8(function, PCI_HEADER_TYPE) & PCI_HEADER_MULTIFUNCTION)
			count = PCI_FUNCTIONS;
		if (function->header_type == PCI_HEADER_BRIDGE)
			bridge_note(scan, host, function);
	}
}

static void host_scan(struct scan *scan, struct pci_host *host)
{
	memset(scan->above, 0, sizeof(scan->above));
	for (unsigned bus = host->first_bus; bus <= host->last_bus; bus++) {
		const unsigned slots = scan->above[bus] && has_one_slot(scan->above[bus]) ? 1 : PCI_SLOTS;
		const unsigned before = scan->function_count;

		if (bus_is_known(scan, host, bus))
			continue;
		for (unsigned slot = 0; slot < slots; slot++)
			slot_scan(scan, host, bus, slot);
		if (scan->function_count > before && !scan->above[bus])
			scan->root_bus_count++;
	}
}

static uint64_t host_start(const struct pci_host *host)
{
	return host->ecam + (uint64_t)host->first_bus * PCI_BUS_BYTES;
}

/* Whether both show some of the same functions, as different ones. */
static bool hosts_collide(const struct pci_host *one, const struct pci_host *other)
{
	const uint64_t one_end = one->ecam + (one->last_bus + 1ull) * PCI_BUS_BYTES;
	const uint64_t other_end = other->ecam + (other->last_bus + 1ull) * PCI_BUS_BYTES;

	return one->ecam != 0 && other->ecam != 0 && host_start(one) < other_end && host_start(other) < one_end &&
	       (one->segment != other->segment || one->ecam != other->ecam);
}

/* A function that is seen twice would get two drivers. Ports reach segment 0 alone. */
static bool host_is_sane(const struct scan *scan, const struct pci_host *host)
{
	bool sane = host->ecam != 0 || host->segment == 0;

	for (const struct pci_host *other = scan->hosts; other < host; other++)
		sane = sane && !(other->answered && hosts_collide(host, other));
	if (!sane)
		log_warn("pci: the configuration space of segment %u, buses %u to %u cannot be at 0x%llx; ignored",
			 host->segment, host->first_bus, host->last_bus, (unsigned long long)host->ecam);
	return sane;
}

static status_t hosts_scan(struct scan *scan)
{
	unsigned with_ecam = 0;

	while (scan->host_count < HOSTS_MAX && pci_host_get(scan->host_count, &scan->hosts[scan->host_count])) {
		scan->several_segments |= scan->hosts[scan->host_count].segment != 0;
		scan->host_count++;
	}
	for (unsigned i = 0; i < scan->host_count; i++) {
		if (host_is_sane(scan, &scan->hosts[i]) && pci_host_open(&scan->hosts[i]))
			host_scan(scan, &scan->hosts[i]);
		with_ecam += scan->hosts[i].answered && scan->hosts[i].ecam != 0;
	}
	log_info("pci: %u functions, %u root buses, %s", scan->function_count, scan->root_bus_count,
		 with_ecam ? "ECAM" : "legacy access");
	return scan->function_count > 0 ? STATUS_OK : STATUS_UNSUPPORTED;
}

status_t pci_functions_find(struct list *functions, struct heap *heap)
{
	struct scan *scan = heap_alloc_zeroed(heap, sizeof(*scan), 0);
	status_t status = STATUS_NO_MEMORY;

	if (!scan)
		return STATUS_NO_MEMORY;
	scan->heap = heap;
	scan->functions = functions;
	scan->hosts = heap_alloc_array(heap, HOSTS_MAX, sizeof(*scan->hosts), 0);
	if (scan->hosts)
		status = hosts_scan(scan);
	heap_free(heap, scan->hosts);
	heap_free(heap, scan);
	return status;
}
