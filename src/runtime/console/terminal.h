// SPDX-License-Identifier: BSD-2-Clause
/*
 * The text on the screen, as a grid of cells: what a terminal shows, without the pixels. No
 * locking, no allocation, portable.
 *
 * Understands \n (which also returns), \r, \b, \t, and the escape sequences ESC[K (erase to the end
 * of the line) and ESC[2J with ESC[H (erase all, cursor home); it swallows others. Text that
 * reaches the last column goes on in the next line.
 */
#pragma once

#include "runtime/base/types.h"

#define TERMINAL_COLUMNS_MAX 240
#define TERMINAL_ROWS_MAX    100

enum terminal_colour {
	TERMINAL_NORMAL,
	TERMINAL_DIM,
	TERMINAL_YELLOW,
	TERMINAL_RED,
	TERMINAL_COLOURS,
};

struct terminal_cell {
	char character; /* 32 to 126 */
	uint8_t colour; /* enum terminal_colour */
};

struct terminal {
	unsigned columns; /* [I] */
	unsigned rows;    /* [I] */
	unsigned column;  /* of the cursor; `columns` when the line is full */
	unsigned row;
	unsigned top;     /* index in `cells` of the first row shown: scrolling moves no text */
	uint64_t changes; /* counts writes */
	enum { TERMINAL_PLAIN, TERMINAL_ESCAPE, TERMINAL_SEQUENCE } state;
	unsigned parameter; /* of the escape sequence under way */
	struct terminal_cell cells[TERMINAL_ROWS_MAX][TERMINAL_COLUMNS_MAX];
};

/* More columns or rows than the maxima are cut; both are at least 1. */
void terminal_init(struct terminal *terminal, unsigned columns, unsigned rows);

void terminal_write(struct terminal *terminal, const char *text, size_t bytes, enum terminal_colour colour);

/* The cells of a row, `columns` of them; 0 is the top row. */
const struct terminal_cell *terminal_row(const struct terminal *terminal, unsigned row);
