// SPDX-License-Identifier: BSD-2-Clause
/* Broken ACPI tables are refused in words, never followed; a wrong checksum alone breaks none. */
#include "image_test.h"

#include "runtime/base/heap.h"
#include "runtime/base/string.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/boot_heap.h"

#define TABLE_BYTES 256

struct table {
	union {
		struct acpi_header header;
		uint8_t bytes[TABLE_BYTES];
	};
};

static void madt_start(struct table *table)
{
	memset(table, 0, sizeof(*table));
	table->header.length = 44;
	table->bytes[38] = 0xe0; /* local APICs at 0xfee00000 */
	table->bytes[39] = 0xfe;
	table->bytes[40] = 1;
}

static void madt_add(struct table *table, const uint8_t *entry, size_t bytes)
{
	memcpy(table->bytes + table->header.length, entry, bytes);
	table->header.length += (uint32_t)bytes;
}

IMAGE_TEST(acpi_madt_lists_cpus)
{
	static const uint8_t enabled[8] = { 0, 8, 0, 5, 1 }, disabled[8] = { 0, 8, 1, 6, 0 }, capable[8] = { 0, 8, 1, 7, 2 };
	static const uint8_t x2[16] = { 9, 16, 0, 0, 0x00, 0x01, 0, 0, 1 }, twice[16] = { 9, 16, 0, 0, 5, 0, 0, 0, 1 };
	static const uint8_t ioapic[12] = { 1, 12, 0, 0, 0, 0, 0xc0, 0xfe };
	struct acpi_interrupts interrupts;
	struct table table;

	madt_start(&table);
	madt_add(&table, enabled, sizeof(enabled));
	madt_add(&table, disabled, sizeof(disabled));
	madt_add(&table, capable, sizeof(capable));
	madt_add(&table, x2, sizeof(x2));
	madt_add(&table, twice, sizeof(twice));
	madt_add(&table, ioapic, sizeof(ioapic));
	acpi_read_madt(&table.header, &interrupts);
	expect_equal(interrupts.cpu_count, 2);
	expect_equal(interrupts.apic_ids[0], 5);
	expect_equal(interrupts.apic_ids[1], 256);
	expect_equal(interrupts.ioapic_count, 1);
	expect_equal(interrupts.ioapics[0].value, 0xfec00000);
	expect_equal(interrupts.local_apic.value, 0xfee00000);
	expect(interrupts.has_pic);
}

IMAGE_TEST(acpi_madt_broken_ends_early)
{
	static const uint8_t enabled[8] = { 0, 8, 0, 5, 1 }, endless[8] = { 0, 0, 0, 6, 1 }, beyond[8] = { 0, 200, 0, 6, 1 };
	struct acpi_interrupts interrupts;
	struct table table;

	madt_start(&table);
	madt_add(&table, enabled, sizeof(enabled));
	madt_add(&table, endless, sizeof(endless));
	acpi_read_madt(&table.header, &interrupts);
	expect_equal(interrupts.cpu_count, 1);

	madt_start(&table);
	madt_add(&table, enabled, sizeof(enabled));
	madt_add(&table, beyond, sizeof(beyond));
	acpi_read_madt(&table.header, &interrupts);
	expect_equal(interrupts.cpu_count, 1);

	acpi_read_madt(NULL, &interrupts);
	expect_equal(interrupts.cpu_count, 0);
}

IMAGE_TEST(acpi_s5_is_found)
{
	static const uint8_t plain[] = { 0x10, 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 6, 0, 0 };
	static const uint8_t root[] = { 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x40, 0x06, 0x04, 0x00, 0x01, 0, 0 };
	uint8_t a = 99, b = 99;

	expect(acpi_find_s5(plain, sizeof(plain), &a, &b));
	expect(a == 5 && b == 6);
	expect(acpi_find_s5(root, sizeof(root), &a, &b));
	expect(a == 0 && b == 1);
}

IMAGE_TEST(acpi_s5_broken_is_refused)
{
	static const uint8_t plain[] = { 0x10, 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 6, 0, 0 };
	static const uint8_t large[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 200, 0x0a, 6, 0, 0 };
	static const uint8_t other[] = { 0x08, '_', 'S', '5', '_', 0x11, 0x06, 0x04, 0x0a, 5, 0x0a, 6, 0, 0 };
	static const uint8_t empty[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x02, 0x00, 0x0a, 5 };
	uint8_t a, b;

	/* Cut off anywhere before the first number ends. */
	for (size_t bytes = 0; bytes < 11; bytes++)
		expect(!acpi_find_s5(plain, bytes, &a, &b));
	expect(!acpi_find_s5(large, sizeof(large), &a, &b));
	expect(!acpi_find_s5(other, sizeof(other), &a, &b));
	expect(!acpi_find_s5(empty, sizeof(empty), &a, &b));
}

