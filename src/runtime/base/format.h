/*
 * Text formatting for the log, the console and reports, the same in the image and on the host.
 *
 * Conversions: %d %i %u %x %X %o %c %s %p %% with l, ll, z, h, hh, flags - and 0, width and precision (also as *). No floating
 * point. An unknown conversion is printed as it stands.
 */
#pragma once

#include <stdarg.h>

#include "status.h"

/* Writes at most `size` bytes, NUL included; returns the length that the whole text has, like snprintf. */
size_t format_text(char *buffer, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
size_t format_text_list(char *buffer, size_t size, const char *format, va_list arguments);

/* "4096", "512 KB", "1.5 GB": bytes for people, in `buffer`, which is returned. */
#define FORMAT_BYTES_SIZE 16
const char *format_bytes(char buffer[FORMAT_BYTES_SIZE], uint64_t bytes);

/*
 * Reads a number: decimal or 0x hexadecimal, with an optional suffix K, M, G or T (powers of 1024, either case). The whole text
 * must be the number. STATUS_INVALID: it is not; STATUS_RANGE: it does not fit into 64 bits.
 */
status_t parse_number(const char *text, uint64_t *value) MUST_CHECK;
