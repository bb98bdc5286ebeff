// SPDX-License-Identifier: BSD-2-Clause
/*
 * Formats a line on the caller's stack and hands it to the platform as a whole. Nothing is shared,
 * so any context may log, and lines of two CPUs cannot mix here.
 */
#include "log.h"

#include "format.h"

#define LINE_BYTES 512

PRINTF_LIKE(2, 3) void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_BYTES];
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	format_text_list(line, sizeof(line), format, arguments);
	__builtin_ms_va_end(arguments);
	platform_log(level, line);
}

PRINTF_LIKE(1, 2) void print(const char *format, ...)
{
	char text[LINE_BYTES];
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	format_text_list(text, sizeof(text), format, arguments);
	__builtin_ms_va_end(arguments);
	platform_print(text);
}
