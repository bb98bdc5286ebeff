// SPDX-License-Identifier: BSD-2-Clause
/*
 * Draws glyphs into the framebuffer, two pixels with each store. It remembers what each cell shows
 * and draws only cells that have changed, because writing to a framebuffer is slow and reading
 * from it is slower. Large screens get the same glyphs with each pixel drawn as a square.
 */
#include "framebuffer.h"

/* Glyphs grow by whole factors as long as so much text fits beside and below each other. */
#define SCALED_COLUMNS 160
#define SCALED_ROWS    45
#define SCALE_MAX      8
#define BACKGROUND     0x101418u

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
	return screen->format != BOOT_PIXEL_NONE && screen->base.value % sizeof(uint32_t) == 0 &&
	       screen->width_pixels <= screen->stride_pixels && screen->width_pixels >= 20 * FONT_WIDTH &&
	       screen->height_pixels >= 4 * FONT_HEIGHT &&
	       (uint64_t)screen->stride_pixels * screen->height_pixels * sizeof(uint32_t) <= screen->bytes;
}

static unsigned scale_of(const struct boot_framebuffer *screen)
{
	const unsigned across = screen->width_pixels / (FONT_WIDTH * SCALED_COLUMNS);
	const unsigned down = screen->height_pixels / (FONT_HEIGHT * SCALED_ROWS);

	return MAX(1u, MIN(MIN(across, down), (unsigned)SCALE_MAX));
}

/* The visible part; what lies behind it in each scan line is left alone. */
static void screen_clear(struct framebuffer *framebuffer, const struct boot_framebuffer *screen)
{
	for (unsigned y = 0; y < screen->height_pixels; y++) {
		volatile uint32_t *line = framebuffer->pixels + (uint64_t)y * framebuffer->stride_pixels;

		for (unsigned x = 0; x + 1 < screen->width_pixels; x += 2)
			*(volatile pixel_pair *)(line + x) = framebuffer->background * 0x100000001ull;
		line[screen->width_pixels - 1] = framebuffer->background;
	}
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
	framebuffer->scale = scale_of(screen);
	framebuffer->columns = MIN(screen->width_pixels / (FONT_WIDTH * framebuffer->scale), TERMINAL_COLUMNS_MAX);
	framebuffer->rows = MIN(screen->height_pixels / (FONT_HEIGHT * framebuffer->scale), TERMINAL_ROWS_MAX);
	for (unsigned i = 0; i < TERMINAL_COLOURS; i++)
		framebuffer->colours[i] = pixel_value(palette[i], screen->format);
	framebuffer->background = pixel_value(BACKGROUND, screen->format);
	font_init(&framebuffer->font);
	screen_clear(framebuffer, screen);
	for (unsigned row = 0; row < framebuffer->rows; row++) {
		for (unsigned column = 0; column < framebuffer->columns; column++)
			framebuffer->drawn[row][column] = (struct framebuffer_cell){ .cell.character = ' ' };
	}
}

/* The pixels of one line of a cell, in pairs; the left pixel has the lower address. */
static void line_make(uint32_t *line, unsigned bits, uint32_t ink, uint32_t paper, unsigned scale)
{
	for (unsigned i = 0; i < FONT_WIDTH; i++) {
		const uint32_t colour = bits >> (FONT_WIDTH - 1 - i) & 1 ? ink : paper;

		for (unsigned j = 0; j < scale; j++)
			*line++ = colour;
	}
}

static void draw_cell(struct framebuffer *framebuffer, unsigned row, unsigned column, struct framebuffer_cell cell)
{
	const unsigned scale = framebuffer->scale;
	const uint8_t *glyph = framebuffer->font.rows[cell.cell.character - ' '];
	volatile uint32_t *target = framebuffer->pixels + (uint64_t)row * FONT_HEIGHT * scale * framebuffer->stride_pixels +
				    (uint64_t)column * FONT_WIDTH * scale;
	union {
		uint32_t pixels[FONT_WIDTH * SCALE_MAX];
		uint64_t pairs[FONT_WIDTH * SCALE_MAX / 2];
	} line;

	for (unsigned y = 0; y < FONT_HEIGHT * scale; y++) {
		const unsigned bits = cell.cursor ? ~glyph[y / scale] & 0xffu : glyph[y / scale];

		if (y % scale == 0)
			line_make(line.pixels, bits, framebuffer->colours[cell.cell.colour], framebuffer->background, scale);
		for (unsigned i = 0; i < FONT_WIDTH * scale / 2; i++)
			((volatile pixel_pair *)target)[i] = line.pairs[i];
		target += framebuffer->stride_pixels;
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
