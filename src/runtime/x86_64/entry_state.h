// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control registers as some firmware leaves them, and QEMU's does not (base/inject.h): 57-bit
 * addresses, protection of supervisor pages, x2APIC mode. For tests.
 */
#pragma once

/*
 * Does what the command line asks for: inject=la57, supervisor, x2apic. On the first CPU, before
 * descriptors_init, on the firmware's page tables, with the image below 4 GB; panics where the CPU
 * has nothing of the kind.
 */
void entry_state_inject(void);
