// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text formatting for the log, the console and reports, the same in the image and on the host.
 *
 * Conversions: %d %i %u %x %X %o %c %s %p %f %% with l, ll, z, h, hh, flags - and 0, width and
 * precision (also as *). An unknown conversion is printed as it stands.
 *
 * %f takes a double, which only the code of *_vector.c files has (kernel/task.h), and prints its
 * exact digits, rounded as printf does. The formatter, the log and the console use no vector
 * registers for it. Other code prints quotients of integers with format_fixed.
 *
 * A function of your own that passes arguments on is declared and defined PRINTF_LIKE:
 *
 *	PRINTF_LIKE(1, 2) void report(const char *format, ...)
 *	{
 *		__builtin_ms_va_list arguments;
 *
 *		__builtin_ms_va_start(arguments, format);
 *		format_text_list(text, sizeof(text), format, arguments);
 *		__builtin_ms_va_end(arguments);
 *	}
 */
#pragma once

#include "status.h"

/*
 * Writes at most `size` bytes, NUL included; returns the length that the whole text has, like
 * snprintf.
 */
size_t format_text(char *buffer, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
size_t format_text_list(char *buffer, size_t size, const char *format, __builtin_ms_va_list arguments);

/*
 * "0.666", "12.50": `numerator` / `denominator`, which is not 0, with `digits` (0 to 9) behind the
 * point, in `buffer`, which is returned. Further digits are cut off, so that what is less than 1
 * does not read as 1.
 */
#define FORMAT_FIXED_SIZE 32
const char *format_fixed(char buffer[FORMAT_FIXED_SIZE], uint64_t numerator, uint64_t denominator, unsigned digits);

/* "4096", "512 KB", "1.5 GB": bytes for people, in `buffer`, which is returned. */
#define FORMAT_BYTES_SIZE 16
const char *format_bytes(char buffer[FORMAT_BYTES_SIZE], uint64_t bytes);

/*
 * Reads a number: decimal or 0x hexadecimal, with an optional suffix K, M, G or T (powers of 1024,
 * either case). The whole text must be the number. STATUS_INVALID: it is not; STATUS_RANGE: it does
 * not fit into 64 bits.
 */
status_t parse_number(const char *text, uint64_t *value) MUST_CHECK;
