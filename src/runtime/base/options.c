// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reads words "key=value" out of the command line, which stays as it is: each look goes through
 * the line once, and the last word with the key counts.
 */
#include "options.h"

#include "format.h"
#include "string.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Reads one option at `text`, which is neither blank nor the end, and returns what follows. */
static const char *option_read(const char *text, struct option *option)
{
	char end = ' ';

	option->key = text;
	while (*text != '\0' && *text != '=' && !is_blank(*text))
		text++;
	option->key_length = (size_t)(text - option->key);
	if (*text == '=')
		text++;
	if (*text == '"')
		end = *text++;
	option->value = text;
	while (*text != '\0' && (end == '"' ? *text != '"' : !is_blank(*text)))
		text++;
	option->value_length = (size_t)(text - option->value);
	return *text == '"' ? text + 1 : text;
}

bool options_next(const char **line, struct option *option)
{
	while (is_blank(**line))
		++*line;
	if (**line == '\0')
		return false;
	*line = option_read(*line, option);
	return true;
}

static bool options_find(const char *line, const char *key, struct option *found)
{
	const size_t key_length = strlen(key);
	struct option option;
	bool present = false;

	while (options_next(&line, &option)) {
		if (option.key_length == key_length && memcmp(option.key, key, key_length) == 0) {
			*found = option;
			present = true;
		}
	}
	return present;
}

const char *options_read(const char *line, const char *key, char *buffer, size_t size)
{
	struct option option;

	if (size == 0 || !options_find(line, key, &option))
		return NULL;
	const size_t length = MIN(option.value_length, size - 1);
	memcpy(buffer, option.value, length);
	buffer[length] = '\0';
	return buffer;
}

uint64_t options_read_number(const char *line, const char *key, uint64_t fallback)
{
	char text[32];
	uint64_t value;

	if (!options_read(line, key, text, sizeof(text)) || parse_number(text, &value) != STATUS_OK)
		return fallback;
	return value;
}

bool options_match(const char *line, const char *key, const char *text)
{
	struct option option;

	return options_find(line, key, &option) && option.value_length == strlen(text) &&
	       memcmp(option.value, text, option.value_length) == 0;
}
