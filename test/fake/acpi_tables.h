// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables of a firmware, in a test's memory: RSDP and XSDT with one entry. Their checksums are
 * wrong, which is no more than a warning. Physical addresses are those of the test.
 */
#pragma once

#include <string.h>

#include "runtime/base/types.h"

struct acpi_tables {
	uint8_t rsdp[36], xsdt[36 + 8];
};

static inline void acpi_table_make(uint8_t *table, const char *signature, uint32_t bytes)
{
	memset(table, 0, bytes);
	memcpy(table, signature, 4);
	memcpy(table + 4, &bytes, 4);
}

static inline void acpi_pointer_put(uint8_t *field, const void *memory)
{
	const uint64_t address = (uintptr_t)memory;

	memcpy(field, &address, sizeof(address));
}

/* Returns the address of the RSDP. */
static inline struct phys_addr acpi_tables_make(struct acpi_tables *tables, const void *entry)
{
	static const char signature[8] = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' };
	const uint32_t bytes = sizeof(tables->rsdp);

	memset(tables->rsdp, 0, sizeof(tables->rsdp));
	memcpy(tables->rsdp, signature, sizeof(signature));
	tables->rsdp[15] = 2;
	memcpy(tables->rsdp + 20, &bytes, sizeof(bytes));
	acpi_pointer_put(tables->rsdp + 24, tables->xsdt);
	acpi_table_make(tables->xsdt, "XSDT", sizeof(tables->xsdt));
	acpi_pointer_put(tables->xsdt + 36, entry);
	return (struct phys_addr){ (uintptr_t)tables->rsdp };
}
