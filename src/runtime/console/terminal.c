// SPDX-License-Identifier: BSD-2-Clause
/*
 * A grid of cells and an index of its first row: scrolling moves the index, not the text. Each
 * write raises a number, by which the console sees that there is something to draw.
 */
#include "terminal.h"

#define TAB_COLUMNS 8

static struct terminal_cell *row_cells(struct terminal *terminal, unsigned row)
{
	return terminal->cells[(terminal->top + row) % terminal->rows];
}

const struct terminal_cell *terminal_row(const struct terminal *terminal, unsigned row)
{
	return terminal->cells[(terminal->top + row) % terminal->rows];
}

static void row_erase(struct terminal *terminal, unsigned row, unsigned from)
{
	struct terminal_cell *cells = row_cells(terminal, row);

	for (unsigned i = from; i < terminal->columns; i++)
		cells[i] = (struct terminal_cell){ .character = ' ' };
}

static void erase_all(struct terminal *terminal)
{
	for (unsigned row = 0; row < terminal->rows; row++)
		row_erase(terminal, row, 0);
}

void terminal_init(struct terminal *terminal, unsigned columns, unsigned rows)
{
	terminal->columns = MIN(MAX(columns, 1u), TERMINAL_COLUMNS_MAX);
	terminal->rows = MIN(MAX(rows, 1u), TERMINAL_ROWS_MAX);
	terminal->column = 0;
	terminal->row = 0;
	terminal->top = 0;
	terminal->changes = 0;
	terminal->state = TERMINAL_PLAIN;
	erase_all(terminal);
}

static void line_feed(struct terminal *terminal)
{
	terminal->column = 0;
	if (terminal->row + 1 < terminal->rows) {
		terminal->row++;
		return;
	}
	terminal->top = (terminal->top + 1) % terminal->rows;
	row_erase(terminal, terminal->row, 0);
}

static void put(struct terminal *terminal, char character, enum terminal_colour colour)
{
	if (terminal->column == terminal->columns)
		line_feed(terminal);
	row_cells(terminal, terminal->row)[terminal->column++] = (struct terminal_cell){ character, (uint8_t)colour };
}

static void plain(struct terminal *terminal, char character, enum terminal_colour colour)
{
	switch (character) {
	case '\n':
		line_feed(terminal);
		break;
	case '\r':
		terminal->column = 0;
		break;
	case '\b':
		if (terminal->column > 0)
			terminal->column--;
		break;
	case '\t':
		do
			put(terminal, ' ', colour);
		while (terminal->column % TAB_COLUMNS != 0 && terminal->column < terminal->columns);
		break;
	case '\x1b':
		terminal->state = TERMINAL_ESCAPE;
		break;
	default:
		if (character >= ' ' && character <= '~')
			put(terminal, character, colour);
		else if (character & 0x80)
			put(terminal, '?', colour);
	}
}

/* A character within ESC[ ... letter. */
static void sequence(struct terminal *terminal, char character)
{
	if (character >= '0' && character <= '9') {
		terminal->parameter = (terminal->parameter * 10 + (unsigned)(character - '0')) % 1000;
		return;
	}
	if (character == ';') {
		terminal->parameter = 0;
		return;
	}
	terminal->state = TERMINAL_PLAIN;
	if (character == 'K') {
		row_erase(terminal, terminal->row, terminal->column);
	} else if (character == 'J' && terminal->parameter == 2) {
		erase_all(terminal);
	} else if (character == 'H') {
		terminal->row = 0;
		terminal->column = 0;
	}
}

void terminal_write(struct terminal *terminal, const char *text, size_t bytes, enum terminal_colour colour)
{
	for (size_t i = 0; i < bytes; i++) {
		switch (terminal->state) {
		case TERMINAL_PLAIN:
			plain(terminal, text[i], colour);
			break;
		case TERMINAL_ESCAPE:
			terminal->state = text[i] == '[' ? TERMINAL_SEQUENCE : TERMINAL_PLAIN;
			terminal->parameter = 0;
			break;
		case TERMINAL_SEQUENCE:
			sequence(terminal, text[i]);
			break;
		}
	}
	terminal->changes++;
}
