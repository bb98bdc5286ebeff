// SPDX-License-Identifier: BSD-2-Clause
/*
 * The line, its cursor and the history are text; each key changes them and then redraws the line.
 * The usual key, a character at the end, is only echoed, which leaves a clean transcript on a
 * serial line.
 */
#include "line_editor.h"

#include "runtime/base/string.h"

#define CONTROL(letter) ((letter)&0x1f)
#define ESCAPE          '\x1b'
#define DELETE          '\x7f'

static void write_text(const struct line_editor *editor, const char *text)
{
	editor->write(text, strlen(text));
}

void line_editor_init(struct line_editor *editor, const char *prompt, void (*write)(const char *text, size_t bytes),
		      line_editor_candidate *candidate, void *context)
{
	memset(editor, 0, sizeof(*editor));
	editor->prompt = prompt;
	editor->write = write;
	editor->candidate = candidate;
	editor->context = context;
}

void line_editor_show(struct line_editor *editor)
{
	const size_t first = editor->cursor > LINE_EDITOR_COLUMNS ? editor->cursor - LINE_EDITOR_COLUMNS : 0;
	const size_t end = MIN(editor->length, first + LINE_EDITOR_COLUMNS);

	write_text(editor, "\r");
	write_text(editor, editor->prompt);
	editor->write(editor->line + first, end - first);
	write_text(editor, "\x1b[K");
	for (size_t i = editor->cursor; i < end; i++)
		write_text(editor, "\b");
}

static void line_set(struct line_editor *editor, const char *text)
{
	editor->length = strlen(text);
	editor->cursor = editor->length;
	memcpy(editor->line, text, editor->length + 1);
}

void line_editor_start(struct line_editor *editor)
{
	line_set(editor, "");
	editor->history_back = 0;
	write_text(editor, editor->prompt);
}

static void insert(struct line_editor *editor, const char *text, size_t bytes)
{
	bytes = MIN(bytes, LINE_EDITOR_BYTES - 1 - editor->length);
	memmove(editor->line + editor->cursor + bytes, editor->line + editor->cursor, editor->length - editor->cursor + 1);
	memcpy(editor->line + editor->cursor, text, bytes);
	editor->length += bytes;
	editor->cursor += bytes;
	/*
	 * A character at the end is only echoed: no new drawing of the line, and a clean
	 * transcript.
	 */
	if (editor->cursor == editor->length && editor->length <= LINE_EDITOR_COLUMNS)
		editor->write(text, bytes);
	else
		line_editor_show(editor);
}

static void erase(struct line_editor *editor, size_t from, size_t end)
{
	memmove(editor->line + from, editor->line + end, editor->length - end + 1);
	editor->length -= end - from;
	editor->cursor = from;
	line_editor_show(editor);
}

static void move_to(struct line_editor *editor, size_t cursor)
{
	editor->cursor = cursor;
	line_editor_show(editor);
}

static void erase_word(struct line_editor *editor)
{
	size_t from = editor->cursor;

	while (from > 0 && editor->line[from - 1] == ' ')
		from--;
	while (from > 0 && editor->line[from - 1] != ' ')
		from--;
	erase(editor, from, editor->cursor);
}

static const char *history_line(const struct line_editor *editor, unsigned back)
{
	return editor->history[(editor->history_count - back) % LINE_EDITOR_HISTORY];
}

static void history_add(struct line_editor *editor)
{
	if (editor->length == 0 || (editor->history_count > 0 && strcmp(history_line(editor, 1), editor->line) == 0))
		return;
	memcpy(editor->history[editor->history_count++ % LINE_EDITOR_HISTORY], editor->line, editor->length + 1);
}

static void history_go(struct line_editor *editor, unsigned back)
{
	if (back > MIN(editor->history_count, LINE_EDITOR_HISTORY))
		return;
	if (editor->history_back == 0)
		memcpy(editor->unfinished, editor->line, editor->length + 1);
	editor->history_back = back;
	line_set(editor, back == 0 ? editor->unfinished : history_line(editor, back));
	line_editor_show(editor);
}

static void history_older(struct line_editor *editor)
{
	history_go(editor, editor->history_back + 1);
}

static void history_newer(struct line_editor *editor)
{
	if (editor->history_back > 0)
		history_go(editor, editor->history_back - 1);
}

static size_t common_length(const char *a, const char *b)
{
	size_t length = 0;

	while (a[length] != '\0' && a[length] == b[length])
		length++;
	return length;
}

/*
 * The index-th candidate that begins as the line does up to the cursor, counting `*from` on; NULL:
 * no more.
 */
static const char *candidate_next(struct line_editor *editor, unsigned *from)
{
	const char *text;

	while ((text = editor->candidate(editor->context, editor->line, editor->cursor, (*from)++)) != NULL)
		if (strncmp(text, editor->line, editor->cursor) == 0)
			return text;
	return NULL;
}

