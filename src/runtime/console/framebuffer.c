// SPDX-License-Identifier: BSD-2-Clause
/*
 * Draws glyphs into the framebuffer, two pixels with each store. It remembers what each cell shows
 * and draws only cells that have changed, because writing to a framebuffer is slow and reading
 * from it is slower.
 */
#include "framebuffer.h"

#define SCALE_WIDTH_PIXELS 2560 /* screens at least this wide are drawn at twice the size */
#define BACKGROUND         0x101418u

/* 0xRRGGBB */
static const uint32_t palette[TERMINAL_COLOURS] = {
	[TERMINAL_NORMAL] = 0xd8dee4,
	[TERMINAL_DIM] = 0x7c8a96,
	[TERMINAL_YELLOW] = 0xe8c060,
	[TERMINAL_RED] = 0xff7068,
};

static uint32_t pixel_value(uint32_t colour, enum boot_pixel_format format)
{
	if (format == BOOT_PIXEL_BGRX)
		return colour;
	return (colour & 0xff) << 16 | (colour & 0xff00) | colour >> 16;
}

static bool screen_is_usable(const struct boot_framebuffer *screen)
{
	return screen->format != BOOT_PIXEL_NONE && screen->base.value % 8 == 0 && screen->stride_pixels % 2 == 0 &&
	       screen->width_pixels <= screen->stride_pixels && screen->width_pixels >= 20 * FONT_WIDTH &&
	       screen->height_pixels >= 4 * FONT_HEIGHT &&
	       (uint64_t)screen->stride_pixels * screen->height_pixels * sizeof(uint32_t) <= screen->bytes;
}

void framebuffer_init(struct framebuffer *framebuffer, const struct boot_framebuffer *screen, void *pixels)
{
	framebuffer->pixels = NULL;
	framebuffer->columns = 0;
	framebuffer->rows = 0;
	if (!screen_is_usable(screen))
		return;
	framebuffer->pixels = pixels;
	framebuffer->stride_pixels = screen->stride_pixels;
	framebuffer->scale = screen->width_pixels >= SCALE_WIDTH_PIXELS ? 2 : 1;
	framebuffer->columns = MIN(screen->width_pixels / (FONT_WIDTH * framebuffer->scale), TERMINAL_COLUMNS_MAX);
	framebuffer->rows = MIN(screen->height_pixels / (FONT_HEIGHT * framebuffer->scale), TERMINAL_ROWS_MAX);
	for (unsigned i = 0; i < TERMINAL_COLOURS; i++)
		framebuffer->colours[i] = pixel_value(palette[i], screen->format);
	framebuffer->background = pixel_value(BACKGROUND, screen->format);
	font_init(&framebuffer->font);

	const uint64_t pair = framebuffer->background * 0x100000001ull;
	const uint64_t pairs = (uint64_t)screen->stride_pixels * screen->height_pixels / 2;
	for (uint64_t i = 0; i < pairs; i++)
		framebuffer->pixels[i] = pair;
	for (unsigned row = 0; row < framebuffer->rows; row++) {
		for (unsigned column = 0; column < framebuffer->columns; column++)
			framebuffer->drawn[row][column] = (struct framebuffer_cell){ .cell.character = ' ' };
	}
}

/* One line of pixels of a cell: `bits` are the font's. */
static void draw_line(volatile uint64_t *target, unsigned bits, const uint64_t pairs[4], unsigned scale)
{
	if (scale == 1) {
		target[0] = pairs[bits >> 6];
		target[1] = pairs[bits >> 4 & 3];
		target[2] = pairs[bits >> 2 & 3];
		target[3] = pairs[bits & 3];
		return;
	}
	for (unsigned i = 0; i < FONT_WIDTH; i++)
		target[i] = pairs[bits >> (FONT_WIDTH - 1 - i) & 1 ? 3 : 0];
}

static void draw_cell(struct framebuffer *framebuffer, unsigned row, unsigned column, struct framebuffer_cell cell)
{
	const uint64_t ink = framebuffer->colours[cell.cell.colour];
	const uint64_t paper = framebuffer->background;
	const unsigned scale = framebuffer->scale;
	const unsigned line_pairs = framebuffer->stride_pixels / 2;
	/*
	 * Two pixels, by the bits of two neighbours. The left pixel has the lower address, and so
	 * the lower half.
	 */
	const uint64_t pairs[4] = { paper << 32 | paper, ink << 32 | paper, paper << 32 | ink, ink << 32 | ink };
	const uint8_t *glyph = framebuffer->font.rows[cell.cell.character - ' '];
	volatile uint64_t *target = framebuffer->pixels + (uint64_t)row * FONT_HEIGHT * scale * line_pairs +
				    (uint64_t)column * FONT_WIDTH * scale / 2;

	for (unsigned line = 0; line < FONT_HEIGHT * scale; line++) {
		const unsigned bits = glyph[line / scale];

		draw_line(target, cell.cursor ? ~bits & 0xff : bits, pairs, scale);
		target += line_pairs;
	}
}

void framebuffer_draw_row(struct framebuffer *framebuffer, unsigned row, const struct terminal_cell *cells, int cursor)
{
	for (unsigned column = 0; column < framebuffer->columns; column++) {
		const struct framebuffer_cell cell = { cells[column], (int)column == cursor };
		struct framebuffer_cell *drawn = &framebuffer->drawn[row][column];

		if (drawn->cell.character == cell.cell.character && drawn->cell.colour == cell.cell.colour &&
		    drawn->cursor == cell.cursor)
			continue;
		draw_cell(framebuffer, row, column, cell);
		*drawn = cell;
	}
}
