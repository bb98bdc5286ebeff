// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text on its way to a serial port: a ring before the UART, which takes a few bytes at a time. No
 * locking of its own; the console calls it under its lock. Portable.
 *
 * A port that takes nothing for SERIAL_STUCK_CYCLES counts as stalled, and text for it is dropped
 * until it moves again: a terminal that is switched off must not stop the machine.
 */
#pragma once

#include "terminal.h"
#include "uart.h"

#define SERIAL_BYTES        4096
#define SERIAL_COLOUR_BYTES 10           /* of both sequences around a text */
#define SERIAL_STUCK_CYCLES (1ull << 32) /* no UART stays busy for as long */

struct serial {
	struct uart uart;
	char ring[SERIAL_BYTES]; /* what the UART did not take yet */
	size_t head;
	size_t tail;
	bool stalled;  /* the UART was busy for long; until it moves again, what it does not take at once is lost */
	uint64_t lost; /* characters for which there was no room, and whose writers could not wait; the console counts */
};

/* How many characters fit without waiting. */
static inline size_t serial_room(const struct serial *serial)
{
	return SERIAL_BYTES - (serial->head - serial->tail);
}

/* Gives the UART what it takes at once. False: nothing moved, though something is left. */
bool serial_pump(struct serial *serial);

/* Nothing has moved since the cycle `start`: drops the ring if that is long ago. */
void serial_give_up(struct serial *serial, uint64_t start);

/*
 * Writes with "\r\n" for a newline; waits for the UART where the ring is full. A colour other than
 * the normal one goes around all of the text but a newline at its end.
 */
void serial_write(struct serial *serial, const char *text, size_t bytes, enum terminal_colour colour);
