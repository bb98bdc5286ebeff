// SPDX-License-Identifier: BSD-2-Clause
/* Doubles in text: passed by code that has vector registers to a formatter that uses none. */
#include "image_test.h"

#include "runtime/base/format.h"
#include "runtime/base/string.h"

IMAGE_TEST(fractions_are_formatted)
{
	volatile double third = 1.0 / 3, large = -1e21;
	char text[80];

	format_text(text, sizeof(text), "%.3f %d %f %s %.0f|%9.2f|", third, 7, large, "and", third * 5, third * 100);
	expect(strcmp(text, "0.333 7 -1000000000000000000000.000000 and 2|    33.33|") == 0);
}
