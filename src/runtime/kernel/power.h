// SPDX-License-Identifier: BSD-2-Clause
/*
 * Leaving: ACPI power-off, reset, and the exit status for an emulator. Any context, also after a
 * panic; no locks, no memory.
 */
#pragma once

#include "runtime/base/types.h"

struct command_table;

/*
 * What runs first, once, whichever way is taken, in a task that may sleep: devices are told. Not
 * after a panic. At start-up.
 */
void power_set_off_hook(void (*hook)(void));

/*
 * Soft-off by ACPI (S5), or by the firmware. Where that fails: a message, and the CPU halts for
 * good.
 */
_Noreturn void power_off(void);

/*
 * The FADT's reset register, else port 0xCF9, the firmware, the keyboard controller, a triple
 * fault.
 */
_Noreturn void power_reboot(void);

/*
 * Ends the run with a result: 0 powers off. Other values end QEMU with exit status (status << 1 |
 * 1) where it has the isa-debug-exit device at port 0xf4, and reset the machine elsewhere.
 */
_Noreturn void power_exit(unsigned status);

/*
 * What `poweroff` in the monitor ends an emulator with that has such a device: the result of what
 * ran before; 0 at first.
 */
void power_set_result(unsigned status);

/*
 * Whether there is such a device: then this is an emulator that is told how a run ended, and the
 * screen has no reader.
 */
bool power_has_debug_exit(void);

/* The monitor commands `poweroff` and `reboot`. */
void power_commands_register(struct command_table *table);
