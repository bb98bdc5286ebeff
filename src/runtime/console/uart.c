// SPDX-License-Identifier: BSD-2-Clause
/*
 * Registers of a 16550. It is written and read as far as its FIFOs go, and never waited for; the
 * console does the waiting. TL16C550C data sheet (Texas Instruments, SLLS177), section "Principles
 * of operation".
 */
#include "uart.h"

#include "runtime/x86_64/port.h"

enum uart_register {
	UART_DATA = 0,             /* while the divisor latch is open, the divisor's low byte, */
	UART_INTERRUPT_ENABLE = 1, /* and its high one */
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
#define STATUS_ABSENT      0xff /* what reads where there is no UART, or none any more */
#define INTERRUPT_RECEIVED 0x01
#define FIFO_BYTES         16

const struct uart_place uart_com1 = { .base = 0x3f8, .register_bytes = 1, .line = 4, .divisor = 1 };
const struct uart_place uart_com2 = { .base = 0x2f8, .register_bytes = 1, .line = 3, .divisor = 1 };

static uint8_t register_read(const struct uart *uart, enum uart_register which)
{
	const uint64_t address = uart->place.base + which * uart->place.register_bytes;

	if (!uart->place.in_memory)
		return port_read8((uint16_t)address);
	switch (uart->place.register_bytes) {
	case 1:
		return *(volatile uint8_t *)address;
	case 2:
		return (uint8_t) * (volatile uint16_t *)address;
	default:
		return (uint8_t) * (volatile uint32_t *)address;
	}
}

static void register_write(const struct uart *uart, enum uart_register which, uint8_t value)
{
	const uint64_t address = uart->place.base + which * uart->place.register_bytes;

	if (!uart->place.in_memory)
		port_write8((uint16_t)address, value);
	else if (uart->place.register_bytes == 1)
		*(volatile uint8_t *)address = value;
	else if (uart->place.register_bytes == 2)
		*(volatile uint16_t *)address = value;
	else
		*(volatile uint32_t *)address = value;
}

/* The scratch register keeps what is written; an empty bus does not. */
static bool scratch_keeps(const struct uart *uart, uint8_t value)
{
	register_write(uart, UART_SCRATCH, value);
	return register_read(uart, UART_SCRATCH) == value;
}

static void speed_set(struct uart *uart)
{
	register_write(uart, UART_LINE_CONTROL, LINE_DIVISOR_LATCH | LINE_8N1);
	uart->divisor_found = (uint16_t)(register_read(uart, UART_DATA) | register_read(uart, UART_INTERRUPT_ENABLE) << 8);
	register_write(uart, UART_DATA, (uint8_t)uart->place.divisor);
	register_write(uart, UART_INTERRUPT_ENABLE, (uint8_t)(uart->place.divisor >> 8));
}

bool uart_init(struct uart *uart, const struct uart_place *place)
{
	*uart = (struct uart){ .place = *place };
	if (!scratch_keeps(uart, 0x5a) || !scratch_keeps(uart, 0xa5))
		return false;
	register_write(uart, UART_INTERRUPT_ENABLE, 0);
	if (place->divisor != 0)
		speed_set(uart);
	register_write(uart, UART_LINE_CONTROL, LINE_8N1);
	register_write(uart, UART_FIFO_CONTROL, FIFO_ENABLE_CLEAR);
	register_write(uart, UART_MODEM_CONTROL, MODEM_DTR_RTS_OUT2);
	uart->present = true;
	return true;
}

size_t uart_write(const struct uart *uart, const char *text, size_t bytes)
{
	const size_t count = MIN(bytes, FIFO_BYTES);

	if (!uart->present || !(register_read(uart, UART_LINE_STATUS) & STATUS_TRANSMITTER))
		return 0;
	for (size_t i = 0; i < count; i++)
		register_write(uart, UART_DATA, (uint8_t)text[i]);
	return count;
}

int uart_read(const struct uart *uart)
{
	const uint8_t status = uart->present ? register_read(uart, UART_LINE_STATUS) : 0;

	if (status == STATUS_ABSENT || !(status & STATUS_RECEIVED))
		return -1;
	return register_read(uart, UART_DATA);
}

struct uart_place uart_place_again(const struct uart *used, const struct uart_place *place)
{
	struct uart_place again = *place;

	if (place->divisor == 0 && used->present && used->place.base == place->base &&
	    used->place.in_memory == place->in_memory)
		again.divisor = used->divisor_found;
	return again;
}

void uart_enable_receive_interrupt(const struct uart *uart)
{
	if (uart->present)
		register_write(uart, UART_INTERRUPT_ENABLE, INTERRUPT_RECEIVED);
}
