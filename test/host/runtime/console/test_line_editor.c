// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <string.h>

#include "runtime/base/random.h"
#include "runtime/console/line_editor.h"
#include "runtime/console/terminal.h"

/* What the editor writes goes to a terminal, so the tests see what a person would see. */
static struct terminal terminal;
static struct line_editor editor;

static void write_to_terminal(const char *text, size_t bytes)
{
	terminal_write(&terminal, text, bytes, TERMINAL_NORMAL);
}

static const char *candidate(void *context, const char *line, size_t length, unsigned index)
{
	static const char *const names[] = { "caches", "cleaners", "config", "mem", "mem owners", "memory", "tasks", NULL };
	static const char *const ends[] = { "tasks all", "tasks any", NULL };
	static char text[LINE_EDITOR_BYTES]; /* good until the next call, and no longer */
	const char *name = length > 5 ? ends[index] : names[index];

	(void)context;
	(void)line;
	memset(text, 0x5a, sizeof(text));
	return name ? strcpy(text, name) : NULL;
}

static void start(void)
{
	terminal_init(&terminal, 80, 25);
	line_editor_init(&editor, "> ", write_to_terminal, candidate, NULL);
	line_editor_start(&editor);
}

/* Returns true if the last character ended the line. */
static bool type(const char *text)
{
	bool done = false;

	while (*text)
		done = line_editor_put(&editor, *text++);
	return done;
}

static const char *shown(unsigned row)
{
	static char text[81];
	unsigned length = 0;

	for (unsigned column = 0; column < 80; column++) {
		text[column] = terminal_row(&terminal, row)[column].character;
		if (text[column] != ' ')
			length = column + 1;
	}
	text[length] = '\0';
	return text;
}

static void expect(const char *line, size_t cursor)
{
	char text[300] = "> ";

	ck_assert_str_eq(editor.line, line);
	ck_assert_uint_eq(editor.cursor, cursor);
	strcat(text, line);
	while (text[strlen(text) - 1] == ' ')
		text[strlen(text) - 1] = '\0';
	ck_assert_str_eq(shown(terminal.row), text);
	ck_assert_uint_eq(terminal.column, 2 + cursor);
}

START_TEST(typing)
{
	start();
	ck_assert(!type("drain 1G"));
	expect("drain 1G", 8);
	ck_assert(type("\r"));
	ck_assert_str_eq(editor.line, "drain 1G");
	line_editor_start(&editor);
	ck_assert(!type("\n"));
	ck_assert(type("x\n"));
	ck_assert_str_eq(editor.line, "x");
}
END_TEST

START_TEST(moving_and_erasing)
{
	start();
	type("abcdef\x1b[D\x1b[D\x1b[DX");
	expect("abcXdef", 4);
	type("\x7f\b");
	expect("abdef", 2);
	type("\x1b[3~");
	expect("abef", 2);
	type("\x1b[H1\x1b[F2");
	expect("1abef2", 6);
	type("\x01\x04\x05\b");
	expect("abef", 4);
	type("\x02\x02\x02\x02\x02\x02");
	expect("abef", 0);
	type("\b\x06\x0b");
	expect("a", 1);
	type("\x06\x06\x04");
	expect("a", 1);
	type("\x15");
	expect("", 0);
	type("one two  three\x17");
	expect("one two  ", 9);
	type("\x17\x17\x17");
	expect("", 0);
	type("\x1bOH\x1b[1~x\x1b[4~y\x1b[99~\x1b[Z\x1b[1;5C");
	expect("xy", 2);
}
END_TEST

START_TEST(history)
{
	start();
	type("first\n");
	line_editor_start(&editor);
	type("second\n");
	line_editor_start(&editor);
	type("second\n");
	line_editor_start(&editor);
	type("\n");
	line_editor_start(&editor);
	type("unfin\x1b[A");
	expect("second", 6);
	type("\x1b[A");
	expect("first", 5);
	type("\x1b[A");
	expect("first", 5);
	type("\x1b[B\x1b[B");
	expect("unfin", 5);
	type("\x0e");
	expect("unfin", 5);
	type("\x10\x10!\n");
	ck_assert_str_eq(editor.line, "first!");
	line_editor_start(&editor);
	type("\x10");
	expect("first!", 6);
}
END_TEST

START_TEST(history_is_a_ring)
{
	char line[4] = "l0\n";

	start();
	for (unsigned i = 0; i < LINE_EDITOR_HISTORY + 4; i++) {
		line[1] = (char)('0' + i);
		type(line);
		line_editor_start(&editor);
	}
	for (unsigned i = 0; i < LINE_EDITOR_HISTORY + 4; i++)
		type("\x10");
	ck_assert_str_eq(editor.line, "l4");
}
END_TEST

START_TEST(completion)
{
	start();
	type("t\t");
	expect("tasks ", 6);
	type("\x15m\t");
	expect("mem", 3);
	type("\t");
	ck_assert_str_eq(shown(terminal.row - 1), "mem  mem owners  memory");
	expect("mem", 3);
	type(" \t");
	expect("mem owners ", 11);
	type("\x15zzz\t");
	expect("zzz", 3);
	type("\x15"
	     "c\t");
	ck_assert_str_eq(shown(terminal.row - 1), "caches  cleaners  config");
	type("l 5\x02\x02\t");
	expect("cleaners 5", 8);
	/* Arguments: what stands before them is not shown again. */
	type("\x05\x15tasks \t");
	expect("tasks a", 7);
	type("\t");
	ck_assert_str_eq(shown(terminal.row - 1), "all  any");
	type("n\t");
	expect("tasks any ", 10);
}
END_TEST

START_TEST(abandoning)
{
	start();
	type("something\x03");
	expect("", 0);
	type("else\x0c");
	ck_assert_uint_eq(terminal.row, 0);
	expect("else", 4);
}
END_TEST

START_TEST(long_lines_scroll_sideways)
{
	char text[LINE_EDITOR_BYTES + 50];

	start();
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	type(text);
	ck_assert_uint_eq(editor.length, LINE_EDITOR_BYTES - 1);
	ck_assert_uint_eq(terminal.row, 0);
	ck_assert_uint_eq(terminal.column, 2 + LINE_EDITOR_COLUMNS);
	type("\x01");
	ck_assert_uint_eq(terminal.row, 0);
	ck_assert_uint_eq(terminal.column, 2);
	ck_assert(type("\n"));
	ck_assert_uint_eq(strlen(editor.line), LINE_EDITOR_BYTES - 1);
}
END_TEST

START_TEST(any_bytes_are_survived)
{
	struct random random;

	start();
	random_seed(&random, 3);
	for (unsigned i = 0; i < 200000; i++) {
		static const char often[] = "ab \t\x1b[ABCD3~\x01\x05\x0b\x10\x0e\x17";
		const uint64_t any = random_next(&random);

		if (line_editor_put(&editor, any & 1 ? (char)(any >> 8) : often[(any >> 8) % (sizeof(often) - 1)]))
			line_editor_start(&editor);
		ck_assert_uint_le(editor.cursor, editor.length);
		ck_assert_uint_eq(strlen(editor.line), editor.length);
	}
}
END_TEST

HOST_TEST_MAIN("line_editor", typing, moving_and_erasing, history, history_is_a_ring, completion, abandoning,
	       long_lines_scroll_sideways, any_bytes_are_survived)
