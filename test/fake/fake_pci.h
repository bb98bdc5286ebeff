// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine's configuration space as bytes: what pci_config.c is on a machine. The test puts
 * functions into it and ranges in front of it; the code under test sees only registers.
 *
 *	fake_pci_begin();
 *	fake_pci_host(0, 0, 255, true);
 *	function = fake_pci_function(0, 0, 2, 0, 0x1234, 0x5678);
 *	fake_pci_put(function, PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
 *
 * BARs have sizes, which a write of ones shows; all else in the header but the command, the bus
 * numbers and the interrupt line is read-only.
 */
#pragma once

#include "drivers/pci/pci_internal.h"

struct fake_function {
	uint16_t segment;
	uint8_t bus, slot, number;
	uint8_t bytes[PCI_CONFIG_BYTES];
	uint64_t bar_bytes[PCI_BARS];                                                    /* 0: the register is constant */
	uint32_t (*answer)(struct fake_function *self, unsigned offset, uint32_t value); /* NULL, or what reads show */
	void (*written)(struct fake_function *self, unsigned offset, uint32_t value);    /* NULL, or hears of writes */
	unsigned bar_writes, command_writes;
	uint64_t due_ns; /* the test's */
};

/* What pci_functions_find appends to, and takes its objects from. */
extern struct list fake_pci_found;
extern struct heap fake_pci_heap;

/* Forgets all functions and ranges, and what was found. */
void fake_pci_begin(void);

/*
 * A range of buses; `opens`: whether it can be mapped. Segment 0 has the ports behind all of them.
 */
void fake_pci_host(uint16_t segment, uint8_t first_bus, uint8_t last_bus, bool opens);

/* Where the last range is; each segment has its own place at first, and 0 is that of ports. */
void fake_pci_move_ecam(uint64_t ecam);

/* What ranges show and what ports show are the same functions, unless the test hides one. */
void fake_pci_hide_ecam(bool hide);

struct fake_function *fake_pci_function(uint16_t segment, unsigned bus, unsigned slot, unsigned number, uint16_t vendor,
					uint16_t device);
struct fake_function *fake_pci_find(uint16_t segment, unsigned bus, unsigned slot, unsigned number);

void fake_pci_put(struct fake_function *function, unsigned offset, unsigned bytes, uint32_t value);
uint32_t fake_pci_get(const struct fake_function *function, unsigned offset, unsigned bytes);

/* How many reads there were since fake_pci_begin. */
uint64_t fake_pci_reads(void);
