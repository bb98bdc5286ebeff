#include "options.h"

#include "format.h"
#include "string.h"

struct option {
	const char *key;
	size_t key_length;
	const char *value;
	size_t value_length;
};

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

static bool options_find(const char *line, const char *key, struct option *found)
{
	const size_t key_length = strlen(key);
	bool present = false;

	for (;;) {
		struct option option;

		while (is_blank(*line))
			line++;
		if (*line == '\0')
			return present;
		line = option_read(line, &option);
		if (option.key_length == key_length && memcmp(option.key, key, key_length) == 0) {
			*found = option;
			present = true;
		}
	}
}

const char *options_get(const char *line, const char *key, char *buffer, size_t size)
{
	struct option option;

	if (size == 0 || !options_find(line, key, &option))
		return NULL;
	const size_t length = MIN(option.value_length, size - 1);
	memcpy(buffer, option.value, length);
	buffer[length] = '\0';
	return buffer;
}

uint64_t options_get_number(const char *line, const char *key, uint64_t fallback)
{
	char text[32];
	uint64_t value;

	if (!options_get(line, key, text, sizeof(text)) || parse_number(text, &value) != STATUS_OK)
		return fallback;
	return value;
}
