// SPDX-License-Identifier: BSD-2-Clause
/*
 * ACPI tables. The input is what firmware left in memory: any bytes, in which the RSDP and some
 * tables are made right first, or nearly so, as their checksums would stop everything else. What is
 * mapped is a copy of just those bytes, so that a look beyond them shows.
 */
#include <stdlib.h>
#include <string.h>

#include "host/platform_host.h"
#include "input.h"
#include "runtime/base/boot_info.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/mmio.h"

#define MEMORY_START 0x10000ull
#define MEMORY_BYTES 4096u
#define MAPPED_MAX   4096
#define TABLES_MAX   12
#define TABLE_STEP   256u /* tables begin at multiples of it, and may be longer */

static uint8_t memory[MEMORY_BYTES];
static void *mapped[MAPPED_MAX];
static unsigned mapped_count;

const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	uint8_t *copy;

	if (bytes == 0 || address.value < MEMORY_START || address.value - MEMORY_START > MEMORY_BYTES ||
	    bytes > MEMORY_BYTES - (address.value - MEMORY_START))
		return NULL;
	assert(mapped_count < MAPPED_MAX);
	copy = malloc(bytes);
	assert(copy);
	memcpy(copy, memory + (address.value - MEMORY_START), bytes);
	mapped[mapped_count++] = copy;
	return copy;
}

static void signature_put(uint8_t *to, const char *signature, size_t bytes)
{
	memcpy(to, signature, bytes);
}

static void seal(uint8_t *bytes, size_t count, size_t checksum)
{
	bytes[checksum] = 0;
	bytes[checksum] = (uint8_t)-acpi_checksum(bytes, count);
}

/* The table at `place`, with that signature, a length that mostly fits, and a good checksum. */
static void table_seal(unsigned place, const char *signature, struct input *input)
{
	uint8_t *table = memory + place * TABLE_STEP;
	const uint32_t room = MEMORY_BYTES - place * TABLE_STEP;
	uint32_t length = (uint32_t)sizeof(struct acpi_header) + (uint32_t)input_number(input, 2) % 600;

	signature_put(table, signature, 4);
	memcpy(table + 4, &length, 4);
	if (length <= room && input_byte(input) % 32 != 31)
		seal(table, length, 9);
}

/* RSDP in place 0, root table in place 1, and tables behind it. */
static void tables_seal(struct input *input)
{
	static const char *const signatures[] = { "APIC", "FACP", "SSDT", "DSDT", "MCFG", "HPET", "DMAR", "SPCR" };
	const bool wide = input_byte(input) % 4 != 3;
	const unsigned count = input_byte(input) % TABLES_MAX;
	uint64_t root = MEMORY_START + TABLE_STEP;
	uint32_t length = 36, root_length = (uint32_t)sizeof(struct acpi_header) + count * (wide ? 8 : 4);

	for (unsigned i = count; i > 0; i--) { /* from the back: each may reach into those behind it */
		const uint64_t address = MEMORY_START + (2 + i) * TABLE_STEP + input_byte(input) % 2 * input_byte(input);

		table_seal(2 + i, signatures[input_byte(input) % ARRAY_LENGTH(signatures)], input);
		memcpy(memory + TABLE_STEP + sizeof(struct acpi_header) + (i - 1) * (wide ? 8 : 4), &address, wide ? 8 : 4);
	}
	signature_put(memory + TABLE_STEP, wide ? "XSDT" : "RSDT", 4);
	memcpy(memory + TABLE_STEP + 4, &root_length, 4);
	seal(memory + TABLE_STEP, root_length, 9);
	signature_put(memory, "RSD PTR ", 8);
	memory[15] = wide ? 2 : 0;
	memcpy(memory + 16, &root, 4);
	memcpy(memory + 20, &length, 4);
	memcpy(memory + 24, &root, 8);
	seal(memory, 20, 8);
	seal(memory, 36, 32);
}

static void look(void)
{
	static const char *const signatures[] = { "APIC", "FACP", "SSDT", "MCFG", "HPET", "DMAR", "SPCR", "IVRS" };
	static struct acpi_interrupts interrupts;
	const struct acpi_header *table;
	struct acpi_serial serial;

	acpi_read_madt(acpi_find_table("APIC", 0, 0), &interrupts);
	assert(interrupts.cpu_count <= ACPI_CPUS_MAX && interrupts.ioapic_count <= ACPI_IOAPICS_MAX);
	for (unsigned i = 0; i < ARRAY_LENGTH(signatures); i++) {
		for (unsigned index = 0; (table = acpi_find_table(signatures[i], index, 40)); index++) {
			assert(memcmp(table->signature, signatures[i], 4) == 0 && table->length >= 40);
			for (size_t offset = 0; offset < 600; offset += 37) {
				(void)acpi_read(table, offset, 8);
				(void)acpi_read_address(table, offset);
			}
			if (strcmp(signatures[i], "SPCR") == 0)
				assert(!acpi_read_spcr(table, &serial) || (serial.registers.address != 0 && serial.line < 16));
		}
	}
	assert(!acpi_power()->has_s5 || (acpi_power()->s5_type_a <= 7 && acpi_power()->s5_type_b <= 7));
}

static char said[64]; /* what the log would say is of no interest */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_info boot = { 0 };
	struct input input = { data, size };

	host_output_capture(said, sizeof(said));
	for (unsigned i = 0; i < MEMORY_BYTES; i++)
		memory[i] = size > 0 ? data[(i + i / size) % size] : 0; /* the same bytes again, as content */
	if (input_byte(&input) % 16 != 15)
		tables_seal(&input);
	boot.rsdp.value = MEMORY_START + (input_byte(&input) % 16 == 15 ? input_number(&input, 2) : 0);
	acpi_init(&boot);
	look();
	while (mapped_count > 0)
		free(mapped[--mapped_count]);
	return 0;
}
