/* Broken ACPI tables are refused in words, never followed. */
#include "image_test.h"

#include "runtime/base/string.h"
#include "runtime/kernel/acpi.h"

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
