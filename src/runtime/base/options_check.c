// SPDX-License-Identifier: BSD-2-Clause
/*
 * Words of the command line that nothing asks for. The linker collects the keys that code asks for,
 * wherever it is, so that the list of known ones is complete without being kept.
 */
#include "format.h"
#include "log.h"
#include "nearest.h"
#include "options.h"
#include "string.h"

#define WORD_BYTES  64
#define VALUE_BYTES 512

extern const struct option_name *__start_option_names[], *__stop_option_names[];

static void copy(char *buffer, size_t size, const char *text, size_t length)
{
	length = MIN(length, size - 1);
	memcpy(buffer, text, length);
	buffer[length] = '\0';
}

/* `key` is a number where all that ask for it want one. */
static bool is_known(const char *key, bool *is_number, bool (**check)(const char *value))
{
	bool known = false;

	*check = NULL;
	*is_number = true;
	for (const struct option_name **name = __start_option_names; name != __stop_option_names; name++) {
		if (strcmp((*name)->key, key) != 0)
			continue;
		known = true;
		*is_number &= (*name)->is_number;
		if ((*name)->check)
			*check = (*name)->check;
	}
	return known;
}

static const char *nearest_key(const char *key)
{
	struct nearest nearest;

	nearest_init(&nearest, key);
	for (const struct option_name **name = __start_option_names; name != __stop_option_names; name++)
		nearest_offer(&nearest, (*name)->key);
	return nearest.found;
}

static bool option_check(const struct option *option)
{
	char key[WORD_BYTES], value[VALUE_BYTES];
	bool (*check)(const char *value);
	bool is_number;
	uint64_t number;

	copy(key, sizeof(key), option->key, option->key_length);
	copy(value, sizeof(value), option->value, option->value_length);
	if (!is_known(key, &is_number, &check)) {
		log_error("there is no option %s=; the nearest one is %s=", key, nearest_key(key));
		return false;
	}
	if (is_number && parse_number(value, &number) != STATUS_OK) {
		log_error("%s=%s: it is a number, 0 or more, as 20 or 64M", key, value);
		return false;
	}
	return !check || check(value);
}

bool options_check(const char *line)
{
	struct option option;
	bool good = true;

	while (options_next(&line, &option))
		good &= option_check(&option);
	return good;
}
