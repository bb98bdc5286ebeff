// SPDX-License-Identifier: BSD-2-Clause
/* %f beside the C library's printf, and format_fixed beside 128-bit arithmetic. */
#include "host/host_test.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "runtime/base/format.h"
#include "runtime/base/random.h"
#include "runtime/base/types.h"

#define RANDOM_NUMBERS 2000
#define TEXT_BYTES     3000 /* longer than any double with the precisions below */

static char ours[TEXT_BYTES], theirs[TEXT_BYTES];

static double double_of(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

#define expect_like_printf(...)                                                                                                \
	do {                                                                                                                   \
		const size_t length = format_text(ours, sizeof(ours), __VA_ARGS__);                                            \
		ck_assert_uint_eq(length, (size_t)snprintf(theirs, sizeof(theirs), __VA_ARGS__));                              \
		ck_assert_str_eq(ours, theirs);                                                                                \
	} while (0)

/* In all forms, with any precision up to more digits than any double has. */
static void expect_number(struct random *random, double value)
{
	const int precision = (int)random_below(random, random_below(random, 8) == 0 ? 1200 : 20);
	const int width = (int)random_below(random, 40);

	expect_like_printf("%f", value);
	expect_like_printf("%.0f|%.*f", value, precision, value);
	expect_like_printf("%*f|%-*.*f|%0*.*f|", width, value, width, precision, value, width, precision, value);
}

START_TEST(extreme_numbers_like_printf)
{
	static const double values[] = {
		0.0,     1.0,     0.5,          1.5,         2.5,      0.125,        0.375,   0.1,
		0.25,    9.5,     99.5,         0.95,        0.999999, 0.9999995,    1e9,     1e15,
		DBL_MAX, DBL_MIN, DBL_TRUE_MIN, DBL_EPSILON, INFINITY, NAN,          1e-5,    5e-7,
		1e22,    1e23,    999999999.5,  0.0000005,   1e-9,     1.0000000005, 4.5e-10, 999999999.9999999
	};
	struct random random;

	random_seed(&random, 1);
	for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
		for (int precision = 0; precision < 1100; precision += precision < 30 ? 1 : 97) {
			expect_like_printf("%.*f", precision, values[i]);
			expect_like_printf("%.*f", precision, -values[i]);
		}
		expect_number(&random, values[i]);
		expect_number(&random, -values[i]);
	}
}
END_TEST

/* Any bits are a double: all exponents, subnormal ones, infinities and NaNs among them. */
START_TEST(random_bits_like_printf)
{
	struct random random;

	random_seed(&random, 2);
	for (int i = 0; i < RANDOM_NUMBERS; i++)
		expect_number(&random, double_of(random_next(&random)));
	for (uint64_t exponent = 0; exponent <= 2047; exponent += exponent < 100 || exponent > 1900 ? 1 : 7)
		expect_number(&random, double_of(exponent << 52 | random_next(&random) >> 12));
}
END_TEST

/* Halfway between two texts, just above and just below: where rounding goes wrong. */
START_TEST(ties_like_printf)
{
	struct random random;

	random_seed(&random, 3);
	for (int i = 0; i < RANDOM_NUMBERS; i++) {
		const int digits = (int)random_below(&random, 19);
		/* An odd multiple of 1/2^(digits + 1) ends in a 5 at that place, exactly. */
		const double tie = ldexp((double)(random_next(&random) >> (12 + random_below(&random, 50)) | 1), -digits - 1);
		const double near[] = { tie, nextafter(tie, 0), nextafter(tie, INFINITY) };

		for (size_t j = 0; j < ARRAY_LENGTH(near); j++)
			expect_like_printf("%.*f|%.*f", digits, near[j], digits + 1, near[j]);
	}
}
END_TEST

/* In every place among the arguments: in registers, on the stack, before and behind other types. */
START_TEST(arguments_of_all_types_in_order)
{
	struct random random;

	random_seed(&random, 4);
	for (int i = 0; i < 1000; i++) {
		const double a = (double)(int64_t)random_next(&random) / 1e12, b = -a * 3, c = a / 7;
		const int n = (int)random_next(&random);
		const uint64_t w = random_next(&random);

		expect_like_printf("%f %d %f %s %f", a, n, b, "text", c);
		expect_like_printf("%d %" PRIx64 " %s %c %f %f %hhd %f", n, w, "text", 'c', a, b, (signed char)n, c);
		expect_like_printf("%f %f %f %f %f %f %f %f %f %f %d", a, b, c, a, b, c, a, b, c, a, n);
		expect_like_printf("%.3f %" PRIu64 " %.1f %-12d| %*.*f", (double)(float)a, w, b, n, 20, 2, c);
	}
}
END_TEST

/* The quotient's digits, by an integer that holds all of them. */
static void expect_fixed(uint64_t numerator, uint64_t denominator, unsigned digits)
{
	char text[FORMAT_FIXED_SIZE], wanted[2 * FORMAT_FIXED_SIZE];
	unsigned __int128 scaled = numerator;
	uint64_t unit = 1;

	for (unsigned i = 0; i < digits; i++)
		unit *= 10;
	scaled = scaled * unit / denominator;
	if (digits == 0)
		snprintf(wanted, sizeof(wanted), "%" PRIu64, (uint64_t)scaled);
	else
		snprintf(wanted, sizeof(wanted), "%" PRIu64 ".%0*" PRIu64, (uint64_t)(scaled / unit), (int)digits,
			 (uint64_t)(scaled % unit));
	ck_assert_str_eq(format_fixed(text, numerator, denominator, digits), wanted);
}

START_TEST(quotients_as_by_long_integers)
{
	struct random random;

	random_seed(&random, 5);
	expect_fixed(UINT64_MAX, 1, 9);
	expect_fixed(UINT64_MAX, UINT64_MAX, 9);
	expect_fixed(UINT64_MAX - 1, UINT64_MAX, 9);
	expect_fixed(0, UINT64_MAX, 9);
	for (int i = 0; i < 100 * 1000; i++) {
		const uint64_t numerator = random_next(&random) >> random_below(&random, 64);
		const uint64_t denominator = random_next(&random) >> random_below(&random, 64) | 1;

		expect_fixed(numerator, denominator, (unsigned)random_below(&random, 10));
	}
}
END_TEST

HOST_TEST_MAIN("format fractions", extreme_numbers_like_printf, random_bits_like_printf, ties_like_printf,
	       arguments_of_all_types_in_order, quotients_as_by_long_integers)
