// SPDX-License-Identifier: BSD-2-Clause
/*
 * A PS/2 keyboard with the US layout behind an 8042 controller, real or emulated by firmware. No
 * locking of its own. Only the controller's scan code set 1 (translated) is understood, which is
 * what PCs start with.
 */
#pragma once

#include "runtime/base/types.h"

#define KEYBOARD_LINE 1

struct keyboard {
	bool present;
	bool shift;
	bool control;
	bool capitals;
	bool extended; /* the byte before was 0xe0 */
};

/* Looks for the controller and turns the keyboard and its interrupt on. */
void keyboard_init(struct keyboard *keyboard);

#define KEYBOARD_TEXT_BYTES 5

/*
 * Takes one byte from the controller, if there is one, and writes what it means: a character, an
 * escape sequence as of a VT220, or nothing. Returns false when there was no byte. Never waits.
 */
bool keyboard_poll(struct keyboard *keyboard, char text[KEYBOARD_TEXT_BYTES]);

/* The meaning of one scan code; keyboard_poll without the controller. */
void keyboard_decode(struct keyboard *keyboard, uint8_t code, char text[KEYBOARD_TEXT_BYTES]);
