// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writers fill the ring, and each that comes by empties it as far as the UART goes: no task owns
 * the UART, so text comes out of a panic, too.
 */
#include "serial.h"

#include "runtime/base/string.h"

bool serial_pump(struct serial *serial)
{
	const size_t tail = serial->tail % SERIAL_BYTES;
	const size_t left = serial->head - serial->tail;
	const size_t taken = uart_write(&serial->uart, serial->ring + tail, MIN(left, SERIAL_BYTES - tail));

	serial->tail += taken;
	if (taken > 0)
		serial->stalled = false;
	return taken > 0 || left == 0;
}

void serial_give_up(struct serial *serial, uint64_t start)
{
	if (!serial->stalled && __builtin_ia32_rdtsc() - start <= SERIAL_STUCK_CYCLES)
		return;
	serial->stalled = true;
	serial->tail = serial->head;
}

static void put(struct serial *serial, char character)
{
	const uint64_t start = __builtin_ia32_rdtsc();

	while (serial_room(serial) == 0)
		if (!serial_pump(serial))
			serial_give_up(serial, start);
	serial->ring[serial->head++ % SERIAL_BYTES] = character;
}

static void put_all(struct serial *serial, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			put(serial, '\r');
		put(serial, text[i]);
	}
}

void serial_write(struct serial *serial, const char *text, size_t bytes, enum terminal_colour colour)
{
	static const char *const colours[TERMINAL_COLOURS] = {
		[TERMINAL_DIM] = "\x1b[2m",
		[TERMINAL_YELLOW] = "\x1b[33m",
		[TERMINAL_RED] = "\x1b[31m",
	};
	const size_t end = bytes > 0 && text[bytes - 1] == '\n' ? bytes - 1 : bytes;

	if (!colours[colour]) {
		put_all(serial, text, bytes);
		return;
	}
	put_all(serial, colours[colour], strlen(colours[colour]));
	put_all(serial, text, end);
	put_all(serial, "\x1b[0m", 4);
	put_all(serial, text + end, bytes - end);
}
