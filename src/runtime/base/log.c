#include "log.h"

#include "format.h"

#define LINE_BYTES 512

void log_write(enum log_level level, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	format_text_list(line, sizeof(line), format, arguments);
	va_end(arguments);
	platform_log(level, line);
}

void print(const char *format, ...)
{
	char text[LINE_BYTES];
	va_list arguments;

	va_start(arguments, format);
	format_text_list(text, sizeof(text), format, arguments);
	va_end(arguments);
	platform_print(text);
}
