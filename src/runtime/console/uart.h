// SPDX-License-Identifier: BSD-2-Clause
/*
 * A serial port with a 16550 UART, in ports or in memory: 8 data bits, no parity, FIFOs on. No
 * locking of its own; the console calls it under its lock. Never waits.
 */
#pragma once

#include "runtime/base/types.h"

/* Where a UART is and how it is to be used. */
struct uart_place {
	uint64_t base;          /* the first port; in memory, an address that is mapped uncached */
	bool in_memory;         /* a machine that is not a PC's COM port */
	uint8_t register_bytes; /* 1, 2, 4: a register's width, and from one to the next */
	int line;               /* the ISA line of its interrupt; -1: none, it is polled */
	uint16_t divisor;       /* of its clock, for the speed; 0: as the firmware has set it */
};

struct uart {
	struct uart_place place;
	bool present;
	uint16_t divisor_found; /* the firmware's, which place.divisor has replaced */
};

#define UART_COM_CLOCK_HZ 1843200u /* the clock of a PC's ports */

/* The usual ports, at 115200 baud. */
extern const struct uart_place uart_com1, uart_com2;

/*
 * Looks for a UART and sets it up. False: there is none; the place is left alone, and the other
 * functions then do nothing.
 */
bool uart_init(struct uart *uart, const struct uart_place *place);

/* Hands over what fits into the transmitter right now, at most 16 bytes; returns how many. */
size_t uart_write(const struct uart *uart, const char *text, size_t bytes);

/* The next character that came in, or -1. */
int uart_read(const struct uart *uart);

/*
 * `place`, which may be where `used` is already: a divisor of 0 then means the one that the
 * firmware had set before `used` was.
 */
struct uart_place uart_place_again(const struct uart *used, const struct uart_place *place);

/* From now on the UART raises its interrupt when characters come in. */
void uart_enable_receive_interrupt(const struct uart *uart);
