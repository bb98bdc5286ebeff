// SPDX-License-Identifier: BSD-2-Clause
/* Starting the other CPUs. */
#pragma once

#include "runtime/base/types.h"

struct acpi_interrupts;
struct heap;

/*
 * Starts the CPUs of the MADT, `cpus_max` with the first one at most. A CPU that does not
 * answer costs a second; it, those beyond `cpus_max`, and those whose APIC ids cannot be addressed
 * are logged and left out. In a task on the first CPU.
 */
void smp_start(const struct acpi_interrupts *interrupts, struct heap *heap, unsigned cpus_max);
