// SPDX-License-Identifier: BSD-2-Clause
/*
 * Brings the tables, the registers in memory and the log together: each unit that a table names is
 * mapped, turned off, and told of in one line.
 */
#include "iommu.h"

#include "acpi.h"
#include "iommu_inject.h"
#include "iommu_registers.h"
#include "iommu_units.h"
#include "mmio.h"
#include "runtime/base/format.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define TABLE_BYTES_MIN 48
#define WORKS_BYTES     128

static uint64_t mapped_read(void *context, uint32_t offset, unsigned bytes)
{
	volatile void *place = (volatile uint8_t *)context + offset;

	return bytes == 4 ? *(volatile uint32_t *)place : *(volatile uint64_t *)place;
}

static void mapped_write(void *context, uint32_t offset, unsigned bytes, uint64_t value)
{
	volatile void *place = (volatile uint8_t *)context + offset;

	if (bytes == 4)
		*(volatile uint32_t *)place = (uint32_t)value;
	else
		*(volatile uint64_t *)place = value;
}

/* "translation, interrupt remapping" */
static void works_list(unsigned works, char text[WORKS_BYTES])
{
	static const char *const names[IOMMU_WORKS] = { "translation", "protected memory", "interrupt remapping", "its queue",
							"its logs" };

	text[0] = '\0';
	for (unsigned i = 0; i < IOMMU_WORKS; i++) {
		size_t length = strlen(text);

		if (works >> i & 1)
			format_text(text + length, WORKS_BYTES - length, "%s%s", length > 0 ? ", " : "", names[i]);
	}
}

static void unit_turn_off(const struct iommu_unit *unit)
{
	const unsigned long long address = unit->registers.value;
	struct iommu_registers registers = { mapped_read, mapped_write, NULL };
	unsigned was_on, still_on;
	char works[WORKS_BYTES];

	registers.context = mmio_map(unit->registers, unit->kind == IOMMU_AMD ? AMD_REGISTERS_BYTES : PAGE_BYTES);
	if (!registers.context) {
		log_warn("iommu: the unit at 0x%llx cannot be mapped; it is left as it is", address);
		return;
	}
	if (INJECTED("vtd") && unit->kind == IOMMU_INTEL)
		iommu_inject_intel(&registers);
	if (INJECTED("amdvi") && unit->kind == IOMMU_AMD)
		iommu_inject_amd(&registers);
	if (!iommu_unit_turn_off(unit->kind, &registers, &was_on, &still_on)) {
		log_warn("iommu: there is no unit at 0x%llx; ignored", address);
		return;
	}
	works_list(was_on, works);
	if (was_on)
		log_info("iommu: the unit at 0x%llx was on: %s; turned off", address, works);
	works_list(still_on, works);
	if (still_on)
		log_error("iommu: the unit at 0x%llx does not turn off %s; devices may not work", address, works);
}

void iommu_turn_off(void)
{
	const struct acpi_header *dmar = acpi_find_table("DMAR", 0, TABLE_BYTES_MIN);
	const struct acpi_header *ivrs = acpi_find_table("IVRS", 0, TABLE_BYTES_MIN);
	static struct iommu_units units;

	if (dmar)
		iommu_read_dmar(dmar, &units);
	if (ivrs)
		iommu_read_ivrs(ivrs, &units);
	for (uint32_t i = 0; i < units.count; i++)
		unit_turn_off(&units.units[i]);
	if (units.ignored)
		log_warn("iommu: %u units beyond the first %u are left as they are", units.ignored, IOMMU_UNITS_MAX);
}
