// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table that names the serial port of the firmware's console, by which a server is operated.
 * Later revisions add fields where older ones have reserved bytes, which may hold anything.
 */
#include "acpi.h"

#define SPCR_INTERFACE      36
#define SPCR_REGISTERS      40
#define SPCR_INTERRUPTS     52 /* which kinds it has: bit 0 is a line of the 8259 pair */
#define SPCR_LINE           53
#define SPCR_BAUD           58
#define SPCR_CLOCK          76 /* revision 3 */
#define SPCR_BAUD_PRECISE   80 /* revision 4 */
#define INTERRUPT_LINE      0x01
#define INTERFACE_16550     0x00
#define INTERFACE_16450     0x01
#define INTERFACE_16550_GAS 0x12 /* a 16550 whose registers are as wide as the address structure says */
#define ISA_LINES           16

/* The numbers stand for speeds; those that are not listed are reserved. */
static uint32_t baud_of(uint64_t code)
{
	static const uint32_t bauds[] = { [3] = 9600, [4] = 19200, [6] = 57600, [7] = 115200 };

	return code < ARRAY_LENGTH(bauds) ? bauds[code] : 0;
}

static bool is_reachable(const struct acpi_address *registers)
{
	if (registers->address == 0)
		return false;
	return registers->space == ACPI_SPACE_MEMORY ||
	       (registers->space == ACPI_SPACE_IO && registers->address <= UINT16_MAX - 7);
}

bool acpi_read_spcr(const struct acpi_header *spcr, struct acpi_serial *serial)
{
	const uint64_t interface = acpi_read(spcr, SPCR_INTERFACE, 1), line = acpi_read(spcr, SPCR_LINE, 1);
	const uint32_t precise = (uint32_t)acpi_read(spcr, SPCR_BAUD_PRECISE, 4);
	const bool has_line = (acpi_read(spcr, SPCR_INTERRUPTS, 1) & INTERRUPT_LINE) && line < ISA_LINES;

	*serial = (struct acpi_serial){
		.registers = acpi_read_address(spcr, SPCR_REGISTERS),
		.line = has_line ? (int)line : -1,
		.baud = baud_of(acpi_read(spcr, SPCR_BAUD, 1)),
		.clock_hz = spcr->revision >= 3 ? (uint32_t)acpi_read(spcr, SPCR_CLOCK, 4) : 0,
	};
	if (spcr->revision >= 4 && precise != 0)
		serial->baud = precise;
	if (interface != INTERFACE_16550 && interface != INTERFACE_16450 && interface != INTERFACE_16550_GAS)
		return false;
	return is_reachable(&serial->registers);
}
