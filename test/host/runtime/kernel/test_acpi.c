// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables of large machines, and what firmware has in the places of CPUs that are not there. A
 * table's physical address is that in the process.
 */
#include "host/host_test.h"

#include <stdlib.h>

#include "host/platform_host.h"
#include "runtime/base/boot_info.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/mmio.h"

#define HEADER_BYTES sizeof(struct acpi_header)
#define MADT_ENTRIES 44
#define FADT_BYTES   148
#define FADT_X_DSDT  140
#define TABLES_READ  256 /* of a root table */
#define CPU_BYTES    8
#define CPU_X2_BYTES 16
#define IOAPIC_BYTES 12

const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	(void)bytes;
	return (const void *)(uintptr_t)address.value;
}

static void *made[8];
static unsigned made_count;

static void *memory_make(size_t bytes)
{
	ck_assert_uint_lt(made_count, sizeof(made) / sizeof(*made));
	return made[made_count++] = calloc(1, bytes);
}

static void memory_end(void)
{
	while (made_count > 0)
		free(made[--made_count]);
}

static struct acpi_header *table_make(const char *signature, uint32_t bytes)
{
	struct acpi_header *table = memory_make(bytes);

	memcpy(table->signature, signature, sizeof(table->signature));
	table->length = bytes;
	return table;
}

static void put(struct acpi_header *table, size_t offset, uint64_t value, size_t bytes)
{
	memcpy((uint8_t *)table + offset, &value, bytes);
}

/* CPUs ----------------------------------------------------------------------------------------- */

static struct acpi_header *madt_make(void)
{
	struct acpi_header *madt = table_make("APIC", 65536);

	madt->length = MADT_ENTRIES;
	return madt;
}

/* An entry with its id or address at `place`, of `width` bytes, and the flag "enabled". */
static void madt_add(struct acpi_header *madt, uint8_t type, uint8_t bytes, size_t place, uint64_t value, size_t width)
{
	const size_t entry = madt->length;

	put(madt, entry, type, 1);
	put(madt, entry + 1, bytes, 1);
	put(madt, entry + place, value, width);
	if (type != 1)
		put(madt, entry + place + (type == 0 ? 1 : 4), 1, 4);
	madt->length += bytes;
}

/* The id that means all CPUs is none's, in either width. */
START_TEST(empty_places_are_no_cpus)
{
	struct acpi_header *madt = madt_make();
	struct acpi_interrupts interrupts;

	madt_add(madt, 0, CPU_BYTES, 3, 0, 1);
	madt_add(madt, 0, CPU_BYTES, 3, 0xff, 1);
	madt_add(madt, 0, CPU_BYTES, 3, 0xfe, 1);
	madt_add(madt, 9, CPU_X2_BYTES, 4, UINT32_MAX, 4);
	madt_add(madt, 9, CPU_X2_BYTES, 4, 0xff, 4); /* an ordinary one in x2APIC mode */
	madt_add(madt, 9, CPU_X2_BYTES, 4, UINT32_MAX - 1, 4);
	acpi_read_madt(madt, &interrupts);
	ck_assert_uint_eq(interrupts.cpu_count, 4);
	ck_assert_uint_eq(interrupts.apic_ids[0], 0);
	ck_assert_uint_eq(interrupts.apic_ids[1], 0xfe);
	ck_assert_uint_eq(interrupts.apic_ids[2], 0xff);
	ck_assert_uint_eq(interrupts.apic_ids[3], UINT32_MAX - 1);
	memory_end();
}
END_TEST

START_TEST(large_machines_fit)
{
	struct acpi_header *madt = madt_make();
	struct acpi_interrupts interrupts;

	for (uint32_t i = 0; i < ACPI_CPUS_MAX + 3; i++)
		madt_add(madt, 9, CPU_X2_BYTES, 4, i * 2, 4);
	for (uint32_t i = 0; i < 128; i++)
		madt_add(madt, 1, IOAPIC_BYTES, 4, 0xfec00000 + i * 0x1000, 4);
	acpi_read_madt(madt, &interrupts);
	ck_assert_uint_eq(interrupts.cpu_count, ACPI_CPUS_MAX);
	ck_assert_uint_eq(interrupts.cpus_ignored, 3);
	ck_assert_uint_eq(interrupts.ioapic_count, 128);
	ck_assert_uint_eq(interrupts.ioapics[127].value, 0xfec00000 + 127 * 0x1000);
	memory_end();
}
END_TEST

