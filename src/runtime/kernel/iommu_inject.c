// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a firmware with DMA protection leaves behind. Intel: an empty root table, which blocks all
 * devices, and an empty table of interrupts. AMD: entries without a right to read or write, since
 * an empty one lets everything through.
 */
#include "iommu_inject.h"

#include "iommu_registers.h"
#include "iommu_units.h"
#include "runtime/base/platform.h"

#ifdef WEIR_DEBUG

#define INTEL_WAIT_DESCRIPTOR  (5 | 1ull << 5 | 1ull << 32) /* writes 1 to its second word's address */
#define INTEL_DESCRIPTOR_BYTES 16

#define AMD_ENTRIES      256 /* of bus 0, 32 bytes each */
#define AMD_ENTRY_WORDS  4
#define AMD_TABLE_SIZE   1 /* in pages of 4 KB, less one */
#define AMD_ENTRY_BLOCKS 3 /* valid, with translation, of no level and without rights */

static uint64_t root_table[512] __attribute__((aligned(4096)));
static uint64_t queue[512] __attribute__((aligned(4096)));
static uint64_t interrupts[512] __attribute__((aligned(4096)));
static uint64_t device_table[AMD_ENTRIES * AMD_ENTRY_WORDS] __attribute__((aligned(4096)));

/* Sets a bit of the command register and waits for it. */
static void intel_command(const struct iommu_registers *registers, uint32_t bit)
{
	const uint64_t status = registers->read(registers->context, INTEL_STATUS, 4);

	registers->write(registers->context, INTEL_COMMAND, 4, (status & INTEL_LASTING) | bit);
	while (!(registers->read(registers->context, INTEL_STATUS, 4) & bit))
		platform_cpu_relax();
}

void iommu_inject_intel(const struct iommu_registers *registers)
{
	const uint64_t extended = registers->read(registers->context, INTEL_EXTENDED_CAPABILITIES, 8);

	if (extended & INTEL_CAPABILITY_QUEUE) {
		registers->write(registers->context, INTEL_QUEUE_TAIL, 8, 0);
		registers->write(registers->context, INTEL_QUEUE_ADDRESS, 8, (uintptr_t)queue);
		intel_command(registers, INTEL_QUEUED);
		/* The last that firmware asks of the queue; a unit does not turn it off before. */
		queue[0] = INTEL_WAIT_DESCRIPTOR;
		queue[1] = (uintptr_t)&queue[511];
		registers->write(registers->context, INTEL_QUEUE_TAIL, 8, INTEL_DESCRIPTOR_BYTES);
	}
	if (extended & INTEL_CAPABILITY_REMAP) {
		registers->write(registers->context, INTEL_REMAPPING_TABLE, 8, (uintptr_t)interrupts);
		intel_command(registers, INTEL_SET_REMAPPING);
		intel_command(registers, INTEL_REMAPPING);
	}
	registers->write(registers->context, INTEL_ROOT_TABLE, 8, (uintptr_t)root_table);
	intel_command(registers, INTEL_SET_ROOT_TABLE);
	intel_command(registers, INTEL_TRANSLATION);
}

void iommu_inject_amd(const struct iommu_registers *registers)
{
	for (unsigned i = 0; i < AMD_ENTRIES; i++)
		device_table[i * AMD_ENTRY_WORDS] = AMD_ENTRY_BLOCKS;
	registers->write(registers->context, AMD_DEVICE_TABLE, 8, (uintptr_t)device_table | AMD_TABLE_SIZE);
	registers->write(registers->context, AMD_CONTROL, 8,
			 registers->read(registers->context, AMD_CONTROL, 8) | AMD_CONTROL_UNIT);
}

#endif
