// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory and text functions of base/string.h. Copying and filling use the CPU's string
 * instructions, which are at their best for whole pages, and a plain loop for the few bytes of most
 * calls, where their start-up would cost more than the work.
 */
#include "runtime/base/string.h"

#define SHORT_BYTES 32

static void copy_word(uint8_t *target, const uint8_t *source)
{
	uint64_t word;

	__builtin_memcpy(&word, source, 8);
	__builtin_memcpy(target, &word, 8);
}

/* From the start to the end, so that the target may begin before the source within it. */
static void copy_forwards(uint8_t *target, const uint8_t *source, size_t bytes)
{
	size_t words = bytes / 8;

	if (bytes >= SHORT_BYTES)
		__asm__ volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(words) : : "memory");
	for (; words > 0; words--, target += 8, source += 8)
		copy_word(target, source);
	for (bytes %= 8; bytes > 0; bytes--)
		*target++ = *source++;
}

static void copy_backwards(uint8_t *target, const uint8_t *source, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8)
		copy_word(target + bytes - 8, source + bytes - 8);
	for (; bytes > 0; bytes--)
		target[bytes - 1] = source[bytes - 1];
}

void *memcpy(void *restrict target, const void *restrict source, size_t bytes)
{
	copy_forwards(target, source, bytes);
	return target;
}

void *memmove(void *target, const void *source, size_t bytes)
{
	if ((uintptr_t)target - (uintptr_t)source >= bytes)
		copy_forwards(target, source, bytes);
	else
		copy_backwards(target, source, bytes);
	return target;
}

void *memset(void *target, int value, size_t bytes)
{
	uint64_t pattern = (uint8_t)value * 0x0101010101010101ull;
	size_t words = bytes / 8;
	uint8_t *to = target;

	if (bytes >= SHORT_BYTES)
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
	for (; words > 0; words--, to += 8)
		__builtin_memcpy(to, &pattern, 8);
	for (bytes %= 8; bytes > 0; bytes--)
		*to++ = (uint8_t)value;
	return target;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const uint8_t *x = a, *y = b;
	size_t i = 0;

	for (; i + 8 <= bytes; i += 8) {
		uint64_t left, right;
		__builtin_memcpy(&left, x + i, 8);
		__builtin_memcpy(&right, y + i, 8);
		if (left != right)
			break;
	}
	for (; i < bytes; i++) {
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	}
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

size_t strnlen(const char *text, size_t limit)
{
	size_t length = 0;

	while (length < limit && text[length])
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t limit)
{
	for (size_t i = 0; i < limit; i++) {
		if (a[i] != b[i])
			return (unsigned char)a[i] < (unsigned char)b[i] ? -1 : 1;
		if (a[i] == 0)
			break;
	}
	return 0;
}

char *strchr(const char *text, int character)
{
	for (;; text++) {
		if (*text == (char)character)
			return (char *)text;
		if (*text == 0)
			return NULL;
	}
}
