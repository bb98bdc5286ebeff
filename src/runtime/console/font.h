// SPDX-License-Identifier: BSD-2-Clause
/* The font of the screen: 8 x 16 pixels for each printable ASCII character. Portable. */
#pragma once

#include "runtime/base/types.h"

#define FONT_WIDTH      8
#define FONT_HEIGHT     16
#define FONT_CHARACTERS 95 /* ' ' to '~' */

/* Row by row from the top; bit 7 is the leftmost pixel. */
struct font {
	uint8_t rows[FONT_CHARACTERS][FONT_HEIGHT];
};

/* Fills `font` from the drawings in font.c. */
void font_init(struct font *font);
