// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text to the firmware's console, and from the firmware's 16-bit characters. Only ASCII goes
 * either way, so one character is one unit; texts are printed in chunks from the stack, without an
 * allocation.
 */
#include "loader.h"

#define CHUNK 64

void loader_print(const struct loader *loader, const char *text)
{
	CHAR16 chunk[CHUNK + 2];

	while (*text && loader->system->ConOut) {
		size_t count = 0;
		for (; *text && count < CHUNK; text++) {
			if (*text == '\n')
				chunk[count++] = '\r';
			chunk[count++] = (CHAR16)*text;
		}
		chunk[count] = 0;
		loader->system->ConOut->OutputString(loader->system->ConOut, chunk);
	}
}

void loader_print_number(const struct loader *loader, uint64_t number)
{
	char text[24];
	size_t start = sizeof(text) - 1;

	text[start] = 0;
	do
		text[--start] = (char)('0' + number % 10);
	while (number /= 10);
	loader_print(loader, text + start);
}

size_t loader_copy_utf16(char *target, size_t size, const CHAR16 *source, size_t units)
{
	size_t length = 0;

	for (; length + 1 < size && length < units && source[length]; length++)
		target[length] = source[length] < 0x80 ? (char)source[length] : '?';
	target[length] = 0;
	return length;
}
