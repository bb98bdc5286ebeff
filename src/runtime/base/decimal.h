// SPDX-License-Identifier: BSD-2-Clause
/*
 * The exact decimal digits of a double, by integer arithmetic alone: the number comes as its bits
 * (IEEE 754, binary64), so that code without vector registers can print it. No memory, no locks,
 * any context; takes 620 bytes of stack.
 */
#pragma once

#include "types.h"

/*
 * Nine digits in each word: 309 digits before the point are the most that there are, and 1074
 * behind it.
 */
#define DECIMAL_WORD_DIGITS    9
#define DECIMAL_INTEGER_WORDS  35
#define DECIMAL_FRACTION_WORDS 120

struct decimal {
	uint32_t words[DECIMAL_INTEGER_WORDS + DECIMAL_FRACTION_WORDS]; /* the most significant first */
};

/* `bits` without its sign; neither infinity nor a NaN. */
void decimal_set(struct decimal *decimal, uint64_t bits);

/*
 * Rounds to `precision` >= 0 digits behind the point, to the even one of two that are equally near.
 */
void decimal_round(struct decimal *decimal, int precision);

/* Digits before the point, at least 1. */
int decimal_integer_digits(const struct decimal *decimal);

/* The digit that stands for 10^`power`, 0 to 9, for any power. */
unsigned decimal_digit(const struct decimal *decimal, int power);
