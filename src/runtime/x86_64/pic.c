// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two chips behind four ports: a line's number says which of them is meant. Masks are kept here,
 * because a write sets all eight lines of a chip at once.
 */
#include "pic.h"

#include "port.h"

#define FIRST_COMMAND  0x20
#define FIRST_DATA     0x21
#define SECOND_COMMAND 0xa0
#define SECOND_DATA    0xa1
#define ELCR           0x4d0 /* edge or level, a bit per line, in two ports */

#define ICW1_INIT      0x11 /* cascaded, ICW4 follows */
#define ICW4_8086      0x01
#define OCW2_END       0x20
#define OCW3_READ_ISR  0x0b
#define LINES_PER_CHIP 8

static uint16_t masked = 0xffff;

static void mask_write(void)
{
	port_write8(FIRST_DATA, (uint8_t)masked);
	port_write8(SECOND_DATA, (uint8_t)(masked >> 8));
}

void pic_init(void)
{
	port_write8(FIRST_COMMAND, ICW1_INIT);
	port_write8(SECOND_COMMAND, ICW1_INIT);
	port_write8(FIRST_DATA, PIC_VECTOR_BASE);
	port_write8(SECOND_DATA, PIC_VECTOR_BASE + LINES_PER_CHIP);
	port_write8(FIRST_DATA, 1u << PIC_CASCADE); /* to the first chip, a mask; to the second one, its number */
	port_write8(SECOND_DATA, PIC_CASCADE);
	port_write8(FIRST_DATA, ICW4_8086);
	port_write8(SECOND_DATA, ICW4_8086);
	masked = (uint16_t) ~(1u << PIC_CASCADE);
	mask_write();
}

void pic_mask(unsigned line)
{
	masked |= (uint16_t)(1u << line);
	mask_write();
}

void pic_unmask(unsigned line)
{
	masked &= (uint16_t) ~(1u << line);
	mask_write();
}

void pic_set_level_triggered(unsigned line, bool level)
{
	uint16_t port = (uint16_t)(ELCR + line / LINES_PER_CHIP);
	uint8_t bit = (uint8_t)(1u << line % LINES_PER_CHIP);
	uint8_t value = port_read8(port);

	port_write8(port, level ? value | bit : value & (uint8_t)~bit);
}

static bool in_service(uint16_t command, unsigned line)
{
	port_write8(command, OCW3_READ_ISR);
	return (port_read8(command) >> line) & 1;
}

bool pic_is_real(unsigned line)
{
	if (line == 7)
		return in_service(FIRST_COMMAND, 7);
	if (line == 15 && !in_service(SECOND_COMMAND, 7)) {
		port_write8(FIRST_COMMAND, OCW2_END); /* the first chip did see the cascade */
		return false;
	}
	return true;
}

void pic_end(unsigned line)
{
	if (line >= LINES_PER_CHIP)
		port_write8(SECOND_COMMAND, OCW2_END);
	port_write8(FIRST_COMMAND, OCW2_END);
}
