// SPDX-License-Identifier: BSD-2-Clause
/*
 * A serial port with a 16550 UART: 115200 baud, 8 data bits, no parity, FIFOs on. No locking of its
 * own; the console calls it under its lock. Never waits.
 */
#pragma once

#include "runtime/base/types.h"

struct uart {
	uint16_t port;
	bool present;
};

#define UART_COM1_PORT 0x3f8
#define UART_COM1_LINE 4

/*
 * Looks for a UART at `port` and sets it up. A port without one is left alone, and the other
 * functions then do nothing.
 */
void uart_init(struct uart *uart, uint16_t port);

/* Hands over what fits into the transmitter right now, at most 16 bytes; returns how many. */
size_t uart_write(struct uart *uart, const char *text, size_t bytes);

/* The next character that came in, or -1. */
int uart_read(struct uart *uart);

/* From now on the UART raises its interrupt when characters come in. */
void uart_enable_receive_interrupt(struct uart *uart);
