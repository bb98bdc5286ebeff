// SPDX-License-Identifier: BSD-2-Clause
#include "host/host_test.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/format.h"

/* Formats with both, and wants the same text and length. */
#define expect_like_printf(...)                                                                                                \
	do {                                                                                                                   \
		char ours[128], theirs[128];                                                                                   \
		const size_t length = format_text(ours, sizeof(ours), __VA_ARGS__);                                            \
		ck_assert_uint_eq(length, (size_t)snprintf(theirs, sizeof(theirs), __VA_ARGS__));                              \
		ck_assert_str_eq(ours, theirs);                                                                                \
	} while (0)

START_TEST(numbers_like_printf)
{
	static const long values[] = { 0, 1, -1, 7, 42, -99, 255, 4096, 123456789, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const long value = values[i];

		expect_like_printf("%d|%5d|%-5d|%05d|%.3d|%8.3d", (int)value, (int)value, (int)value, (int)value, (int)value,
				   (int)value);
		expect_like_printf("%ld|%24ld|%-24ld|%024ld", value, value, value, value);
		expect_like_printf("%u|%lu|%zu|%llu", (unsigned)value, (unsigned long)value, (size_t)value,
				   (unsigned long long)value);
		expect_like_printf("%x|%X|%08x|%lx|%-20lX", (unsigned)value, (unsigned)value, (unsigned)value,
				   (unsigned long)value, (unsigned long)value);
		expect_like_printf("%o|%lo|%i|%li", (unsigned)value, (unsigned long)value, (int)value, value);
		expect_like_printf("%hd|%hhd|%hu|%hhu|%hx|%hhx", (short)value, (signed char)value, (unsigned short)value,
				   (unsigned char)value, (unsigned short)value, (unsigned char)value);
		expect_like_printf("%*d|%-*d|%.*d|%*ld", 9, (int)value, 9, (int)value, 4, (int)value, -12, value);
	}
	expect_like_printf("%.0d|%.0u|%.0x|%5.0d|", 0, 0u, 0u, 0);
}
END_TEST

START_TEST(texts_like_printf)
{
	static const char unterminated[3] = { 'a', 'b', 'c' };

	expect_like_printf("%s|%10s|%-10s|%.2s|%10.2s|%-10.2s|", "weir", "weir", "weir", "weir", "weir", "weir");
	expect_like_printf("%.3s|%.*s", unterminated, 2, unterminated);
	expect_like_printf("%c|%3c|%-3c|%%|100%%", 'x', 'y', 'z');
	expect_like_printf("%p|%20p|%-20p|", (void *)0x1234, (void *)format_text, (void *)"");
	expect_like_printf("no conversion");
	expect_like_printf("%s", "");
}
END_TEST

START_TEST(output_is_cut)
{
	char buffer[8];

	for (size_t size = 0; size <= sizeof(buffer); size++) {
		memset(buffer, 'x', sizeof(buffer));
		ck_assert_uint_eq(format_text(buffer, size, "%d-%s", 1234, "abcdef"), 11);
		if (size > 0) {
			ck_assert_uint_eq(strlen(buffer), size - 1);
			ck_assert_int_eq(strncmp(buffer, "1234-abcdef", size - 1), 0);
		}
		for (size_t i = size; i < sizeof(buffer); i++)
			ck_assert_int_eq(buffer[i], 'x');
	}
}
END_TEST

START_TEST(odd_formats_stay)
{
	const char *volatile formats[] = { "%", "100% sure%", "%y %5y", "%" };
	const char *volatile null = NULL;
	char buffer[32];

	format_text(buffer, sizeof(buffer), formats[0]);
	ck_assert_str_eq(buffer, "%");
	format_text(buffer, sizeof(buffer), formats[2]);
	ck_assert_str_eq(buffer, "%y %5y");
	format_text(buffer, sizeof(buffer), "%s", null);
	ck_assert_str_eq(buffer, "(null)");
}
END_TEST

START_TEST(random_formats_like_printf)
{
	static const char *const flags[] = { "", "-", "0" };
	static const char *const widths[] = { "", "1", "7", "20", "33" };
	static const char *const precisions[] = { "", ".0", ".1", ".5", ".22", "." };
	static const char conversions[] = "diuxXo";

	srand(1);
	for (unsigned i = 0; i < 20000; i++) {
		const long value = (long)((uint64_t)rand() << 33 ^ (uint64_t)rand() << 11) >> (rand() % 64);
		char format[32], ours[128], theirs[128];

		snprintf(format, sizeof(format), "<%%%s%s%sl%c>", flags[rand() % 3], widths[rand() % 5], precisions[rand() % 6],
			 conversions[rand() % 6]);
		const char *volatile hidden = format;
		ck_assert_uint_eq(format_text(ours, sizeof(ours), hidden, value),
				  (size_t)snprintf(theirs, sizeof(theirs), hidden, value));
		ck_assert_msg(strcmp(ours, theirs) == 0, "%s: \"%s\" is not \"%s\"", format, ours, theirs);
	}
}
END_TEST

START_TEST(bytes_for_people)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 1023, "1023" },
		{ 1024, "1 KB" },
		{ 1500, "1500" },
		{ 4096, "4 KB" },
		{ 524288, "512 KB" },
		{ 3 * MIB / 2, "1.5 MB" },
		{ GIB, "1 GB" },
		{ 4 * GIB + 500 * MIB, "4.4 GB" },
		{ 123 * GIB + 900 * MIB, "123 GB" },
		{ UINT64_MAX, "15.9 EB" },
	};
	char buffer[FORMAT_BYTES_SIZE];

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		ck_assert_str_eq(format_bytes(buffer, cases[i].bytes), cases[i].text);
}
END_TEST

START_TEST(numbers_parsed)
{
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = {
		{ "0", 0 },
		{ "42", 42 },
		{ "0x1F", 31 },
		{ "0Xff", 255 },
		{ "4k", 4096 },
		{ "0x10K", 16384 },
		{ "3M", 3 * MIB },
		{ "2g", 2 * GIB },
		{ "1T", 1024 * GIB },
		{ "007", 7 },
		{ "18446744073709551615", UINT64_MAX },
		{ "0xffffffffffffffff", UINT64_MAX },
		{ "16777215T", 16777215ull << 40 },
	};
	uint64_t value;

	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		ck_assert_int_eq(parse_number(cases[i].text, &value), STATUS_OK);
		ck_assert_uint_eq(value, cases[i].value);
	}
}
END_TEST

START_TEST(no_numbers_refused)
{
	static const char *const wrong[] = {
		"", " 1", "1 ", "-1", "+1", "k", "0x", "0xg", "1kb", "1kk", "1.5", "12a", "a", "1x"
	};
	static const char *const large[] = { "18446744073709551616", "0x10000000000000000", "16777216T",
					     "99999999999999999999k" };
	uint64_t value = 77;

	for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
		ck_assert_msg(parse_number(wrong[i], &value) == STATUS_INVALID, "\"%s\" was taken", wrong[i]);
	for (size_t i = 0; i < ARRAY_LENGTH(large); i++)
		ck_assert_msg(parse_number(large[i], &value) == STATUS_RANGE, "\"%s\" was taken", large[i]);
	ck_assert_uint_eq(value, 77);
}
END_TEST

HOST_TEST_MAIN("format", numbers_like_printf, texts_like_printf, output_is_cut, odd_formats_stay, random_formats_like_printf,
	       bytes_for_people, numbers_parsed, no_numbers_refused)
