// SPDX-License-Identifier: BSD-2-Clause
/*
 * Masks every input of an I/O APIC: two registers for each input, reached through an index
 * register and a data register.
 */
#include "ioapic.h"

#define SELECT      0x00
#define WINDOW      0x10
#define VERSION     0x01
#define REDIRECTION 0x10 /* two registers for each input */
#define MASKED      (1u << 16)

static uint32_t register_read(volatile uint32_t *registers, uint32_t index)
{
	registers[SELECT / 4] = index;
	return registers[WINDOW / 4];
}

static void register_write(volatile uint32_t *registers, uint32_t index, uint32_t value)
{
	registers[SELECT / 4] = index;
	registers[WINDOW / 4] = value;
}

void ioapic_mask_all(volatile void *registers)
{
	uint32_t inputs = ((register_read(registers, VERSION) >> 16) & 0xff) + 1;

	for (uint32_t input = 0; input < inputs; input++) {
		uint32_t index = REDIRECTION + 2 * input;

		register_write(registers, index, register_read(registers, index) | MASKED);
	}
}
