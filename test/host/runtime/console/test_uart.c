// SPDX-License-Identifier: BSD-2-Clause
/* A UART in memory, whose registers are 1, 2 or 4 bytes wide, and the ring before it. */
#include "host/host_test.h"

#include <string.h>

#include "runtime/console/serial.h"

/* Registers that keep what is written. */
static uint8_t registers[8 * 4] __attribute__((aligned(8)));

enum { DATA, INTERRUPT, FIFO, LINE_CONTROL, MODEM, LINE_STATUS };

#define RECEIVED    0x01
#define TRANSMITTER 0x20

static struct uart_place place_of(unsigned bytes)
{
	memset(registers, 0, sizeof(registers));
	return (struct uart_place){
		.base = (uintptr_t)registers, .in_memory = true, .register_bytes = (uint8_t)bytes, .line = -1, .divisor = 0x123
	};
}

START_TEST(registers_of_every_width)
{
	for (unsigned bytes = 1; bytes <= 4; bytes *= 2) {
		const struct uart_place place = place_of(bytes);
		struct uart uart;

		ck_assert(uart_init(&uart, &place));
		ck_assert_uint_eq(registers[DATA * bytes], 0x23); /* the divisor */
		ck_assert_uint_eq(registers[INTERRUPT * bytes], 0x01);
		ck_assert_uint_eq(registers[LINE_CONTROL * bytes], 0x03);
		ck_assert_uint_eq(uart_write(&uart, "abc", 3), 0); /* busy */
		ck_assert_int_eq(uart_read(&uart), -1);
		registers[LINE_STATUS * bytes] = TRANSMITTER | RECEIVED;
		ck_assert_uint_eq(uart_write(&uart, "abc", 3), 3);
		ck_assert_uint_eq(registers[DATA * bytes], 'c');
		ck_assert_int_eq(uart_read(&uart), 'c');
		ck_assert_uint_eq(uart_write(&uart, "0123456789abcdefXYZ", 19), 16);
		for (unsigned i = 0; i < sizeof(registers); i++)
			ck_assert(i % bytes == 0 || registers[i] == 0);
	}
}
END_TEST

START_TEST(speed_of_the_firmware_stays)
{
	struct uart_place place = place_of(1);
	struct uart uart;

	place.divisor = 0;
	registers[DATA] = 0x77;
	ck_assert(uart_init(&uart, &place));
	ck_assert_uint_eq(registers[DATA], 0x77);
}
END_TEST

/* Where the console has set a speed of its own before it has read what the firmware's was. */
START_TEST(speed_of_the_firmware_comes_back)
{
	struct uart_place place = place_of(1), other;
	struct uart uart;

	registers[DATA] = 12;
	ck_assert(uart_init(&uart, &place));
	ck_assert_uint_eq(registers[DATA], 0x23);
	place.divisor = 0;
	ck_assert_uint_eq(uart_place_again(&uart, &place).divisor, 12);
	other = place;
	other.base += 8;
	ck_assert_uint_eq(uart_place_again(&uart, &other).divisor, 0);
	place.divisor = 2;
	ck_assert_uint_eq(uart_place_again(&uart, &place).divisor, 2);
}
END_TEST

/* A port that goes away reads as all ones, which is no character after the other. */
START_TEST(port_that_is_gone_sends_nothing)
{
	const struct uart_place place = place_of(1);
	struct uart uart;

	ck_assert(uart_init(&uart, &place));
	memset(registers, 0xff, sizeof(registers));
	ck_assert_int_eq(uart_read(&uart), -1);
}
END_TEST

START_TEST(busy_port_loses_text_but_no_time)
{
	static struct serial serial;
	const struct uart_place place = place_of(1);

	ck_assert(uart_init(&serial.uart, &place));
	ck_assert_uint_eq(serial_room(&serial), SERIAL_BYTES);
	serial_write(&serial, "one\ntwo\n", 8, TERMINAL_RED);
	ck_assert_mem_eq(serial.ring, "\x1b[31mone\r\ntwo\x1b[0m\r\n", 19);
	ck_assert(!serial_pump(&serial));
	registers[LINE_STATUS] = TRANSMITTER;
	ck_assert(serial_pump(&serial) && serial_pump(&serial) && serial_pump(&serial));
	ck_assert_uint_eq(serial_room(&serial), SERIAL_BYTES);
	registers[LINE_STATUS] = 0;
	for (unsigned i = 0; i < 3 * SERIAL_BYTES; i++)
		serial_write(&serial, "x", 1, TERMINAL_NORMAL);
	ck_assert(serial.stalled);
}
END_TEST

HOST_TEST_MAIN("uart", registers_of_every_width, speed_of_the_firmware_stays, speed_of_the_firmware_comes_back,
	       port_that_is_gone_sends_nothing, busy_port_loses_text_but_no_time)
