// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `pci`: functions with class, driver or why there is none, BARs and
 * interrupts. Of the devices it reads the list of capabilities at most.
 */
#include "driver.h"
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

static const char *interrupt_text(enum pci_interrupt_mode mode)
{
	switch (mode) {
	case PCI_INTERRUPTS_LINE:
		return "line";
	case PCI_INTERRUPTS_MSI:
		return "MSI";
	case PCI_INTERRUPTS_MSIX:
		return "MSI-X";
	default:
		return "no";
	}
}

static void bar_print(unsigned index, const struct pci_bar *bar)
{
	char bytes[FORMAT_BYTES_SIZE];

	print("%14s BAR %u", "", index);
	if (bar->bytes != 0)
		print(": %s", format_bytes(bytes, bar->bytes));
	if (bar->start == 0)
		print(" without an address");
	else
		print(" at 0x%llx", (unsigned long long)bar->start);
	print("%s%s%s\n", bar->io ? ", I/O ports" : "", bar->wide ? ", 64 bits" : "",
	      bar->prefetchable ? ", prefetchable" : "");
}

static void function_print(const struct pci_function *function)
{
	char text[PCI_REASON_BYTES];

	print("%-13s %04x:%04x  %-22s %s", function->name, function->vendor_id, function->device_id, pci_class_text(function),
	      function->driver ? function->driver->name : pci_reason(function, text));
	if (function->driver)
		print(", %u %s interrupts", function->vectors, interrupt_text(function->interrupt_mode));
	print("\n");
	for (unsigned i = 0; i < PCI_BARS; i += function->bars[i].wide ? 2 : 1) {
		if (function->bars[i].bytes != 0 || function->bars[i].start != 0)
			bar_print(i, &function->bars[i]);
	}
}

static status_t pci_run(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	for (struct pci_function *function = pci_next(NULL); function; function = pci_next(function))
		function_print(function);
	return STATUS_OK;
}

void pci_commands_register(struct command_table *table)
{
	static struct command command = {
		.name = "pci",
		.arguments = "",
		.help = "PCI functions, their drivers, registers and interrupts",
		.run = pci_run,
	};

	command_register(table, &command);
}
