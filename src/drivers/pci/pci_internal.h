// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the PCI code share. All but pci_config.c, pci_interrupt.c and pci_map.c is
 * portable: it reaches the machine through pci_host_get, pci_host_open, pci_config_find, pci_read*
 * and pci_write*, in pci_config.c, which a model implements in tests (test/fake/fake_pci.h).
 */
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

#define PCI_STATUS_READY         (1u << 0) /* immediate readiness, PCIe 4.0, section 7.5.1.1.4 */
#define PCI_COMMAND_IO           (1u << 0)
#define PCI_COMMAND_MEMORY       (1u << 1)
#define PCI_COMMAND_BUS_MASTER   (1u << 2)
#define PCI_COMMAND_LINE_DISABLE (1u << 10)
#define PCI_STATUS_CAPABILITIES  (1u << 4)
#define PCI_HEADER_MULTIFUNCTION 0x80
#define PCI_HEADER_TYPE_MASK     0x7f
#define PCI_HEADER_DEVICE        0
#define PCI_HEADER_BRIDGE        1
#define PCI_VENDOR_NONE          0xffff
#define PCI_VENDOR_RETRY         0x0001 /* not ready yet, PCIe 4.0, section 2.3.2 */
#define PCI_CONFIG_BYTES         4096
#define PCI_CONFIG_BYTES_LEGACY  256
#define PCI_BUSES                256
#define PCI_BUS_BYTES            (1ull << 20) /* of ECAM */
#define PCI_SLOTS                32
#define PCI_FUNCTIONS            8

/* Class codes: base class, and base class with subclass. */
#define PCI_CLASS_BASE(function) ((function)->class_code >> 16)
#define PCI_CLASS_SUB(function)  ((function)->class_code >> 8)
enum pci_class {
	PCI_BASE_STORAGE = 0x01,
	PCI_BASE_DISPLAY = 0x03,
	PCI_BASE_BRIDGE = 0x06,
	PCI_BASE_SYSTEM = 0x08,
	PCI_SUB_OLD_DISPLAY = 0x0001,
	PCI_SUB_RAID = 0x0104,
	PCI_SUB_HOST_BRIDGE = 0x0600,
	PCI_SUB_SD_HOST = 0x0805,
	PCI_SUB_USB = 0x0c03,
	PCI_SUB_SMBUS = 0x0c05,
};

/* Where the configuration space of some buses is. */
struct pci_host {
	uint64_t ecam;            /* of bus 0, even if that is not in the range; 0: legacy ports */
	volatile uint8_t *config; /* of first_bus, from pci_host_open on; NULL: legacy ports */
	uint16_t segment;
	uint8_t first_bus, last_bus;
	bool answered; /* the scan has found functions on it */
};

/*
 * The range of buses with that index; false: no more. The last one is always that of the ports,
 * for what none before it reaches.
 */
bool pci_host_get(unsigned index, struct pci_host *host);

/* Maps the range; false: not possible, logged. */
bool pci_host_open(struct pci_host *host);

/* Says where the configuration space of the function is, whose bus is in the range. */
void pci_config_find(const struct pci_host *host, struct pci_function *function);

/* Reads where the BARs are, without changing anything. */
void pci_bars_locate(struct pci_function *function);

/* The first 32 bits of a function; 0: nothing answers there, or nothing that makes sense. */
uint32_t pci_id_read(const struct pci_function *function);

/*
 * Appends all functions to the list, by segment, bus, slot and number within each range; objects of
 * `heap`. STATUS_UNSUPPORTED: there is none. May sleep.
 */
status_t pci_functions_find(struct list *functions, struct heap *heap) MUST_CHECK;

/* Marks what shows the console, and takes bus mastering from the endpoints that may not have it. */
void pci_functions_quiet(struct list *functions, struct phys_range screen);

/* Waits asleep. */
void pci_sleep(uint64_t ns);