/* Prints only the words to choose from, not those before them. */
static void candidates_print(struct line_editor *editor)
{
	const char *text;
	size_t word = editor->cursor;

	while (word > 0 && editor->line[word - 1] != ' ')
		word--;
	write_text(editor, "\n");
	for (unsigned i = 0; (text = candidate_next(editor, &i)) != NULL;) {
		write_text(editor, text + word);
		write_text(editor, "  ");
	}
	write_text(editor, "\n");
	line_editor_show(editor);
}

/*
 * Inserts what all candidates that begin like the line have in common; where that is nothing, shows
 * them.
 */
static void complete(struct line_editor *editor)
{
	char first[LINE_EDITOR_BYTES];
	const char *text;
	size_t common = 0;
	unsigned count = 0;

	for (unsigned i = 0; editor->candidate && (text = candidate_next(editor, &i)) != NULL; count++) {
		if (count == 0) {
			common = strnlen(text, sizeof(first) - 1);
			memcpy(first, text, common);
			first[common] = '\0';
		}
		common = MIN(common, common_length(first, text));
	}
	if (count == 0)
		return;
	if (common > editor->cursor)
		insert(editor, first + editor->cursor, common - editor->cursor);
	else if (count > 1)
		candidates_print(editor);
	if (count == 1 && editor->cursor == editor->length && editor->line[editor->cursor - 1] != '=')
		insert(editor, " ", 1);
}

static void sequence_run(struct line_editor *editor, const char *sequence)
{
	static const struct {
		const char *sequence;
		char key;
	} keys[] = {
		{ "[A", CONTROL('P') },  { "OA", CONTROL('P') },  { "[B", CONTROL('N') },  { "OB", CONTROL('N') },
		{ "[C", CONTROL('F') },  { "OC", CONTROL('F') },  { "[D", CONTROL('B') },  { "OD", CONTROL('B') },
		{ "[H", CONTROL('A') },  { "OH", CONTROL('A') },  { "[F", CONTROL('E') },  { "OF", CONTROL('E') },
		{ "[1~", CONTROL('A') }, { "[7~", CONTROL('A') }, { "[4~", CONTROL('E') }, { "[8~", CONTROL('E') },
		{ "[3~", CONTROL('D') },
	};

	for (unsigned i = 0; i < ARRAY_LENGTH(keys); i++) {
		if (strcmp(sequence, keys[i].sequence) == 0)
			(void)line_editor_put(editor, keys[i].key);
	}
}

/* A character behind an ESC. A sequence ends with a letter or ~; [ and O only open it. */
static void sequence_put(struct line_editor *editor, char character)
{
	const bool opening = editor->sequence_length == 0 && (character == '[' || character == 'O');

	if (editor->sequence_length + 1 < sizeof(editor->sequence))
		editor->sequence[editor->sequence_length++] = character;
	editor->sequence[editor->sequence_length] = '\0';
	if (opening || (editor->sequence_length > 1 && character < '@'))
		return;
	editor->state = LINE_EDITOR_PLAIN;
	sequence_run(editor, editor->sequence);
}

static void key(struct line_editor *editor, char character)
{
	switch (character) {
	case CONTROL('A'):
		move_to(editor, 0);
		break;
	case CONTROL('E'):
		move_to(editor, editor->length);
		break;
	case CONTROL('B'):
		move_to(editor, editor->cursor - (editor->cursor > 0));
		break;
	case CONTROL('F'):
		move_to(editor, MIN(editor->cursor + 1, editor->length));
		break;
	case CONTROL('D'):
		erase(editor, editor->cursor, MIN(editor->cursor + 1, editor->length));
		break;
	case CONTROL('H'):
	case DELETE:
		erase(editor, editor->cursor - (editor->cursor > 0), editor->cursor);
		break;
	case CONTROL('K'):
		erase(editor, editor->cursor, editor->length);
		break;
	case CONTROL('U'):
		erase(editor, 0, editor->cursor);
		break;
	case CONTROL('W'):
		erase_word(editor);
		break;
	case CONTROL('L'):
		write_text(editor, "\x1b[2J\x1b[H");
		line_editor_show(editor);
		break;
	case CONTROL('C'):
		write_text(editor, "^C\n");
		line_editor_start(editor);
		break;
	case CONTROL('P'):
		history_older(editor);
		break;
	case CONTROL('N'):
		history_newer(editor);
		break;
	case '\t':
		complete(editor);
		break;
	case ESCAPE:
		editor->state = LINE_EDITOR_ESCAPE;
		editor->sequence_length = 0;
		break;
	default:
		if (character >= ' ' && character <= '~')
			insert(editor, &character, 1);
	}
}

bool line_editor_put(struct line_editor *editor, char character)
{
	const bool line_feed_of_pair = character == '\n' && editor->carriage_return;

	editor->carriage_return = character == '\r';
	if (line_feed_of_pair)
		return false;
	if (editor->state == LINE_EDITOR_ESCAPE) {
		sequence_put(editor, character);
		return false;
	}
	if (character != '\r' && character != '\n') {
		key(editor, character);
		return false;
	}
	write_text(editor, "\n");
	history_add(editor);
	return true;
}
