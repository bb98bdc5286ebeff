// SPDX-License-Identifier: BSD-2-Clause
/*
 * Words of the command line that nothing asks for. The linker collects the keys that code asks for, wherever it is, so that the
 * list of known ones is complete without being kept.
 */
#include "format.h"
#include "log.h"
#include "nearest.h"
#include "options.h"
#include "string.h"

#define WORD_BYTES 64

extern const struct option_name *__start_option_names[], *__stop_option_names[];

static void copy(char *buffer, const char *text, size_t length)
{
	length = MIN(length, WORD_BYTES - 1);
	memcpy(buffer, text, length);
	buffer[length] = '\0';
}

/* `key` is a number where all that ask for it want one. */
static bool is_known(const char *key, bool *is_number)
{
	bool known = false;

	*is_number = true;
	for (const struct option_name **name = __start_option_names; name != __stop_option_names; name++) {
		if (strcmp((*name)->key, key) != 0)
			continue;
		known = true;
		*is_number &= (*name)->is_number;
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
	char key[WORD_BYTES], value[WORD_BYTES];
	bool is_number;
	uint64_t number;

	copy(key, option->key, option->key_length);
	copy(value, option->value, option->value_length);
	if (!is_known(key, &is_number)) {
		log_error("there is no option %s=; the nearest one is %s=", key, nearest_key(key));
		return false;
	}
	if (is_number && parse_number(value, &number) != STATUS_OK) {
		log_error("%s=%s: it is a number, 0 or more, as 20 or 64M", key, value);
		return false;
	}
	return true;
}

bool options_check(const char *line)
{
	struct option option;
	bool good = true;

	while (options_next(&line, &option))
		good &= option_check(&option);
	return good;
}
