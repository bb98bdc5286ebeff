// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMAR and IVRS: a header, and structures with a type and a length, of which those that name the
 * registers of a unit are of interest. AMD describes one unit several times, for software of
 * different age.
 */
#include "acpi.h"
#include "iommu_units.h"
#include "runtime/base/bits.h"
#include "runtime/base/log.h"

/* In both tables the structures begin there. */
#define TABLE_ENTRIES 48

#define DMAR_UNIT       0 /* type at 0 and length at 2, 2 bytes each; address at 8 */
#define DMAR_HEADER     4
#define DMAR_UNIT_BYTES 16

#define IVRS_UNIT_OLDEST 0x10 /* type at 0, 1 byte; length at 2, 2 bytes; address at 8 */
#define IVRS_UNIT_OLD    0x11
#define IVRS_UNIT        0x40
#define IVRS_HEADER      4
#define IVRS_UNIT_BYTES  24

#define UNIT_ADDRESS 8

static bool is_known(const struct iommu_units *units, uint64_t address)
{
	for (uint32_t i = 0; i < units->count; i++) {
		if (units->units[i].registers.value == address)
			return true;
	}
	return false;
}

static void unit_add(struct iommu_units *units, enum iommu_kind kind, uint64_t address)
{
	if (address == 0 || !is_aligned(address, PAGE_BYTES)) {
		log_warn("iommu: no unit can be at 0x%llx; ignored", (unsigned long long)address);
		return;
	}
	if (is_known(units, address))
		return;
	if (units->count == IOMMU_UNITS_MAX)
		units->ignored++;
	else
		units->units[units->count++] = (struct iommu_unit){ kind, { address } };
}

/* The length of the structure at `offset`; 0: there is none, or it is broken. */
static size_t entry_bytes(const struct acpi_header *table, size_t offset, size_t least)
{
	size_t bytes;

	if (offset >= table->length)
		return 0;
	bytes = acpi_read(table, offset + 2, 2);
	if (bytes >= least && bytes <= table->length - offset)
		return bytes;
	log_warn("acpi: the %.4s is cut off or broken at byte %zu; the rest is ignored", table->signature, offset);
	return 0;
}

void iommu_read_dmar(const struct acpi_header *dmar, struct iommu_units *units)
{
	size_t bytes;

	for (size_t offset = TABLE_ENTRIES; (bytes = entry_bytes(dmar, offset, DMAR_HEADER)) > 0; offset += bytes) {
		if (acpi_read(dmar, offset, 2) == DMAR_UNIT && bytes >= DMAR_UNIT_BYTES)
			unit_add(units, IOMMU_INTEL, acpi_read(dmar, offset + UNIT_ADDRESS, 8));
	}
}

void iommu_read_ivrs(const struct acpi_header *ivrs, struct iommu_units *units)
{
	size_t bytes;

	for (size_t offset = TABLE_ENTRIES; (bytes = entry_bytes(ivrs, offset, IVRS_HEADER)) > 0; offset += bytes) {
		uint64_t type = acpi_read(ivrs, offset, 1);

		if ((type == IVRS_UNIT_OLDEST || type == IVRS_UNIT_OLD || type == IVRS_UNIT) && bytes >= IVRS_UNIT_BYTES)
			unit_add(units, IOMMU_AMD, acpi_read(ivrs, offset + UNIT_ADDRESS, 8));
	}
}
