// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers of a 16550. It is written and read as far as its FIFOs go, and never waited for; the
 * console does the waiting. TL16C550C data sheet (Texas Instruments, SLLS177), section "Principles
 * of operation".
 */
#include "uart.h"

#include "runtime/x86_64/port.h"

enum uart_register {
	UART_DATA = 0, /* the divisor's low byte while the divisor latch is open */
	UART_INTERRUPT_ENABLE = 1,
	UART_FIFO_CONTROL = 2,
	UART_LINE_CONTROL = 3,
	UART_MODEM_CONTROL = 4,
	UART_LINE_STATUS = 5,
	UART_SCRATCH = 7,
};

#define LINE_8N1           0x03
#define LINE_DIVISOR_LATCH 0x80
#define FIFO_ENABLE_CLEAR  0x07
#define MODEM_DTR_RTS_OUT2 0x0b /* OUT2 connects the interrupt on PCs */
#define STATUS_RECEIVED    0x01
#define STATUS_TRANSMITTER 0x20 /* the transmit FIFO is empty */
#define INTERRUPT_RECEIVED 0x01
#define DIVISOR_115200     1
#define FIFO_BYTES         16

static uint8_t register_read(const struct uart *uart, enum uart_register which)
{
	return port_read8((uint16_t)(uart->port + which));
}

static void register_write(const struct uart *uart, enum uart_register which, uint8_t value)
{
	port_write8((uint16_t)(uart->port + which), value);
}

/* The scratch register keeps what is written; an empty bus does not. */
static bool scratch_keeps(const struct uart *uart, uint8_t value)
{
	register_write(uart, UART_SCRATCH, value);
	return register_read(uart, UART_SCRATCH) == value;
}

void uart_init(struct uart *uart, uint16_t port)
{
	*uart = (struct uart){ .port = port };
	if (!scratch_keeps(uart, 0x5a) || !scratch_keeps(uart, 0xa5))
		return;
	register_write(uart, UART_INTERRUPT_ENABLE, 0);
	register_write(uart, UART_LINE_CONTROL, LINE_DIVISOR_LATCH | LINE_8N1);
	register_write(uart, UART_DATA, DIVISOR_115200);
	register_write(uart, UART_INTERRUPT_ENABLE, 0);
	register_write(uart, UART_LINE_CONTROL, LINE_8N1);
	register_write(uart, UART_FIFO_CONTROL, FIFO_ENABLE_CLEAR);
	register_write(uart, UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
	uart->present = true;
}

size_t uart_write(struct uart *uart, const char *text, size_t bytes)
{
	const size_t count = MIN(bytes, FIFO_BYTES);

	if (!uart->present || !(register_read(uart, UART_LINE_STATUS) & STATUS_TRANSMITTER))
		return 0;
	for (size_t i = 0; i < count; i++)
		register_write(uart, UART_DATA, (uint8_t)text[i]);
	return count;
}

int uart_read(struct uart *uart)
{
	if (!uart->present || !(register_read(uart, UART_LINE_STATUS) & STATUS_RECEIVED))
		return -1;
	return register_read(uart, UART_DATA);
}

void uart_enable_receive_interrupt(struct uart *uart)
{
	if (uart->present)
		register_write(uart, UART_INTERRUPT_ENABLE, INTERRUPT_RECEIVED);
}
