// SPDX-License-Identifier: BSD-2-Clause
/*
 * Base address registers: where they are, and how large. A register that is written with ones gives
 * back which bits it has, and so its size; the function is closed meanwhile. PCI 3.0, section
 * 6.2.5.1.
 */
#include "pci_internal.h"
#include "runtime/base/bits.h"

#define BAR_IO           (1u << 0)
#define BAR_TYPE_MASK    (3u << 1)
#define BAR_TYPE_64      (2u << 1)
#define BAR_PREFETCHABLE (1u << 3)
#define BAR_FLAGS_IO     3u
#define BAR_FLAGS_MEMORY 15u

static unsigned bar_count(const struct pci_function *function)
{
	return function->header_type == PCI_HEADER_DEVICE ? PCI_BARS : function->header_type == PCI_HEADER_BRIDGE ? 2 : 0;
}

static uint64_t bar_flags(const struct pci_bar *bar)
{
	return bar->io ? BAR_FLAGS_IO : BAR_FLAGS_MEMORY;
}

/* Returns how many registers the BAR has. */
static unsigned bar_locate(struct pci_function *function, unsigned index, unsigned count)
{
	struct pci_bar *bar = &function->bars[index];
	const unsigned offset = PCI_BAR0 + 4 * index;
	const uint32_t value = pci_read32(function, offset);
	uint64_t upper = 0;

	bar->io = (value & BAR_IO) != 0;
	bar->wide = !bar->io && (value & BAR_TYPE_MASK) == BAR_TYPE_64 && index + 1 < count;
	bar->prefetchable = !bar->io && (value & BAR_PREFETCHABLE) != 0;
	if (bar->wide)
		upper = pci_read32(function, offset + 4);
	bar->start = (upper << 32 | value) & ~bar_flags(bar);
	return bar->wide ? 2 : 1;
}

void pci_bars_locate(struct pci_function *function)
{
	const unsigned count = bar_count(function);

	for (unsigned index = 0; index < count;)
		index += bar_locate(function, index, count);
}

/* Writes all ones and sees which bits stay: those of the size do not. */
static uint32_t bar_probe(const struct pci_function *function, unsigned offset)
{
	const uint32_t value = pci_read32(function, offset);
	uint32_t bits;

	pci_write32(function, offset, UINT32_MAX);
	bits = pci_read32(function, offset);
	pci_write32(function, offset, value);
	return bits;
}

static void bar_size(struct pci_function *function, unsigned index)
{
	struct pci_bar *bar = &function->bars[index];
	const unsigned offset = PCI_BAR0 + 4 * index;
	uint64_t bits = bar_probe(function, offset);

	if (bar->wide)
		bits |= (uint64_t)bar_probe(function, offset + 4) << 32;
	bits &= ~bar_flags(bar);
	bar->bytes = bits & (~bits + 1); /* the lowest: I/O BARs need not have their upper half */
	if (bar->bytes != 0 && !is_aligned(bar->start, bar->bytes))
		bar->start = 0;
}

status_t pci_bars_size(struct pci_function *function)
{
	const uint16_t command = pci_read16(function, PCI_COMMAND);

	if (function->shows_console || function->header_type != PCI_HEADER_DEVICE ||
	    PCI_CLASS_SUB(function) == PCI_SUB_HOST_BRIDGE)
		return STATUS_UNSUPPORTED;
	if (function->bars_sized)
		return STATUS_OK;
	/* While the registers hold all ones, the function must not answer to what that means. */
	pci_write16(function, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY)));
	for (unsigned index = 0; index < PCI_BARS; index += function->bars[index].wide ? 2 : 1)
		bar_size(function, index);
	pci_write16(function, PCI_COMMAND, command);
	function->bars_sized = true;
	return STATUS_OK;
}
