/*
 * ACPI tables: found from the RSDP, each checked for signature, length and checksum before anything in it is believed. A table
 * that is broken gives one line in the log and is treated as absent. No AML is run.
 *
 * ACPI specification 6.5, sections 5.2.5 to 5.2.12 (RSDP, RSDT, XSDT, FADT, MADT) and 7.4.2 (\_S5).
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct boot_info;

struct acpi_header {
	char signature[4];
	uint32_t length; /* header included */
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	uint32_t creator_id;
	uint32_t creator_revision;
} __attribute__((packed));

/* Generic address structure, section 5.2.3.2. */
enum acpi_space {
	ACPI_SPACE_MEMORY = 0,
	ACPI_SPACE_IO = 1,
	ACPI_SPACE_PCI = 2,
};

struct acpi_address {
	uint8_t space;
	uint8_t bits;
	uint8_t offset;
	uint8_t access;
	uint64_t address;
} __attribute__((packed));

/* Once, at start-up, with paging on. Without an RSDP or with a broken root table there are no tables. */
void acpi_init(const struct boot_info *boot);

/*
 * The checked table with that signature ("MCFG"; the `index`-th of several), mapped for good, or NULL. `length_min`: shorter
 * tables are broken; not less than the header. Any task context, and start-up.
 */
const struct acpi_header *acpi_find_table(const char signature[4], unsigned index, size_t length_min);

/* The CPUs of the MADT that are enabled, in its order, the running one first. At least one. */
struct acpi_cpus {
	uint32_t count;   /* entries in apic_ids */
	uint32_t ignored; /* CPUs beyond the limit */
	uint32_t apic_ids[64];
	bool has_pic; /* 8259 pair */
	struct phys_addr local_apic;
};

void acpi_cpus_find(uint32_t boot_apic_id, struct acpi_cpus *cpus);

/* What power.c and clock.c need of the FADT. */
struct acpi_power {
	bool present;
	uint16_t pm1a_control; /* I/O port, 0: none */
	uint16_t pm1b_control;
	uint16_t smi_command; /* port and value that turn ACPI mode on; 0: on already */
	uint8_t acpi_enable;
	bool has_s5; /* the DSDT's \_S5 was found */
	uint8_t s5_type_a;
	uint8_t s5_type_b;
	bool has_reset;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t pm_timer; /* I/O port, 0: none */
	bool pm_timer_32;  /* 32 bits wide instead of 24 */
};

const struct acpi_power *acpi_power(void);
