// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory and text functions: the C library's on the host, x86_64/string.c in the image. The
 * compiler emits calls to the first four on its own.
 */
#pragma once

#include "types.h"

void *memcpy(void *__restrict target, const void *__restrict source, size_t bytes);
void *memmove(void *target, const void *source, size_t bytes);
void *memset(void *target, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t limit);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t limit);
char *strchr(const char *text, int character);

/* Whether all bytes have that value. */
static inline bool memory_is_filled(const void *memory, unsigned char value, size_t bytes)
{
	const unsigned char *first = (const unsigned char *)memory;

	return bytes == 0 || (*first == value && memcmp(first, first + 1, bytes - 1) == 0);
}

/*
 * Copies memory that others may be changing. The copy counts only if the caller finds out
 * afterwards that no change came in between. Loads behind the call are not moved before it: x86
 * keeps the order of loads, and the compiler is told to. The thread sanitizer does not look into
 * it.
 */
static inline void memcpy_unstable(void *target, const void *source, size_t bytes)
{
#ifdef __SANITIZE_THREAD__
	__asm__ volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(bytes));
#else
	memcpy(target, source, bytes);
#endif
	__asm__ volatile("" : : : "memory");
}
