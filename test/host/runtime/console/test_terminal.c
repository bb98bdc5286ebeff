// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/console/framebuffer.h"
#include "runtime/console/keyboard.h"
#include "runtime/console/terminal.h"

static struct terminal terminal;

static void put(const char *text)
{
	terminal_write(&terminal, text, strlen(text), TERMINAL_NORMAL);
}

/* The text of a row without the blanks at its end. */
static const char *row_text(unsigned row)
{
	static char text[TERMINAL_COLUMNS_MAX + 1];
	unsigned length = 0;

	for (unsigned column = 0; column < terminal.columns; column++) {
		text[column] = terminal_row(&terminal, row)[column].character;
		if (text[column] != ' ')
			length = column + 1;
	}
	text[length] = '\0';
	return text;
}

START_TEST(text_wraps_and_scrolls)
{
	terminal_init(&terminal, 10, 3);
	put("one\ntwo\n0123456789");
	ck_assert_str_eq(row_text(0), "one");
	ck_assert_str_eq(row_text(2), "0123456789");
	put("!");
	ck_assert_str_eq(row_text(0), "two");
	ck_assert_str_eq(row_text(1), "0123456789");
	ck_assert_str_eq(row_text(2), "!");
	for (unsigned i = 0; i < 100; i++)
		put("line\n");
	ck_assert_str_eq(row_text(0), "line");
	ck_assert_str_eq(row_text(1), "line");
	ck_assert_str_eq(row_text(2), "");
	ck_assert_uint_eq(terminal.row, 2);
}
END_TEST

START_TEST(full_line_with_newline_is_one_line)
{
	terminal_init(&terminal, 5, 3);
	put("12345\nx");
	ck_assert_str_eq(row_text(0), "12345");
	ck_assert_str_eq(row_text(1), "x");
}
END_TEST

START_TEST(control_characters)
{
	terminal_init(&terminal, 20, 4);
	put("hello\rJ\n");
	ck_assert_str_eq(row_text(0), "Jello");
	put("a\tb");
	ck_assert_str_eq(row_text(1), "a       b");
	put("\b\b\b\b\b\b\b\b\b\b\b\bZ\x01\x7f\xe4");
	ck_assert_str_eq(row_text(1), "Z?      b");
}
END_TEST

START_TEST(escape_sequences)
{
	terminal_init(&terminal, 20, 3);
	put("progress 50%\rdone\x1b[K\n");
	ck_assert_str_eq(row_text(0), "done");
	put("\x1b[31mred\x1b[0m \x1b[1;32mgreen\x1b(");
	ck_assert_str_eq(row_text(1), "red green");
	put("\x1b[2J\x1b[Htop");
	ck_assert_str_eq(row_text(0), "top");
	ck_assert_str_eq(row_text(1), "");
}
END_TEST

START_TEST(sizes_are_bounded)
{
	terminal_init(&terminal, 100000, 100000);
	ck_assert_uint_eq(terminal.columns, TERMINAL_COLUMNS_MAX);
	ck_assert_uint_eq(terminal.rows, TERMINAL_ROWS_MAX);
	for (unsigned i = 0; i < 100000; i++)
		put("some text\t");
	terminal_init(&terminal, 0, 0);
	put("abc\n\tx\r\b\x1b[K");
	ck_assert_uint_eq(terminal.columns, 1);
}
END_TEST

#define WIDTH  640
#define HEIGHT 200

static struct framebuffer framebuffer;

static struct boot_framebuffer screen_make(unsigned width, unsigned height)
{
	return (struct boot_framebuffer){
		.bytes = (uint64_t)width * height * 4,
		.width_pixels = width,
		.height_pixels = height,
		.stride_pixels = width,
		.format = BOOT_PIXEL_BGRX,
	};
}

static void draw(void)
{
	for (unsigned row = 0; row < framebuffer.rows; row++)
		framebuffer_draw_row(&framebuffer, row, terminal_row(&terminal, row), -1);
}

/* Pixels of a cell that have the colour of ink. */
static unsigned ink(const uint32_t *pixels, unsigned stride, unsigned row, unsigned column, unsigned scale)
{
	unsigned count = 0;

	for (unsigned y = 0; y < FONT_HEIGHT * scale; y++) {
		for (unsigned x = 0; x < FONT_WIDTH * scale; x++)
			count += pixels[(row * FONT_HEIGHT * scale + y) * stride + column * FONT_WIDTH * scale + x] ==
				 framebuffer.colours[TERMINAL_NORMAL];
	}
	return count;
}

