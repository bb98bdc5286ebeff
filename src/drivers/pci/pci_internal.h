// SPDX-License-Identifier: BSD-2-Clause
/* What the files of the PCI code share. */
#pragma once

#include "pci.h"

/* Configuration header; PCI 3.0, section 6.1, and PCI-to-PCI bridges 1.2, section 3.2. */
enum pci_register {
	PCI_VENDOR_ID = 0x00,
	PCI_DEVICE_ID = 0x02,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_REVISION = 0x08, /* with the class code above it */
	PCI_HEADER_TYPE = 0x0e,
	PCI_BAR0 = 0x10,
	PCI_SECONDARY_BUS = 0x19,
	PCI_SUBORDINATE_BUS = 0x1a,
	PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
	PCI_SUBSYSTEM_ID = 0x2e,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,
};

#define PCI_COMMAND_IO           (1u << 0)
#define PCI_COMMAND_MEMORY       (1u << 1)
#define PCI_COMMAND_BUS_MASTER   (1u << 2)
#define PCI_COMMAND_LINE_DISABLE (1u << 10)
#define PCI_STATUS_CAPABILITIES  (1u << 4)
#define PCI_HEADER_MULTIFUNCTION 0x80
#define PCI_HEADER_TYPE_MASK     0x7f
#define PCI_HEADER_DEVICE        0
#define PCI_HEADER_BRIDGE        1
#define PCI_CONFIG_BYTES         4096
#define PCI_CONFIG_BYTES_LEGACY  256
#define PCI_BUSES                256
#define PCI_SLOTS                32
#define PCI_FUNCTIONS            8

/* Where the configuration space of some buses is. */
struct pci_host {
	uint64_t ecam; /* of bus 0, even if that is not in the range; 0: legacy ports */
	uint16_t segment;
	uint8_t first_bus, last_bus;
};

/*
 * The host bridge with that index; false: no more. Falls back to one with legacy access where no
 * MCFG is.
 */
bool pci_host_get(unsigned index, struct pci_host *host);

/* Maps the configuration space of one function (4 KB); NULL: legacy. False: it cannot be mapped. */
bool pci_config_map(const struct pci_host *host, unsigned bus, unsigned slot, unsigned number, volatile uint8_t **config);

/* Sizes the BARs. The function does not answer meanwhile. */
void pci_bars_read(struct pci_function *function);
