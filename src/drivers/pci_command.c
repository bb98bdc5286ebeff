// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `pci`: functions with class, driver, BARs and interrupts, as they were found
 * at start-up. It reads nothing from the devices.
 */
#include "driver.h"
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

/* PCI code and id assignment specification 1.11, chapter 1. */
static const struct {
	uint32_t class_code, mask;
	const char *text;
} classes[] = {
	{ 0x010802, 0xffffff, "NVMe controller" },
	{ 0x010601, 0xffffff, "AHCI controller" },
	{ 0x0c0330, 0xffffff, "xHCI USB controller" },
	{ 0x060000, 0xffff00, "host bridge" },
	{ 0x060100, 0xffff00, "ISA bridge" },
	{ 0x060400, 0xffff00, "PCI bridge" },
	{ 0x0c0300, 0xffff00, "USB controller" },
	{ 0x0c0500, 0xffff00, "SMBus" },
	{ 0x010000, 0xff0000, "mass storage" },
	{ 0x020000, 0xff0000, "network" },
	{ 0x030000, 0xff0000, "display" },
	{ 0x040000, 0xff0000, "multimedia" },
	{ 0x060000, 0xff0000, "bridge" },
	{ 0x070000, 0xff0000, "communication" },
	{ 0x0c0000, 0xff0000, "serial bus" },
};

static const char *class_text(uint32_t class_code)
{
	for (size_t i = 0; i < ARRAY_LENGTH(classes); i++) {
		if ((class_code & classes[i].mask) == classes[i].class_code)
			return classes[i].text;
	}
	return "other";
}

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

	print("%14s BAR %u: %s", "", index, format_bytes(bytes, bar->bytes));
	if (bar->start == 0)
		print(" without an address");
	else
		print(" at 0x%llx", (unsigned long long)bar->start);
	print("%s%s%s\n", bar->io ? ", I/O ports" : "", bar->wide ? ", 64 bits" : "",
	      bar->prefetchable ? ", prefetchable" : "");
}

static status_t pci_run(struct command *self, int argc, char **argv)
{
	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	for (const struct pci_function *function = pci_next(NULL); function;
	     function = pci_next((struct pci_function *)function)) {
		print("%-13s %04x:%04x  %-22s %s", function->name, function->vendor_id, function->device_id,
		      class_text(function->class_code), function->driver ? function->driver->name : "");
		if (function->driver)
			print(", %u %s interrupts", function->vectors, interrupt_text(function->interrupt_mode));
		print("\n");
		for (unsigned i = 0; i < PCI_BARS; i++) {
			if (function->bars[i].bytes != 0)
				bar_print(i, &function->bars[i]);
		}
	}
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