/* Tables --------------------------------------------------------------------------------------- */

static struct acpi_header *dsdt_make(void)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 5, 0, 0 };
	struct acpi_header *dsdt = table_make("DSDT", HEADER_BYTES + sizeof(s5));

	memcpy((uint8_t *)dsdt + HEADER_BYTES, s5, sizeof(s5));
	return dsdt;
}

static struct phys_addr rsdp_make(const struct acpi_header *root)
{
	static const uint8_t signature[8] = "RSD PTR ";
	uint8_t *rsdp = memory_make(36);
	const uint64_t address = (uintptr_t)root;

	memcpy(rsdp, signature, sizeof(signature));
	rsdp[15] = 2;
	rsdp[20] = 36;
	memcpy(rsdp + 24, &address, sizeof(address));
	return (struct phys_addr){ (uintptr_t)rsdp };
}

/* A root table of `count` entries: the FADT at `place`, else SSDTs. */
static void machine_make(struct boot_info *boot, size_t count, size_t place)
{
	struct acpi_header *root = table_make("XSDT", (uint32_t)(HEADER_BYTES + 8 * count));
	struct acpi_header *fadt = table_make("FACP", FADT_BYTES);
	const struct acpi_header *ssdt = table_make("SSDT", HEADER_BYTES);

	put(fadt, FADT_X_DSDT, (uintptr_t)dsdt_make(), 8);
	for (size_t i = 0; i < count; i++)
		put(root, HEADER_BYTES + 8 * i, (uintptr_t)(i == place ? fadt : ssdt), 8);
	boot->rsdp = rsdp_make(root);
}

/* The machine goes off by the DSDT, however many tables there are; what is too much is one line. */
START_TEST(tables_of_any_number)
{
	static const struct {
		size_t count, place;
		bool found;
	} cases[] = {
		{ 1, 0, true },
		{ 80, 79, true },
		{ TABLES_READ, TABLES_READ - 1, true },
		{ TABLES_READ + 1, TABLES_READ, false },
		{ 100000, 0, true },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		static char output[400000];
		static struct boot_info boot;

		machine_make(&boot, cases[i].count, cases[i].place);
		host_log_level(LOG_WARN);
		host_output_capture(output, sizeof(output));
		acpi_init(&boot);
		host_output_capture(NULL, 0);
		ck_assert_int_eq(acpi_power()->has_s5, cases[i].found);
		ck_assert_int_eq(acpi_find_table("FACP", 0, 0) != NULL, cases[i].found);
		ck_assert_int_eq(strstr(output, "only the first 256 count") != NULL, cases[i].count > TABLES_READ);
		output[0] = '\0';
		memory_end();
	}
}
END_TEST

/* The loader goes on without them, and so does the kernel. */
START_TEST(no_tables_at_all)
{
	static struct boot_info boot;
	struct acpi_interrupts interrupts;

	machine_make(&boot, 4, 1);
	acpi_init(&boot);
	ck_assert_ptr_nonnull(acpi_find_table("SSDT", 0, 0));
	host_log_level(LOG_ERROR);
	boot.rsdp.value = 0;
	acpi_init(&boot);
	ck_assert_ptr_null(acpi_find_table("SSDT", 0, 0));
	ck_assert(!acpi_power()->has_s5);
	acpi_read_madt(acpi_find_table("APIC", 0, 0), &interrupts);
	ck_assert_uint_eq(interrupts.cpu_count + interrupts.ioapic_count, 0);
	ck_assert(interrupts.has_pic);
	memory_end();
}
END_TEST

HOST_TEST_MAIN("acpi", empty_places_are_no_cpus, large_machines_fit, tables_of_any_number, no_tables_at_all)
