// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which IOMMUs a machine has, from its ACPI tables, and the way in which one is turned off. Both
 * work on what they are given and touch no hardware themselves, so tests on the host can run them.
 *
 * Intel: Virtualization Technology for Directed I/O specification 4.0, sections 8 (DMAR) and 11.4
 * (registers). AMD: I/O Virtualization Technology specification 3.05, sections 3.4 (registers) and
 * 5.2 (IVRS). No locks; any context.
 */
#pragma once

#include "runtime/base/types.h"

struct acpi_header;

enum iommu_kind {
	IOMMU_INTEL,
	IOMMU_AMD,
};

struct iommu_unit {
	enum iommu_kind kind;
	struct phys_addr registers;
};

/* 8 sockets with 16 units each would be the largest machine. */
#define IOMMU_UNITS_MAX 128

struct iommu_units {
	uint32_t count;
	uint32_t ignored; /* beyond IOMMU_UNITS_MAX */
	struct iommu_unit units[IOMMU_UNITS_MAX];
};

/*
 * Adds the units of a table, each once. What is broken or cut off ends the table with a line in the
 * log; what came before it counts.
 */
void iommu_read_dmar(const struct acpi_header *dmar, struct iommu_units *units);
void iommu_read_ivrs(const struct acpi_header *ivrs, struct iommu_units *units);

/* The registers of a unit: one access of 4 or 8 bytes each. */
struct iommu_registers {
	uint64_t (*read)(void *context, uint32_t offset, unsigned bytes);
	void (*write)(void *context, uint32_t offset, unsigned bytes, uint64_t value);
	void *context;
};

/* What a unit does, a bit each. */
enum iommu_work {
	IOMMU_TRANSLATION = 1 << 0,
	IOMMU_PROTECTED_MEMORY = 1 << 1,
	IOMMU_INTERRUPT_REMAPPING = 1 << 2,
	IOMMU_QUEUE = 1 << 3, /* queued invalidation, or AMD's command buffer */
	IOMMU_LOG = 1 << 4,   /* AMD's logs of events, page requests and guest interrupts */
};
#define IOMMU_WORKS 5

/*
 * Turns off all that the unit does, and waits IOMMU_WAIT_NS at most for each part. What it did is
 * in `was_on`; what would not go off is in `still_on`. False: there is no unit.
 */
#define IOMMU_WAIT_NS (100 * NS_PER_MS)
bool iommu_unit_turn_off(enum iommu_kind kind, const struct iommu_registers *registers, unsigned *was_on, unsigned *still_on);
