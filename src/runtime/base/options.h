// SPDX-License-Identifier: BSD-2-Clause
/*
 * Options on the command line of the image: words "key=value", separated by blanks. A word without
 * "=" is a key with an empty value. Where a key is given twice, the last one counts. A value with
 * blanks stands in double quotes: disk="My Disk".
 *
 * Code that asks for a key makes it known, in a linker section: options_check finds words that
 * nothing in the image asks for.
 */
#pragma once

#include "status.h"

struct option_name {
	const char *key;
	bool is_number;
	bool (*check)(const char *value); /* logs what is wrong with the value, and returns false then; NULL: any is right */
};

/*
 * Makes a key known. options_get and options_get_number do that by themselves, if the key is a
 * literal.
 */
#define OPTION_NAME_CHECKED(option_key, option_is_number, option_check)                                                        \
	do {                                                                                                                   \
		static const struct option_name option_name = { option_key, option_is_number, option_check };                  \
		static const struct option_name *option_link __attribute__((section("option_names"), used)) = &option_name;    \
	} while (0)
#define OPTION_NAME(option_key, option_is_number) OPTION_NAME_CHECKED(option_key, option_is_number, NULL)

/*
 * Copies the value of `key` into `buffer` (cut to fit, NUL-terminated) and returns it; NULL and no
 * change without such a key.
 */
#define options_get(line, key, buffer, size)                                                                                   \
	({                                                                                                                     \
		OPTION_NAME(key, false);                                                                                       \
		options_read(line, key, buffer, size);                                                                         \
	})

/*
 * The value as a number as parse_number reads it; `fallback` when the key is missing or its value
 * is not a number.
 */
#define options_get_number(line, key, fallback)                                                                                \
	({                                                                                                                     \
		OPTION_NAME(key, true);                                                                                        \
		options_read_number(line, key, fallback);                                                                      \
	})

/* Whether `key` has just this value. */
#define options_is(line, key, text)                                                                                            \
	({                                                                                                                     \
		OPTION_NAME(key, false);                                                                                       \
		options_match(line, key, text);                                                                                \
	})

/* The same for keys that OPTION_NAME has made known, or that are not on the command line. */
const char *options_read(const char *line, const char *key, char *buffer, size_t size);
uint64_t options_read_number(const char *line, const char *key, uint64_t fallback);
bool options_match(const char *line, const char *key, const char *text);

/* One word of a line. The text is the line's own. */
struct option {
	const char *key;
	size_t key_length;
	const char *value;
	size_t value_length;
};

/* Reads the first word at `*line` and moves `*line` behind it; false: there is none. */
bool options_next(const char **line, struct option *option);

/*
 * Whether all words of the line are known, and all values right: numbers, or what their own check
 * accepts. Logs an error for each that is not; for a word, with the known key that is spelled most
 * like it. What is known is what the image asks for anywhere, whether or not this run does.
 */
bool options_check(const char *line) MUST_CHECK;
