// SPDX-License-Identifier: BSD-2-Clause
/*
 * Base address registers: where they are, how large, and mapping them. A register that is written
 * with ones gives back which bits it has, and so its size; the function is closed meanwhile. PCI
 * 3.0, section 6.2.5.1.
 */
#include "pci_internal.h"
#include "runtime/base/bits.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/kernel/mmio.h"

#define BAR_IO           (1u << 0)
#define BAR_TYPE_MASK    (3u << 1)
#define BAR_TYPE_64      (2u << 1)
#define BAR_PREFETCHABLE (1u << 3)
#define BAR_FLAGS_IO     3u
#define BAR_FLAGS_MEMORY 15u

#define PORTS 0x10000u /* of the CPU */

/* Writes all ones and sees which bits stay: those of the size do not. */
static uint32_t bar_probe(const struct pci_function *function, unsigned offset, uint32_t *value)
{
	uint32_t bits;

	*value = pci_read32(function, offset);
	pci_write32(function, offset, UINT32_MAX);
	bits = pci_read32(function, offset);
	pci_write32(function, offset, *value);
	return bits;
}

/* Returns how many registers the BAR has. */
static unsigned bar_read(struct pci_function *function, unsigned index, unsigned count)
{
	struct pci_bar *bar = &function->bars[index];
	const unsigned offset = PCI_BAR0 + 4 * index;
	uint32_t value, upper = 0, upper_bits;
	uint64_t bits;

	bits = bar_probe(function, offset, &value);
	bar->io = (value & BAR_IO) != 0;
	bar->wide = !bar->io && (value & BAR_TYPE_MASK) == BAR_TYPE_64 && index + 1 < count;
	bar->prefetchable = !bar->io && (value & BAR_PREFETCHABLE) != 0;
	if (bar->wide) {
		upper_bits = bar_probe(function, offset + 4, &upper);
		bits |= (uint64_t)upper_bits << 32;
	} else if (bits & (bar->io ? ~BAR_FLAGS_IO : ~BAR_FLAGS_MEMORY)) {
		/* I/O BARs need not implement their upper half. */
		bits |= bar->io && !(bits >> 16) ? UINT64_MAX << 16 : UINT64_MAX << 32;
	}
	bits &= ~(uint64_t)(bar->io ? BAR_FLAGS_IO : BAR_FLAGS_MEMORY);
	bar->bytes = bits & (~bits + 1);
	bar->start = ((uint64_t)upper << 32 | value) & ~(uint64_t)(bar->io ? BAR_FLAGS_IO : BAR_FLAGS_MEMORY);
	if (bar->bytes != 0 && !is_aligned(bar->start, bar->bytes))
		bar->start = 0;
	return bar->wide ? 2 : 1;
}

void pci_bars_read(struct pci_function *function)
{
	const uint16_t command = pci_read16(function, PCI_COMMAND);
	const unsigned counts[] = { PCI_BARS, 2 }, count = function->header_type < 2 ? counts[function->header_type] : 0;

	if (count == 0)
		return;
	/* While the registers hold all ones, the function must not answer to what that means. */
	pci_write16(function, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY)));
	for (unsigned index = 0; index < count;)
		index += bar_read(function, index, count);
	pci_write16(function, PCI_COMMAND, command);
}

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
