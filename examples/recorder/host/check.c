// SPDX-License-Identifier: BSD-2-Clause
/*
 * check: reads samples of the card from standard input and says which they are: the first one, how
 * many, and the gaps between.
 */
#include <inttypes.h>
#include <stdio.h>

#include "examples/instrument/window.h"

/*
 * The number of a sample is its value divided by the step, modulo 2^64: Newton's iteration finds 1
 * / step.
 */
static uint64_t inverse(uint64_t step)
{
	uint64_t result = step;

	for (int i = 0; i < 6; i++)
		result *= 2 - step * result;
	return result;
}

int main(void)
{
	const uint64_t unit = inverse(WINDOW_SAMPLE_STEP);
	uint64_t value, number, first = 0, next = 0, count = 0, gaps = 0, lost = 0;

	for (; fread(&value, sizeof(value), 1, stdin) == 1; count++, next = number + 1) {
		number = value * unit - 1;
		if (count == 0)
			first = next = number;
		if (number < next)
			return 1;
		gaps += number != next;
		lost += number - next;
	}
	printf("first=%" PRIu64 " samples=%" PRIu64 " gaps=%" PRIu64 " lost=%" PRIu64 "\n", first, count, gaps, lost);
	return 0;
}
