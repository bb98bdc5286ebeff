// SPDX-License-Identifier: BSD-2-Clause
/*
 * DMAR and IVRS: what is in intact tables is found, and tables that are cut off, damaged or made of
 * noise are read within their bounds, which the address sanitizer watches.
 */
#include "host/host_test.h"

#include "runtime/base/random.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/iommu_units.h"
#include "runtime/kernel/mmio.h"

#define ENTRIES     48
#define BYTES_MAX   16384
#define ROUNDS      2000
#define NOISE_TRIES 20000

/* What acpi.c maps tables with; nothing here has an address of the machine. */
const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	(void)address;
	(void)bytes;
	return NULL;
}

typedef void read_table(const struct acpi_header *table, struct iommu_units *units);

static const struct {
	read_table *read;
	enum iommu_kind kind;
	uint8_t unit_types[3];
	uint8_t other_type;
} formats[] = {
	{ iommu_read_dmar, IOMMU_INTEL, { 0, 0, 0 }, 1 },
	{ iommu_read_ivrs, IOMMU_AMD, { 0x10, 0x11, 0x40 }, 0x21 },
};

struct table {
	uint8_t bytes[BYTES_MAX];
	uint32_t length;
};

static void table_begin(struct table *table)
{
	memset(table, 0, sizeof(*table));
	memcpy(table->bytes, "DMAR", 4);
	table->length = ENTRIES;
}

static void table_add(struct table *table, uint8_t type, uint16_t bytes, uint64_t address)
{
	uint8_t *entry = table->bytes + table->length;

	entry[0] = type;
	memcpy(entry + 2, &bytes, sizeof(bytes));
	if (bytes >= 16)
		memcpy(entry + 8, &address, sizeof(address));
	table->length += bytes;
}

/* Reads a copy that ends where the table does. */
static void table_read(const struct table *table, read_table *read, struct iommu_units *units)
{
	const uint32_t bytes = table->length < sizeof(struct acpi_header) ? sizeof(struct acpi_header) : table->length;
	uint8_t *copy = malloc(bytes);

	memcpy(copy, table->bytes, bytes);
	memcpy(copy + 4, &table->length, sizeof(table->length));
	memset(units, 0, sizeof(*units));
	read((struct acpi_header *)copy, units);
	ck_assert_uint_le(units->count, IOMMU_UNITS_MAX);
	free(copy);
}

START_TEST(units_are_found_once_and_in_order)
{
	struct random random;

	random_seed(&random, 1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		const unsigned which = round % ARRAY_LENGTH(formats), count = (unsigned)random_below(&random, 20);
		uint64_t expected[20];
		unsigned found = 0;
		struct iommu_units units;
		struct table table;

		table_begin(&table);
		for (unsigned i = 0; i < count; i++) {
			const uint64_t address = (1 + random_below(&random, 12)) * PAGE_BYTES;
			bool is_new = true;

			if (random_below(&random, 3) == 0) {
				table_add(&table, formats[which].other_type, (uint16_t)(24 + random_below(&random, 40)),
					  address);
				continue;
			}
			table_add(&table, formats[which].unit_types[random_below(&random, 3)],
				  (uint16_t)(24 + random_below(&random, 60)), address);
			for (unsigned j = 0; j < found; j++)
				is_new &= expected[j] != address;
			if (is_new)
				expected[found++] = address;
		}
		table_read(&table, formats[which].read, &units);
		ck_assert_uint_eq(units.count, found);
		for (unsigned i = 0; i < found; i++) {
			ck_assert_uint_eq(units.units[i].registers.value, expected[i]);
			ck_assert_int_eq(units.units[i].kind, formats[which].kind);
		}
	}
}
END_TEST

START_TEST(a_table_that_is_cut_off_keeps_what_came_before)
{
	for (unsigned which = 0; which < ARRAY_LENGTH(formats); which++) {
		struct iommu_units units;
		struct table table;

		table_begin(&table);
		for (unsigned i = 1; i <= 4; i++)
			table_add(&table, formats[which].unit_types[0], 32, i * PAGE_BYTES);
		for (uint32_t length = table.length; length-- > 0;) {
			table.length = length;
			table_read(&table, formats[which].read, &units);
			ck_assert_uint_eq(units.count, length < ENTRIES ? 0 : (length - ENTRIES) / 32);
		}
	}
}
END_TEST

START_TEST(odd_addresses_short_entries_and_too_many_are_left_out)
{
	for (unsigned which = 0; which < ARRAY_LENGTH(formats); which++) {
		struct iommu_units units;
		struct table table;

		table_begin(&table);
		table_add(&table, formats[which].unit_types[0], 24, 0);
		table_add(&table, formats[which].unit_types[0], 24, 0x1234);
		table_add(&table, formats[which].unit_types[0], 8, 0);
		table_add(&table, formats[which].unit_types[0], 24, UINT64_MAX);
		table_read(&table, formats[which].read, &units);
		ck_assert_uint_eq(units.count, 0);
		for (unsigned i = 1; i <= IOMMU_UNITS_MAX + 3; i++)
			table_add(&table, formats[which].unit_types[0], 24, i * PAGE_BYTES);
		table_read(&table, formats[which].read, &units);
		ck_assert_uint_eq(units.count, IOMMU_UNITS_MAX);
		ck_assert_uint_eq(units.ignored, 3);
		table_begin(&table);
		table_add(&table, formats[which].unit_types[0], 24, PAGE_BYTES);
		table_add(&table, formats[which].unit_types[0], 0, 0); /* would never end */
		table.length += 64;
		table_read(&table, formats[which].read, &units);
		ck_assert_uint_eq(units.count, 1);
	}
}
END_TEST

START_TEST(noise_is_read_within_its_bounds)
{
	struct random random;

	random_seed(&random, 2);
	for (unsigned i = 0; i < NOISE_TRIES; i++) {
		struct iommu_units units;
		struct table table;

		table_begin(&table);
		table.length = (uint32_t)random_below(&random, 200);
		for (unsigned j = ENTRIES; j < 200; j++)
			table.bytes[j] = (uint8_t)random_below(&random, random_below(&random, 2) ? 256 : 20);
		table_read(&table, formats[i % ARRAY_LENGTH(formats)].read, &units);
	}
}
END_TEST

HOST_TEST_MAIN("iommu_tables", units_are_found_once_and_in_order, a_table_that_is_cut_off_keeps_what_came_before,
	       odd_addresses_short_entries_and_too_many_are_left_out, noise_is_read_within_its_bounds)
