// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ways out, over registers in memory and a firmware that are fakes. Ports would be the host's:
 * no test has any.
 */
#include "host/host_test.h"

#include <string.h>

#include "fake/acpi_tables.h"
#include "host/platform_host.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/inject.h"
#include "runtime/kernel/acpi.h"
#include "runtime/kernel/mmio.h"
#include "runtime/kernel/power_ways.h"
#include "runtime/x86_64/firmware_call.h"

static uint8_t control, status_register, reset_register;
static uint64_t unmappable, moved; /* physical addresses; `moved` is mapped at `moved_to` */
static uint8_t moved_to;
static uint64_t service;
static unsigned firmware_calls;

const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	(void)bytes;
	return (const void *)address.value;
}

void *mmio_map(struct phys_addr address, uint64_t bytes)
{
	(void)bytes;
	if (address.value == moved)
		return &moved_to;
	return address.value == unmappable ? NULL : (void *)address.value;
}

bool firmware_call_prepare(uint64_t address)
{
	service = address;
	return address != 0;
}

void firmware_reset(enum firmware_reset how)
{
	ck_assert_int_eq(how, FIRMWARE_RESET_OFF);
	firmware_calls += service != 0;
}

static struct acpi_tables tables;
static uint8_t fadt[276], dsdt[36 + 16];

static void address_put(uint8_t *field, const void *memory)
{
	const struct acpi_address address = { .space = ACPI_SPACE_MEMORY, .bits = 8, .address = (uintptr_t)memory };

	memcpy(field, &address, sizeof(address));
}

/* A machine without PM1 registers. */
static void machine_make(const char *injected)
{
	static const uint8_t s5[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0x0a, 6 };
	static const uint32_t flags = 1u << 20 | 1u << 10;
	const struct boot_info boot = { .rsdp = acpi_tables_make(&tables, fadt), .reset_system = 0x1000 };

	control = status_register = reset_register = 0;
	firmware_calls = 0;
	inject_begin(injected);
	acpi_table_make(fadt, "FACP", sizeof(fadt));
	memcpy(fadt + 112, &flags, 4);
	memset(fadt + 56, 0x5a, 2); /* ports of PM1, which such a machine has not */
	memset(fadt + 64, 0x5a, 2);
	fadt[88] = 4;
	address_put(fadt + 116, &reset_register);
	fadt[128] = 0x5a;
	acpi_pointer_put(fadt + 140, dsdt);
	address_put(fadt + 244, &control);
	address_put(fadt + 256, &status_register);
	acpi_table_make(dsdt, "DSDT", sizeof(dsdt));
	memcpy(dsdt + 36, s5, sizeof(s5));
	acpi_init(&boot);
	power_ways_prepare(&boot);
}

START_TEST(sleep_registers_switch_off)
{
	machine_make(NULL);
	power_ways_off();
	ck_assert_uint_eq(status_register, 0x80);     /* the wake status is cleared, */
	ck_assert_uint_eq(control, 5 << 2 | 1u << 5); /* the type of S5, and the bit that sleeps; */
	ck_assert_uint_eq(firmware_calls, 1);         /* and as they did nothing, the firmware is asked */
}
END_TEST

START_TEST(without_s5_the_firmware_is_asked)
{
	machine_make("inject=no-s5");
	power_ways_off();
	ck_assert_uint_eq(control | status_register, 0);
	ck_assert_uint_eq(firmware_calls, 1);
	machine_make("inject=no-s5,no-efi-reset");
	power_ways_off();
	ck_assert_uint_eq(firmware_calls, 0);
}
END_TEST

START_TEST(registers_that_cannot_be_mapped_are_none)
{
	unmappable = (uintptr_t)&control;
	machine_make(NULL);
	power_ways_off();
	ck_assert_uint_eq(control, 0);
	ck_assert_uint_eq(firmware_calls, 1);
}
END_TEST

/* Physical addresses that are no address of the CPU are mapped at another one. */
START_TEST(registers_are_where_they_are_mapped)
{
	moved = (uintptr_t)&control;
	moved_to = 0;
	machine_make(NULL);
	power_ways_off();
	ck_assert_uint_eq(control, 0);
	ck_assert_uint_eq(moved_to, 5 << 2 | 1u << 5);
}
END_TEST

/* A length that is wrong: the tables at the start are found, and the log ends. */
START_TEST(root_table_that_does_not_end)
{
	static uint8_t long_xsdt[MIB];
	static char text[256 * KIB];
	struct boot_info boot = { .rsdp = { (uintptr_t)tables.rsdp } };
	unsigned lines = 0;

	machine_make(NULL);
	acpi_table_make(long_xsdt, "XSDT", sizeof(long_xsdt));
	acpi_pointer_put(long_xsdt + 36, fadt);
	acpi_pointer_put(tables.rsdp + 24, long_xsdt);
	host_output_capture(text, sizeof(text));
	acpi_init(&boot);
	host_output_capture(NULL, 0);
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_uint_lt(lines, 300);
	ck_assert_ptr_nonnull(strstr(text, "acpi: the root table has 131067 entries; only the first 256 count"));
	ck_assert(acpi_power()->has_s5);
}
END_TEST

START_TEST(tables_say_what_there_is)
{
	machine_make(NULL);
	ck_assert(acpi_power()->has_reset && acpi_power()->has_s5);
	ck_assert_uint_eq(acpi_power()->reset.address, (uintptr_t)&reset_register);
	ck_assert(!acpi_power()->has_power_button);
	ck_assert_uint_eq(acpi_power()->pm1a_event | acpi_power()->pm1a_control, 0);
	ck_assert(power_register_write(&acpi_power()->reset, acpi_power()->reset_value));
	ck_assert_uint_eq(reset_register, 0x5a);
}
END_TEST

START_TEST(registers_elsewhere_are_refused)
{
	ck_assert(!power_register_write(&(struct acpi_address){ .space = ACPI_SPACE_MEMORY }, 1));
	ck_assert(!power_register_write(&(struct acpi_address){ .space = ACPI_SPACE_IO, .address = 0x10000 }, 1));
	ck_assert(!power_register_write(&(struct acpi_address){ .space = ACPI_SPACE_CONFIG, .address = 32ull << 32 }, 1));
	ck_assert(!power_register_write(&(struct acpi_address){ .space = ACPI_SPACE_CONFIG, .address = 8ull << 16 }, 1));
	ck_assert(!power_register_write(&(struct acpi_address){ .space = ACPI_SPACE_CONFIG, .address = 256 }, 1));
	ck_assert(!power_register_write(&(struct acpi_address){ .space = 3, .address = 16 }, 1));
}
END_TEST

HOST_TEST_MAIN("power_ways", sleep_registers_switch_off, without_s5_the_firmware_is_asked,
	       registers_that_cannot_be_mapped_are_none, registers_are_where_they_are_mapped, root_table_that_does_not_end,
	       tables_say_what_there_is, registers_elsewhere_are_refused)
