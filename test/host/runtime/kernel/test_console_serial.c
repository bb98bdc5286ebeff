// SPDX-License-Identifier: BSD-2-Clause
/* From the table SPCR to the port that the console is told to use. */
#include "host/host_test.h"

#include "fake/acpi_tables.h"
#include "runtime/base/boot_info.h"
#include "runtime/console/console.h"
#include "runtime/console/uart.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/console_serial.h"
#include "runtime/kernel/mmio.h"

#define MAPPED_AT 0x7000 /* where registers at any physical address are mapped */

static bool can_map;
static struct uart_place used;
static unsigned uses;

const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	(void)bytes;
	return (const void *)address.value;
}

void *mmio_map(struct phys_addr address, uint64_t bytes)
{
	(void)address;
	ck_assert_uint_gt(bytes, 0);
	return can_map ? (void *)MAPPED_AT : NULL;
}

bool console_use_serial(const struct uart_place *place)
{
	used = *place;
	uses++;
	return true;
}

static struct acpi_tables tables;
static uint8_t spcr[80];

static void find(struct acpi_address registers)
{
	const struct boot_info boot = { .rsdp = acpi_tables_make(&tables, spcr) };

	acpi_table_make(spcr, "SPCR", sizeof(spcr));
	memcpy(spcr + 40, &registers, sizeof(registers));
	spcr[58] = 3;
	uses = 0;
	acpi_init(&boot);
	console_serial_find();
}

START_TEST(port)
{
	find((struct acpi_address){ .space = ACPI_SPACE_IO, .bits = 8, .address = 0x2f8 });
	ck_assert_uint_eq(uses, 1);
	ck_assert(!used.in_memory);
	ck_assert_uint_eq(used.base, 0x2f8);
	ck_assert_uint_eq(used.divisor, 12);
}
END_TEST

/* High addresses are mapped elsewhere: they are no address of the CPU. */
START_TEST(memory_is_where_it_is_mapped)
{
	const struct acpi_address high = { .space = ACPI_SPACE_MEMORY, .bits = 32, .access = 3, .address = 1ull << 50 };

	can_map = true;
	find(high);
	ck_assert_uint_eq(uses, 1);
	ck_assert(used.in_memory);
	ck_assert_uint_eq(used.base, MAPPED_AT);
	ck_assert_uint_eq(used.register_bytes, 4);
	can_map = false;
	find(high);
	ck_assert_uint_eq(uses, 0);
}
END_TEST

HOST_TEST_MAIN("console_serial", port, memory_is_where_it_is_mapped)
