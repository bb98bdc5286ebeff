// SPDX-License-Identifier: BSD-2-Clause
/*
 * I/O APICs. Weir routes nothing through them, and closes all inputs that the firmware left open.
 * Intel 82093AA data sheet.
 */
#pragma once

#include "runtime/base/types.h"

/* Masks all inputs of the I/O APIC whose registers are mapped at `registers`. */
void ioapic_mask_all(volatile void *registers);
