// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI tables: found from the RSDP, each checked for signature and length before anything in it is
 * believed. A table that is broken gives one line in the log and is treated as absent; one whose
 * checksum is wrong gives a line, too, and is used. No AML is run.
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
	ACPI_SPACE_CONFIG = 2, /* of PCI bus 0 */
};

struct acpi_address {
	uint8_t space;
	uint8_t bits;
	uint8_t offset;
	uint8_t access;
	uint64_t address;
} __attribute__((packed));

/*
 * Once, at start-up, with paging on. Without an RSDP or with a broken root table there are no
 * tables.
 */
void acpi_init(const struct boot_info *boot);

/*
 * The checked table with that signature ("MCFG"; the `index`-th of several), mapped for good, or
 * NULL. `length_min`: shorter tables are broken, too. Any context after acpi_init.
 */
const struct acpi_header *acpi_find_table(const char signature[4], unsigned index, size_t length_min);

/*
 * The steps of acpi_init. Maps and checks the table at `address`; `where` names what points to it.
 * Finds the root table that the RSDP names, the XSDT, or the RSDT of old or odd firmware, and how
 * long an entry of it is. NULL: broken; a line in the log.
 */
const struct acpi_header *acpi_open_table(uint64_t address, const char *where);
const struct acpi_header *acpi_open_root(struct phys_addr rsdp, size_t *entry_bytes);

/*
 * Reads a field of a table; 0 where the field lies beyond the table's length, as the specification
 * wants it for the fields of younger revisions.
 */
uint64_t acpi_read(const struct acpi_header *table, size_t offset, size_t bytes);
struct acpi_address acpi_read_address(const struct acpi_header *table, size_t offset);

/* The sum of the bytes, which is 0 for an intact table. */
uint8_t acpi_checksum(const void *bytes, size_t count);

/* What the MADT says: the CPUs that are enabled, in its order, and the interrupt controllers. */
#define ACPI_CPUS_MAX    256
#define ACPI_IOAPICS_MAX 128 /* a machine of eight sockets has one for each root of PCI */

struct acpi_interrupts {
	uint32_t cpu_count;
	uint32_t cpus_ignored; /* beyond ACPI_CPUS_MAX */
	uint32_t apic_ids[ACPI_CPUS_MAX];
	uint32_t ioapic_count;
	struct phys_addr ioapics[ACPI_IOAPICS_MAX];
	bool has_pic;                /* an 8259 pair */
	struct phys_addr local_apic; /* 0: unknown */
};

/* From the MADT, or, for NULL, what a machine without one has: no CPU known, a PIC. */
void acpi_read_madt(const struct acpi_header *madt, struct acpi_interrupts *interrupts);

/* The serial port that the firmware's console is on, by the SPCR. */
struct acpi_serial {
	struct acpi_address registers; /* of a 16550 */
	int line;                      /* its ISA interrupt line; -1: none */
	uint32_t baud;                 /* 0: as the firmware has set it */
	uint32_t clock_hz;             /* of the UART; 0: unknown */
};

/*
 * From the SPCR; false: the port is no 16550, or not one to be reached. Microsoft: Serial Port
 * Console Redirection Table, versions 1.0 to 1.10.
 */
#define ACPI_SPCR_BYTES 76 /* what every revision has */
bool acpi_read_spcr(const struct acpi_header *spcr, struct acpi_serial *serial);

/*
 * What power-off, reset, the power button and the clock need of the FADT. Ports, and addresses of
 * registers, are 0 where there are none.
 */
struct acpi_power {
	uint16_t pm1a_event; /* status, and enable behind it */
	uint16_t pm1b_event;
	uint8_t pm1_event_bytes; /* of both together */
	uint16_t gpe0;           /* status, and enable behind it */
	uint16_t gpe1;
	uint8_t gpe0_bytes;
	uint8_t gpe1_bytes;
	uint16_t sci_line;
	bool has_power_button;             /* as a fixed event, which needs no AML */
	struct acpi_address sleep_control; /* of machines without PM1 registers */
	struct acpi_address sleep_status;
	uint16_t pm1a_control;
	uint16_t pm1b_control;
	uint16_t smi_command; /* writing acpi_enable there turns ACPI mode on */
	uint8_t acpi_enable;
	bool has_s5; /* \_S5 was found in the DSDT or an SSDT */
	uint8_t s5_type_a;
	uint8_t s5_type_b;
	bool has_reset;
	uint8_t reset_value;
	struct acpi_address reset;
	uint16_t pm_timer;
	bool pm_timer_32;         /* 32 bits wide instead of 24 */
	uint8_t century_register; /* of the CMOS clock; 0: it has none */
	bool no_cmos_clock;
};

/* Zero where the FADT is missing. */
const struct acpi_power *acpi_power(void);
void acpi_read_fadt(const struct acpi_header *fadt, struct acpi_power *power);

/*
 * Looks for Name (\_S5, Package {a, b, ...}) in `bytes` of AML. False: there is none that makes
 * sense.
 */
bool acpi_find_s5(const uint8_t *aml, size_t bytes, uint8_t *type_a, uint8_t *type_b);
