// SPDX-License-Identifier: BSD-2-Clause
/*
 * BARs as the driver uses them: mapped memory, or ports. What the driver asks for is checked
 * against the size, so that a wrong number reaches no other device.
 */
#include "pci_internal.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/kernel/mmio.h"

#define PORTS 0x10000u /* of the CPU */

/* Whether the BAR is there, of that kind, and has these bytes; else the reason is logged. */
static status_t bar_check(const struct pci_function *function, unsigned index, bool io, uint64_t offset, uint64_t bytes)
{
	static const struct pci_bar none;
	const struct pci_bar *bar = index < PCI_BARS ? &function->bars[index] : &none;

	if (bar->bytes == 0 || bar->io != io) {
		log_error("%s: there is no %s BAR %u", function->device.name, io ? "I/O" : "memory", index);
		return STATUS_UNSUPPORTED;
	}
	if (bar->start == 0) {
		log_error("%s: firmware gave BAR %u no address", function->device.name, index);
		return STATUS_UNSUPPORTED;
	}
	if (bytes == 0 || bytes > bar->bytes || offset > bar->bytes - bytes) {
		log_error("%s: BAR %u has %llu bytes; 0x%llx at 0x%llx are not within", function->device.name, index,
			  (unsigned long long)bar->bytes, (unsigned long long)bytes, (unsigned long long)offset);
		return STATUS_RANGE;
	}
	return STATUS_OK;
}

status_t pci_bar_map(struct pci_function *function, unsigned index, uint64_t offset, uint64_t bytes, enum pci_mapping mapping,
		     volatile void **registers)
{
	status_t status = bar_check(function, index, false, offset, bytes);
	uint64_t address;
	void *mapped;

	if (status != STATUS_OK)
		return status;
	address = (INJECTED("bar-in-ram") ? (uintptr_t)function : function->bars[index].start) + offset;
	status = mmio_map_as((struct phys_addr){ address }, bytes, (enum mmio_type)mapping, &mapped);
	if (status == STATUS_BUSY)
		log_error("%s: BAR %u cannot be mapped at 0x%llx, part of which is mapped as another type of memory",
			  function->device.name, index, (unsigned long long)address);
	else if (status == STATUS_CORRUPT)
		log_error("%s: firmware put BAR %u at 0x%llx, where RAM is; it is not used", function->device.name, index,
			  (unsigned long long)address);
	else if (status != STATUS_OK)
		log_error("%s: BAR %u at 0x%llx cannot be mapped: %s", function->device.name, index,
			  (unsigned long long)address, status_text(status));
	else
		*registers = mapped;
	return status == STATUS_RANGE || status == STATUS_CORRUPT ? STATUS_UNSUPPORTED : status;
}

status_t pci_bar_ports(struct pci_function *function, unsigned index, uint64_t offset, uint64_t bytes, uint16_t *port)
{
	status_t status = bar_check(function, index, true, offset, bytes);

	if (status != STATUS_OK)
		return status;
	if (function->bars[index].start + offset + bytes > PORTS) {
		log_error("%s: I/O BAR %u lies beyond the CPU's ports", function->device.name, index);
		return STATUS_UNSUPPORTED;
	}
	*port = (uint16_t)(function->bars[index].start + offset);
	return STATUS_OK;
}