IMAGE_TEST(acpi_fields_beyond_the_end_are_zero)
{
	struct acpi_power power;
	struct table table;

	memset(&table, 0xff, sizeof(table));
	table.header.length = 60; /* a FADT that ends before the PM timer's port */
	expect_equal(acpi_read(&table.header, 56, 4), 0xffffffff);
	expect_equal(acpi_read(&table.header, 58, 4), 0);
	expect_equal(acpi_read(&table.header, SIZE_MAX, 4), 0);
	expect_equal(acpi_read_address(&table.header, 52).address, 0);
	acpi_read_fadt(&table.header, &power);
	expect(power.pm_timer == 0 && power.pm1a_control == 0 && !power.has_reset);
}

static void checksum_fix(uint8_t *sum, const void *bytes, size_t count)
{
	*sum = 0;
	*sum = (uint8_t)-acpi_checksum(bytes, count);
}

static uint64_t address_of(const void *memory)
{
	return platform_phys(memory).value;
}

IMAGE_TEST(acpi_tables_broken_are_ignored)
{
	struct table *table = heap_alloc(boot_heap(), sizeof(*table), 0);

	require(table);
	memset(table, 0, sizeof(*table));
	memcpy(table->header.signature, "T\1ST", 4);
	table->header.length = 100;
	checksum_fix(&table->header.checksum, table, 100);
	expect(acpi_open_table(address_of(table), "a test") == &table->header);
	table->bytes[99] ^= 1; /* a wrong checksum is said, and no more */
	expect(acpi_open_table(address_of(table), "a test") == &table->header);
	table->header.length = 10;
	expect(!acpi_open_table(address_of(table), "a test"));
	table->header.length = UINT32_MAX;
	expect(!acpi_open_table(address_of(table), "a test"));
	expect(!acpi_open_table(0, "a test"));
	expect(!acpi_open_table(UINT64_MAX - 3, "a test"));
	heap_free(boot_heap(), table);
}

/* An RSDP, an RSDT and an XSDT, in a page of their own. */
struct roots {
	uint8_t rsdp[36];
	struct table rsdt;
	struct table xsdt;
};

static void table_make(struct table *table, const char *signature)
{
	memset(table, 0, sizeof(*table));
	memcpy(table->header.signature, signature, 4);
	table->header.length = sizeof(table->header);
	checksum_fix(&table->header.checksum, table, sizeof(table->header));
}

static void roots_make(struct roots *roots)
{
	uint32_t rsdt = (uint32_t)address_of(&roots->rsdt), bytes = sizeof(roots->rsdp);
	uint64_t xsdt = address_of(&roots->xsdt);

	table_make(&roots->rsdt, "RSDT");
	table_make(&roots->xsdt, "XSDT");
	memset(roots->rsdp, 0, sizeof(roots->rsdp));
	memcpy(roots->rsdp, "RSD PTR ", 8);
	roots->rsdp[15] = 2;
	memcpy(roots->rsdp + 16, &rsdt, 4);
	memcpy(roots->rsdp + 20, &bytes, 4);
	memcpy(roots->rsdp + 24, &xsdt, 8);
	checksum_fix(&roots->rsdp[8], roots->rsdp, 20);
	checksum_fix(&roots->rsdp[32], roots->rsdp, 36);
}

IMAGE_TEST(acpi_root_is_found_or_not)
{
	struct roots *roots = heap_alloc(boot_heap(), sizeof(*roots), 0);
	struct phys_addr rsdp = platform_phys(roots);
	size_t entry = 0;

	require(roots);
	roots_make(roots);
	expect(acpi_open_root(rsdp, &entry) == &roots->xsdt.header && entry == 8);
	roots->xsdt.bytes[0] = 'x'; /* the signature */
	expect(acpi_open_root(rsdp, &entry) == &roots->rsdt.header && entry == 4);
	roots->rsdt.bytes[0] = 'r';
	expect(!acpi_open_root(rsdp, &entry));
	roots_make(roots);
	roots->xsdt.bytes[30] ^= 1; /* wrong checksums: of the table, ... */
	expect(acpi_open_root(rsdp, &entry) == &roots->xsdt.header && entry == 8);
	roots->rsdp[33] ^= 1; /* ... the second part, ... */
	expect(acpi_open_root(rsdp, &entry) == &roots->xsdt.header);
	roots->rsdp[9] ^= 1; /* ... and the first one */
	expect(acpi_open_root(rsdp, &entry) == &roots->xsdt.header);
	roots_make(roots);
	roots->rsdp[0] = 'r';
	expect(!acpi_open_root(rsdp, &entry));
	expect(!acpi_open_root((struct phys_addr){ 0 }, &entry));
	expect(!acpi_open_root((struct phys_addr){ UINT64_MAX }, &entry));
	heap_free(boot_heap(), roots);
}

IMAGE_TEST(acpi_tables_of_this_machine)
{
	const struct acpi_header *madt = acpi_find_table("APIC", 0, 44);

	require(madt);
	expect_equal(acpi_checksum(madt, madt->length), 0);
	expect(!acpi_find_table("APIC", 100, 0));
	expect(!acpi_find_table("NONE", 0, 0));
	expect(!acpi_find_table("APIC", 0, SIZE_MAX));
	expect(acpi_power()->has_s5);
}
