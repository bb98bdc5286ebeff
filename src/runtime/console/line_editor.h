// SPDX-License-Identifier: BSD-2-Clause
/*
 * One line of input, edited at a terminal: cursor keys, Home, End, Delete,
 * Ctrl-A/E/B/F/D/K/U/W/L/C/P/N, history with the arrows, completion with Tab. No locking, no
 * allocation, portable.
 *
 *	line_editor_init(&editor, ...);
 *	for (;;) {
 *		line_editor_start(&editor);
 *		while (!line_editor_put(&editor, next_character()))
 *			;
 *		use(editor.line);    // may be modified
 *	}
 */
#pragma once

#include "runtime/base/types.h"

#define LINE_EDITOR_BYTES   256 /* NUL included; what goes beyond is not taken */
#define LINE_EDITOR_COLUMNS 72  /* shown of a line; longer ones scroll sideways */
#define LINE_EDITOR_HISTORY 16

/*
 * The index-th line that the first `length` bytes of `line` may be completed to, or NULL: no more.
 * Only those that begin so count. The text is good until the next call.
 */
typedef const char *line_editor_candidate(void *context, const char *line, size_t length, unsigned index);

struct line_editor {
	const char *prompt;                            /* [I] */
	void (*write)(const char *text, size_t bytes); /* [I] to the terminal */
	line_editor_candidate *candidate;              /* [I] */
	void *context;                                 /* [I] of candidate */

	char line[LINE_EDITOR_BYTES]; /* NUL-terminated at `length` */
	size_t length;
	size_t cursor; /* 0 to length */

	char history[LINE_EDITOR_HISTORY][LINE_EDITOR_BYTES]; /* a ring */
	unsigned history_count;                               /* of all lines ever put there */
	unsigned history_back;                                /* how far back the line is from; 0: it is the new one */
	char unfinished[LINE_EDITOR_BYTES];                   /* the new line, while an older one is shown */

	char sequence[4]; /* the escape sequence so far, without the ESC */
	size_t sequence_length;
	enum { LINE_EDITOR_PLAIN, LINE_EDITOR_ESCAPE } state;
	bool carriage_return; /* the last character was \r, so that \n behind it is no second line */
};

void line_editor_init(struct line_editor *editor, const char *prompt, void (*write)(const char *text, size_t bytes),
		      line_editor_candidate *candidate, void *context);

/* Empties the line and shows the prompt. */
void line_editor_start(struct line_editor *editor);

/*
 * Takes a character from the terminal. True: the line is complete, `line` holds it, and history
 * remembers it.
 */
bool line_editor_put(struct line_editor *editor, char character);

/* Shows prompt and line again, after something else was printed. */
void line_editor_show(struct line_editor *editor);
