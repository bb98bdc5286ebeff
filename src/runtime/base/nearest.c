// SPDX-License-Identifier: BSD-2-Clause
/*
 * The distance of two words, after Damerau and Levenshtein: row i has the distances of the first i
 * letters of the one from all beginnings of the other one, and follows from the two rows before it.
 */
#include "nearest.h"

#include "string.h"

#define ROW_LENGTH (NEAREST_LETTERS_MAX + 1)

static void row_fill(unsigned *row, const unsigned *last, const unsigned *last_but_one, const char *a, size_t i, const char *b,
		     size_t length)
{
	row[0] = (unsigned)i;
	for (size_t j = 1; j <= length; j++) {
		row[j] = MIN(MIN(row[j - 1], last[j]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
		if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
			row[j] = MIN(row[j], last_but_one[j - 2] + 1);
	}
}

static unsigned distance(const char *a, const char *b)
{
	const size_t rows = MIN(strlen(a), (size_t)NEAREST_LETTERS_MAX), length = MIN(strlen(b), (size_t)NEAREST_LETTERS_MAX);
	unsigned table[3][ROW_LENGTH] = { 0 };

	for (size_t j = 0; j <= length; j++)
		table[0][j] = (unsigned)j;
	for (size_t i = 1; i <= rows; i++)
		row_fill(table[i % 3], table[(i - 1) % 3], table[(i + 1) % 3], a, i, b, length);
	return table[rows % 3][length];
}

void nearest_init(struct nearest *nearest, const char *word)
{
	*nearest = (struct nearest){ .word = word };
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	const unsigned letters = distance(nearest->word, name);

	if (nearest->found && letters >= nearest->letters)
		return;
	nearest->found = name;
	nearest->letters = letters;
}
