// SPDX-License-Identifier: BSD-2-Clause
/*
 * Two tables of characters by scan code, without Shift and with it, and one of escape sequences
 * for the keys that move. The keypad always moves, so the prefix 0xe0 need not be told apart
 * there. IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller" and "Keyboards".
 */
#include "keyboard.h"

#include "runtime/base/string.h"
#include "runtime/x86_64/port.h"

#define PORT_DATA   0x60
#define PORT_STATUS 0x64 /* read */
#define PORT_ORDER  0x64 /* write */

#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL  0x02
#define STATUS_MOUSE       0x20

#define ORDER_READ_CONFIGURATION  0x20
#define ORDER_WRITE_CONFIGURATION 0x60
#define ORDER_ENABLE_KEYBOARD     0xae

#define CONFIGURATION_INTERRUPT 0x01
#define CONFIGURATION_DISABLED  0x10
#define CONFIGURATION_TRANSLATE 0x40

#define POLLS_MAX 20000 /* a read of a port takes about a microsecond */

enum scan_code {
	CODE_CONTROL = 0x1d,
	CODE_LEFT_SHIFT = 0x2a,
	CODE_RIGHT_SHIFT = 0x36,
	CODE_CAPITALS = 0x3a,
	CODE_RELEASED = 0x80,
	CODE_EXTENDED = 0xe0,
};

static const char plain[] = "\0\x1b"
			    "1234567890-=\x7f\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[] = "\0\x1b!@#$%^&*()_+\x7f\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

/* From 0x47 on, with and without 0xe0: the keypad is always used for moving. */
static const char navigation[][KEYBOARD_TEXT_BYTES] = {
	"\x1b[H", "\x1b[A", "", "-", "\x1b[D", "", "\x1b[C", "+", "\x1b[F", "\x1b[B", "", "", "\x1b[3~",
};
#define CODE_NAVIGATION 0x47

static bool status_wait(uint8_t mask, uint8_t wanted)
{
	for (unsigned i = 0; i < POLLS_MAX; i++) {
		if ((port_read8(PORT_STATUS) & mask) == wanted)
			return true;
	}
	return false;
}

static bool write_to(uint16_t port, uint8_t value)
{
	if (!status_wait(STATUS_INPUT_FULL, 0))
		return false;
	port_write8(port, value);
	return true;
}

void keyboard_init(struct keyboard *keyboard)
{
	*keyboard = (struct keyboard){ 0 };
	if (port_read8(PORT_STATUS) == 0xff)
		return;
	for (unsigned i = 0; i < 64 && (port_read8(PORT_STATUS) & STATUS_OUTPUT_FULL); i++)
		(void)port_read8(PORT_DATA);
	if (!write_to(PORT_ORDER, ORDER_READ_CONFIGURATION) || !status_wait(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL))
		return;
	uint8_t configuration = port_read8(PORT_DATA);
	configuration |= CONFIGURATION_INTERRUPT | CONFIGURATION_TRANSLATE;
	configuration &= (uint8_t)~CONFIGURATION_DISABLED;
	keyboard->present = write_to(PORT_ORDER, ORDER_WRITE_CONFIGURATION) && write_to(PORT_DATA, configuration) &&
			    write_to(PORT_ORDER, ORDER_ENABLE_KEYBOARD);
}

bool keyboard_poll(struct keyboard *keyboard, char text[KEYBOARD_TEXT_BYTES])
{
	text[0] = '\0';
	if (!keyboard->present)
		return false;
	const uint8_t status = port_read8(PORT_STATUS);
	if (!(status & STATUS_OUTPUT_FULL))
		return false;
	const uint8_t code = port_read8(PORT_DATA);
	if (!(status & STATUS_MOUSE))
		keyboard_decode(keyboard, code, text);
	return true;
}

static char decode_character(const struct keyboard *keyboard, uint8_t code)
{
	char character = plain[code];
	const bool letter = character >= 'a' && character <= 'z';

	if (keyboard->control && letter)
		return (char)(character & 0x1f);
	if (keyboard->shift != (letter && keyboard->capitals))
		character = shifted[code];
	return character;
}

void keyboard_decode(struct keyboard *keyboard, uint8_t code, char text[KEYBOARD_TEXT_BYTES])
{
	const bool extended = keyboard->extended;
	const bool pressed = !(code & CODE_RELEASED);

	memset(text, 0, KEYBOARD_TEXT_BYTES);
	keyboard->extended = code == CODE_EXTENDED;
	if (keyboard->extended)
		return;
	code &= (uint8_t)~CODE_RELEASED;
	if (code == CODE_CONTROL)
		keyboard->control = pressed;
	else if ((code == CODE_LEFT_SHIFT || code == CODE_RIGHT_SHIFT) && !extended)
		keyboard->shift = pressed;
	else if (!pressed)
		return;
	else if (code == CODE_CAPITALS)
		keyboard->capitals = !keyboard->capitals;
	else if (code >= CODE_NAVIGATION && code < CODE_NAVIGATION + ARRAY_LENGTH(navigation))
		memcpy(text, navigation[code - CODE_NAVIGATION], KEYBOARD_TEXT_BYTES);
	else if (code < sizeof(plain) - 1)
		text[0] = decode_character(keyboard, code);
}