START_TEST(pixels_are_the_fonts)
{
	const struct boot_framebuffer screen = screen_make(WIDTH, HEIGHT);
	uint32_t *pixels = malloc(screen.bytes);

	framebuffer_init(&framebuffer, &screen, pixels);
	ck_assert_uint_eq(framebuffer.columns, WIDTH / 8);
	ck_assert_uint_eq(framebuffer.rows, HEIGHT / 16);
	terminal_init(&terminal, framebuffer.columns, framebuffer.rows);
	put("\nA");
	draw();
	for (unsigned y = 0; y < FONT_HEIGHT; y++) {
		for (unsigned x = 0; x < FONT_WIDTH; x++)
			ck_assert_int_eq(pixels[(16 + y) * WIDTH + x] == framebuffer.colours[TERMINAL_NORMAL],
					 framebuffer.font.rows['A' - ' '][y] >> (7 - x) & 1);
	}
	ck_assert_uint_eq(ink(pixels, WIDTH, 1, 1, 1), 0);

	/* The cursor turns ink and paper round, and leaves no trace. */
	const unsigned before = ink(pixels, WIDTH, 1, 0, 1);
	framebuffer_draw_row(&framebuffer, 1, terminal_row(&terminal, 1), 0);
	ck_assert_uint_eq(ink(pixels, WIDTH, 1, 0, 1), 128 - before);
	draw();
	ck_assert_uint_eq(ink(pixels, WIDTH, 1, 0, 1), before);
	free(pixels);
}
END_TEST

START_TEST(only_changes_are_drawn)
{
	const struct boot_framebuffer screen = screen_make(WIDTH, HEIGHT);
	uint32_t *pixels = malloc(screen.bytes);

	framebuffer_init(&framebuffer, &screen, pixels);
	terminal_init(&terminal, framebuffer.columns, framebuffer.rows);
	put("abc\n");
	draw();
	memset(pixels, 0x11, screen.bytes);
	put("d");
	draw();
	ck_assert_uint_eq(pixels[0], 0x11111111);
	ck_assert_uint_eq(pixels[16 * WIDTH], framebuffer.background);
	ck_assert_uint_eq(pixels[16 * WIDTH + 8], 0x11111111);
	free(pixels);
}
END_TEST

/* Pixels of a cell in row 1 that are not as the model wants them: squares of the glyph's. */
static unsigned wrong_pixels(const uint32_t *pixels, unsigned stride, unsigned column, char character, unsigned scale)
{
	unsigned wrong = 0;

	for (unsigned y = 0; y < FONT_HEIGHT * scale; y++) {
		for (unsigned x = 0; x < FONT_WIDTH * scale; x++) {
			const unsigned bit = framebuffer.font.rows[character - ' '][y / scale] >> (7 - x / scale) & 1;
			const uint32_t pixel = pixels[(16 * scale + y) * stride + column * 8 * scale + x];

			wrong += pixel != (bit ? framebuffer.colours[TERMINAL_NORMAL] : framebuffer.background);
		}
	}
	return wrong;
}

static void check_scaled(unsigned width, unsigned height, unsigned scale)
{
	const struct boot_framebuffer screen = screen_make(width, height);
	uint32_t *pixels = malloc(screen.bytes);

	framebuffer_init(&framebuffer, &screen, pixels);
	ck_assert_uint_eq(framebuffer.scale, scale);
	ck_assert_uint_eq(framebuffer.columns, MIN(width / (8 * scale), (unsigned)TERMINAL_COLUMNS_MAX));
	ck_assert_uint_eq(framebuffer.rows, MIN(height / (16 * scale), (unsigned)TERMINAL_ROWS_MAX));
	terminal_init(&terminal, framebuffer.columns, framebuffer.rows);
	put("\n R");
	draw();
	ck_assert_uint_eq(wrong_pixels(pixels, width, 1, 'R', scale), 0);
	free(pixels);
}

START_TEST(large_screens_are_scaled)
{
	check_scaled(800, 600, 1);
	check_scaled(1920, 1080, 1);
	check_scaled(1080, 1920, 1);
	check_scaled(2559, 1440, 1);
	check_scaled(2560, 1440, 2);
	check_scaled(3440, 1440, 2);
	check_scaled(3840, 2160, 3);
	check_scaled(7680, 4320, 6);
}
END_TEST

/* Pixels beyond the visible ones, and visible ones, that are still what the memory had before. */
static void padding_count(const uint32_t *pixels, const struct boot_framebuffer *screen, unsigned *padding, unsigned *visible)
{
	*padding = *visible = 0;
	for (unsigned y = 0; y < screen->height_pixels; y++) {
		for (unsigned x = 0; x < screen->stride_pixels; x++) {
			if (pixels[y * screen->stride_pixels + x] == 0x5a5a5a5a)
				++*(x < screen->width_pixels ? visible : padding);
		}
	}
}

