/*
 * Options on the command line of the image: words "key=value", separated by blanks. A word without "=" is a key with an empty
 * value. Where a key is given twice, the last one counts. A value with blanks stands in double quotes: disk="My Disk".
 */
#pragma once

#include "status.h"

/* Copies the value of `key` into `buffer` (cut to fit, NUL-terminated) and returns it; NULL and no change without such a key.
 */
const char *options_get(const char *line, const char *key, char *buffer, size_t size);

/* The value as a number as parse_number reads it; `fallback` when the key is missing or its value is not a number. */
uint64_t options_get_number(const char *line, const char *key, uint64_t fallback);
