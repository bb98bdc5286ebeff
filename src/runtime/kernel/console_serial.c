// SPDX-License-Identifier: BSD-2-Clause
/*
 * The serial port that the firmware's console was on. A server's is often not COM1, or slower than
 * ours; what the console has written before the tables could be read is then written again.
 */
#include "console_serial.h"

#include "acpi.h"
#include "mmio.h"
#include "runtime/base/log.h"
#include "runtime/console/console.h"
#include "runtime/console/uart.h"

#define UART_REGISTERS 8

/* Access sizes: 0 not said, 1 to 4: 1, 2, 4, 8 bytes. */
static uint8_t register_bytes(const struct acpi_address *registers)
{
	if (registers->space == ACPI_SPACE_IO)
		return 1;
	if (registers->access == 0)
		return registers->bits == 32 ? 4 : 1;
	return (uint8_t)(1u << MIN(registers->access - 1u, 2u));
}

static uint16_t divisor_of(const struct acpi_serial *serial)
{
	const bool is_port = serial->registers.space == ACPI_SPACE_IO;
	const uint64_t clock_hz = serial->clock_hz ? serial->clock_hz : is_port ? UART_COM_CLOCK_HZ : 0;
	const uint64_t sample_hz = 16ull * serial->baud;
	const uint64_t divisor = sample_hz ? (clock_hz + sample_hz / 2) / sample_hz : 0;

	return divisor <= UINT16_MAX ? (uint16_t)divisor : 0;
}

/* Changes the base of a place in memory to where it is mapped. False: it cannot be. */
static bool place_map(struct uart_place *place)
{
	void *mapped;

	if (!place->in_memory)
		return true;
	mapped = mmio_map((struct phys_addr){ place->base }, UART_REGISTERS * place->register_bytes);
	place->base = (uintptr_t)mapped;
	return mapped;
}

void console_serial_find(void)
{
	const struct acpi_header *spcr = acpi_find_table("SPCR", 0, ACPI_SPCR_BYTES);
	struct acpi_serial serial;
	struct uart_place place;

	if (!spcr)
		return;
	if (!acpi_read_spcr(spcr, &serial)) {
		log_info("console: the serial port that the table SPCR names is no 16550");
		return;
	}
	place = (struct uart_place){
		.base = serial.registers.address,
		.in_memory = serial.registers.space == ACPI_SPACE_MEMORY,
		.register_bytes = register_bytes(&serial.registers),
		.line = serial.line,
		.divisor = divisor_of(&serial),
	};
	if (!place_map(&place) || !console_use_serial(&place))
		log_warn("console: there is no serial port at 0x%llx, which the table SPCR names",
			 (unsigned long long)serial.registers.address);
	else
		log_info("console: serial port at %s 0x%llx, divisor %u, line %d, as the table SPCR says",
			 place.in_memory ? "address" : "port", (unsigned long long)serial.registers.address, place.divisor,
			 place.line);
}
