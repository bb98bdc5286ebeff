// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a function may do: answer, and reach memory. Firmware's devices may still be running when
 * the scan finds them, a network card that it booted from, say, which goes on to write what it
 * receives into memory that has other owners now.
 */
#include "pci.h"

#include "pci_internal.h"
#include "runtime/base/atomic.h"
#include "runtime/base/list.h"
#include "runtime/base/platform.h"

static struct list functions = { &functions, &functions };

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

void pci_bridges_open(struct pci_function *function)
{
	for (struct pci_function *bridge = function->parent; bridge; bridge = bridge->parent)
		pci_enable(bridge, PCI_MEMORY | PCI_BUS_MASTER);
}

static bool is_display(const struct pci_function *function)
{
	return PCI_CLASS_BASE(function) == PCI_BASE_DISPLAY || PCI_CLASS_SUB(function) == PCI_SUB_OLD_DISPLAY;
}

/* Where the last of the function's BARs begins that begins at `address` or below; 0: none does. */
static uint64_t bar_below(const struct pci_function *function, uint64_t address)
{
	uint64_t start = 0;

	if (!(pci_read16(function, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return 0;
	for (unsigned i = 0; i < PCI_BARS; i += function->bars[i].wide ? 2 : 1) {
		const struct pci_bar *bar = &function->bars[i];

		if (!bar->io && bar->start <= address && bar->start > start)
			start = bar->start;
	}
	return start;
}

/*
 * The screen's memory lies in the BAR that begins last before it. Sizes would say more, but cannot
 * be asked for without taking the screen away. Where that is no display, the screen may be any of
 * them.
 */
static void console_mark(const struct list *list, struct phys_range screen)
{
	struct pci_function *owner = NULL;
	uint64_t best = 0;

	if (screen.bytes == 0)
		return;
	list_for_each (link, list) {
		struct pci_function *function = container_of(link, struct pci_function, link);
		const uint64_t start = bar_below(function, screen.start.value);

		if (start > best) {
			best = start;
			owner = function;
		}
	}
	list_for_each (link, list) {
		struct pci_function *function = container_of(link, struct pci_function, link);

		function->shows_console = owner && is_display(owner) ? function == owner : is_display(function);
	}
}

/* By class; an SD card's controller counts as a system peripheral, too, but is a disk's. */
static bool is_chipset(const struct pci_function *function)
{
	return PCI_CLASS_BASE(function) == PCI_BASE_BRIDGE ||
	       (PCI_CLASS_BASE(function) == PCI_BASE_SYSTEM && PCI_CLASS_SUB(function) != PCI_SUB_SD_HOST);
}

/*
 * Firmware plays a PS/2 keyboard with its USB controllers until a driver takes them over, and none
 * does here. Bridges and what belongs to the chipset are not ours.
 */
static bool keeps_memory(const struct pci_function *function)
{
	return function->header_type != PCI_HEADER_DEVICE || function->shows_console || is_chipset(function) ||
	       PCI_CLASS_SUB(function) == PCI_SUB_USB;
}

void pci_functions_quiet(struct list *list, struct phys_range screen)
{
	console_mark(list, screen);
	list_for_each (link, list) {
		struct pci_function *function = container_of(link, struct pci_function, link);

		if (!keeps_memory(function) && (pci_read16(function, PCI_COMMAND) & PCI_COMMAND_BUS_MASTER))
			pci_stop_dma(function);
	}
}

status_t pci_scan(struct heap *heap, struct phys_range screen)
{
	const status_t status = pci_functions_find(&functions, heap);

	pci_functions_quiet(&functions, screen);
	return status;
}

void pci_sleep(uint64_t ns)
{
	const uint64_t deadline_ns = platform_now_ns() + ns;
	_Atomic uint32_t word = 0;

	while (platform_now_ns() < deadline_ns)
		(void)!platform_wait(&word, 0, deadline_ns);
}
