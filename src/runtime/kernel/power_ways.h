// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ways to switch the machine off and to reset it. Each function tries its ways in turn, with
 * interrupts off, and returns if none works. Any context, also after a panic; no locks, no memory.
 *
 * ACPI 6.5, sections 4.8.3.2 (PM1 control), 4.8.3.6 (reset register), 4.8.3.7 (sleep control);
 * Intel chipset data sheets for port 0xCF9; UEFI 2.10, section 8.5.1.
 */
#pragma once

#include "runtime/base/types.h"

struct acpi_address;
struct boot_info;

/* Maps the registers that lie in memory. Once, at start-up, after acpi_init. */
void power_ways_prepare(const struct boot_info *boot);

/* Soft-off (S5) by the PM1 registers, by the sleep control register, by the firmware. */
void power_ways_off(void);

/* The FADT's reset register, port 0xCF9, the firmware, the keyboard controller. */
void power_ways_reset(void);

/* Turns ACPI mode on, if the machine is not in it: then no firmware code answers buttons. */
void power_acpi_enter(void);

/*
 * Writes the 8 bits of a register in memory (mapped), at a port, or in the configuration space of
 * bus 0. False: it is elsewhere.
 */
bool power_register_write(const struct acpi_address *address, uint8_t value);
