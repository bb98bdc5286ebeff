// SPDX-License-Identifier: BSD-2-Clause
/*
 * Draws a terminal's cells into a linear framebuffer of 32-bit pixels. It writes pixels and never
 * reads one, and remembers what it has drawn, so that only cells that changed cost something. No
 * locking, portable.
 */
#pragma once

#include "runtime/base/boot_info.h"

#include "font.h"
#include "terminal.h"

struct framebuffer {
	volatile uint64_t *pixels;          /* [I] two at a time; NULL: no framebuffer */
	unsigned stride_pixels;             /* [I] even */
	unsigned scale;                     /* [I] 1, or 2 on screens with many small pixels */
	unsigned columns;                   /* [I] what fits, 0 without a framebuffer */
	unsigned rows;                      /* [I] */
	uint32_t background;                /* [I] as pixels */
	uint32_t colours[TERMINAL_COLOURS]; /* [I] */
	struct font font;
	struct framebuffer_cell {
		struct terminal_cell cell;
		bool cursor;
	} drawn[TERMINAL_ROWS_MAX][TERMINAL_COLUMNS_MAX];
};

/*
 * `pixels` is where `screen` is mapped. Clears the screen. A framebuffer that is too small, has an
 * odd layout, or is missing (BOOT_PIXEL_NONE) leaves columns at 0, and nothing is drawn.
 */
void framebuffer_init(struct framebuffer *framebuffer, const struct boot_framebuffer *screen, void *pixels);

/*
 * Brings a row of the screen to `cells`, `columns` of them; `cursor` is the column of the cursor or
 * -1.
 */
void framebuffer_draw_row(struct framebuffer *framebuffer, unsigned row, const struct terminal_cell *cells, int cursor);
