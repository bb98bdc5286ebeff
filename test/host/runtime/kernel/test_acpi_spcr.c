// SPDX-License-Identifier: BSD-2-Clause
/* The table of the serial console: as firmware writes it, and as no firmware should. */
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/kernel/acpi.h"
#include "runtime/kernel/mmio.h"

#define SPCR_BYTES 88

static union {
	struct acpi_header header;
	uint8_t bytes[SPCR_BYTES];
} spcr;

static struct acpi_serial serial;

/* Nothing is mapped: the table is here. */
const void *firmware_map(struct phys_addr address, uint64_t bytes)
{
	(void)address;
	(void)bytes;
	return NULL;
}

static void spcr_make(uint8_t interface, struct acpi_address registers, uint8_t baud)
{
	memset(&spcr, 0, sizeof(spcr));
	memcpy(spcr.header.signature, "SPCR", 4);
	spcr.header.length = 80;
	spcr.header.revision = 2;
	spcr.bytes[36] = interface;
	memcpy(spcr.bytes + 40, &registers, sizeof(registers));
	spcr.bytes[52] = 3;
	spcr.bytes[53] = 3;
	spcr.bytes[58] = baud;
}

static const struct acpi_address com2 = { .space = ACPI_SPACE_IO, .bits = 8, .address = 0x2f8 };
static const struct acpi_address memory = { .space = ACPI_SPACE_MEMORY, .bits = 32, .access = 3, .address = 0xfe03e000 };

START_TEST(ports_and_memory)
{
	spcr_make(0, com2, 7);
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_uint_eq(serial.registers.address, 0x2f8);
	ck_assert_int_eq(serial.line, 3);
	ck_assert_uint_eq(serial.baud, 115200);
	ck_assert_uint_eq(serial.clock_hz, 0);
	spcr_make(0x12, memory, 3);
	spcr.bytes[52] = 2; /* an interrupt of the I/O APIC alone */
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_uint_eq(serial.registers.address, 0xfe03e000);
	ck_assert_uint_eq(serial.registers.access, 3);
	ck_assert_int_eq(serial.line, -1);
	ck_assert_uint_eq(serial.baud, 9600);
}
END_TEST

START_TEST(speeds)
{
	static const uint32_t bauds[256] = { [3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200 };

	for (unsigned code = 0; code < 256; code++) {
		spcr_make(1, com2, (uint8_t)code);
		ck_assert(acpi_read_spcr(&spcr.header, &serial));
		ck_assert_uint_eq(serial.baud, bauds[code]);
	}
	spcr_make(0, memory, 7);
	spcr.header.length = SPCR_BYTES;
	spcr.bytes[76] = 0x80; /* what older revisions leave reserved */
	spcr.bytes[81] = 0x20;
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_uint_eq(serial.clock_hz, 0);
	ck_assert_uint_eq(serial.baud, 115200);
	spcr.header.revision = 3;
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_uint_eq(serial.clock_hz, 0x80);
	ck_assert_uint_eq(serial.baud, 115200);
	spcr.header.revision = 4;
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_uint_eq(serial.baud, 0x2000);
	spcr.header.length = 80; /* cut off: the field is 0 */
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_uint_eq(serial.baud, 115200);
}
END_TEST

START_TEST(others_are_refused)
{
	struct acpi_address odd = com2;

	for (unsigned interface = 0; interface < 256; interface++) {
		spcr_make((uint8_t)interface, com2, 7);
		ck_assert_int_eq(acpi_read_spcr(&spcr.header, &serial), interface <= 1 || interface == 0x12);
	}
	odd.address = 0;
	spcr_make(0, odd, 7);
	ck_assert(!acpi_read_spcr(&spcr.header, &serial));
	odd.address = 0xfffa;
	spcr_make(0, odd, 7);
	ck_assert(!acpi_read_spcr(&spcr.header, &serial));
	odd.space = 2;
	spcr_make(0, odd, 7);
	ck_assert(!acpi_read_spcr(&spcr.header, &serial));
	spcr_make(0, com2, 7);
	spcr.bytes[53] = 16;
	ck_assert(acpi_read_spcr(&spcr.header, &serial));
	ck_assert_int_eq(serial.line, -1);
}
END_TEST

START_TEST(random_tables_stay_in_their_bounds)
{
	for (unsigned i = 0; i < 100000; i++) {
		struct acpi_header *table;

		for (unsigned j = 0; j < SPCR_BYTES; j++)
			spcr.bytes[j] = (uint8_t)rand();
		spcr.header.length =
			sizeof(struct acpi_header) + (unsigned)rand() % (SPCR_BYTES - sizeof(struct acpi_header) + 1);
		table = malloc(spcr.header.length); /* the sanitizer watches its end */
		memcpy(table, &spcr, spcr.header.length);
		if (acpi_read_spcr(table, &serial)) {
			ck_assert_uint_ne(serial.registers.address, 0);
			ck_assert_int_ge(serial.line, -1);
			ck_assert_int_lt(serial.line, 16);
		}
		free(table);
	}
}
END_TEST

HOST_TEST_MAIN("acpi_spcr", ports_and_memory, speeds, others_are_refused, random_tables_stay_in_their_bounds)