/* Scan lines that are longer than what is visible, by an odd number of pixels, too. */
START_TEST(padding_is_never_written)
{
	unsigned kept, missed;

	for (unsigned padding = 1; padding <= 65; padding += 4) {
		struct boot_framebuffer screen = screen_make(WIDTH - 1, HEIGHT);

		screen.stride_pixels = screen.width_pixels + padding;
		screen.bytes = (uint64_t)screen.stride_pixels * HEIGHT * 4;
		uint32_t *pixels = malloc(screen.bytes);
		memset(pixels, 0x5a, screen.bytes);
		framebuffer_init(&framebuffer, &screen, pixels);
		terminal_init(&terminal, framebuffer.columns, framebuffer.rows);
		put("\n R");
		draw();
		padding_count(pixels, &screen, &kept, &missed);
		ck_assert_uint_eq(kept, padding * HEIGHT);
		ck_assert_uint_eq(missed, 0);
		ck_assert_uint_eq(wrong_pixels(pixels, screen.stride_pixels, 1, 'R', 1), 0);
		free(pixels);
	}
}
END_TEST

START_TEST(odd_screens_are_refused)
{
	struct boot_framebuffer screen = screen_make(WIDTH, HEIGHT);

	screen.format = BOOT_PIXEL_NONE;
	framebuffer_init(&framebuffer, &screen, NULL);
	ck_assert_uint_eq(framebuffer.columns, 0);
	screen = screen_make(WIDTH, HEIGHT);
	screen.bytes--;
	framebuffer_init(&framebuffer, &screen, NULL);
	ck_assert_uint_eq(framebuffer.columns, 0);
	screen = screen_make(64, 32);
	framebuffer_init(&framebuffer, &screen, NULL);
	ck_assert_uint_eq(framebuffer.columns, 0);
	draw();
}
END_TEST

START_TEST(glyphs_differ)
{
	static struct font font;

	font_init(&font);
	for (unsigned a = 0; a < FONT_CHARACTERS; a++) {
		for (unsigned b = a + 1; b < FONT_CHARACTERS; b++)
			ck_assert_msg(memcmp(font.rows[a], font.rows[b], FONT_HEIGHT) != 0, "%c looks like %c", ' ' + a,
				      ' ' + b);
	}
}
END_TEST

/* Types the scan codes up to a 0 and compares. */
static void type(struct keyboard *keyboard, const uint8_t *codes, const char *expected)
{
	char all[64] = "";

	for (; *codes; codes++) {
		char text[KEYBOARD_TEXT_BYTES];

		keyboard_decode(keyboard, *codes, text);
		strcat(all, text);
	}
	ck_assert_str_eq(all, expected);
}

START_TEST(keys_become_text)
{
	struct keyboard keyboard = { .present = true };

	type(&keyboard, (const uint8_t[]){ 0x23, 0xa3, 0x12, 0x92, 0x02, 0x39, 0x1c, 0x0e, 0 }, "he1 \n\x7f");
	type(&keyboard, (const uint8_t[]){ 0x2a, 0x23, 0x02, 0xaa, 0x23, 0 }, "H!h");
	type(&keyboard, (const uint8_t[]){ 0x3a, 0xba, 0x23, 0x02, 0x36, 0x23, 0xb6, 0x3a, 0x23, 0 }, "H1hh");
	type(&keyboard, (const uint8_t[]){ 0x1d, 0x1e, 0x9d, 0x1e, 0 },
	     "\x01"
	     "a");
	type(&keyboard, (const uint8_t[]){ 0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x53, 0x4b, 0xe0, 0x1c, 0 }, "\x1b[A\x1b[3~\x1b[D\n");
	/*
	 * What real keyboards send around extended keys while Num Lock is on, and keys without a
	 * meaning.
	 */
	type(&keyboard, (const uint8_t[]){ 0xe0, 0x2a, 0xe0, 0x4d, 0xe0, 0xaa, 0x23, 0x3b, 0x58, 0x7f, 0xfe, 0 }, "\x1b[Ch");
}
END_TEST

HOST_TEST_MAIN("terminal", text_wraps_and_scrolls, full_line_with_newline_is_one_line, control_characters, escape_sequences,
	       sizes_are_bounded, pixels_are_the_fonts, only_changes_are_drawn, large_screens_are_scaled,
	       padding_is_never_written, odd_screens_are_refused, glyphs_differ, keys_become_text)
