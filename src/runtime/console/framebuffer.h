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

/* Two pixels in one store, which need only a single one's alignment. */
typedef uint64_t pixel_pair __attribute__((aligned(4), may_alias));

struct framebuffer {
	volatile uint32_t *pixels;          /* [I] NULL: no framebuffer */
	unsigned stride_pixels;             /* [I] from one scan line to the next; may be more than is visible */
	unsigned scale;                     /* [I] a glyph's pixel is a square of so many: 1 up to 2559 x 1439, 3 on 4K */
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
 * `pixels` is where `screen` is mapped. Clears the screen. A framebuffer that is too small or
 * is missing (BOOT_PIXEL_NONE) leaves columns at 0, and nothing is drawn.
 */
void framebuffer_init(struct framebuffer *framebuffer, const struct boot_framebuffer *screen, void *pixels);

/*
 * Brings a row of the screen to `cells`, `columns` of them; `cursor` is the column of the cursor or
 * -1.
 */
void framebuffer_draw_row(struct framebuffer *framebuffer, unsigned row, const struct terminal_cell *cells, int cursor);
