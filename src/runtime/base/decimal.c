// SPDX-License-Identifier: BSD-2-Clause
/*
 * The mantissa stands in the two words before the point; the exponent is applied by doubling or
 * halving all words, some bits at a time. Nothing is lost: a word holds nine digits, and 10^9 can
 * be halved nine times.
 */
#include "decimal.h"

#include "string.h"

#define BASE            1000000000u
#define WORDS           (DECIMAL_INTEGER_WORDS + DECIMAL_FRACTION_WORDS)
#define MANTISSA_BITS   52
#define EXPONENT_MASK   0x7ffu
#define EXPONENT_UNIT   1075 /* of a mantissa that counts units */
#define DOUBLE_BITS_MAX 29   /* a word times 2^29, and a carry, fit into 64 bits */
#define HALVE_BITS_MAX  9

static uint32_t power_of_ten(unsigned power)
{
	uint32_t value = 1;

	while (power-- > 0)
		value *= 10;
	return value;
}

static void multiply(struct decimal *decimal, unsigned shift)
{
	uint64_t carry = 0;

	for (int i = WORDS - 1; i >= 0; i--) {
		carry += (uint64_t)decimal->words[i] << shift;
		decimal->words[i] = (uint32_t)(carry % BASE);
		carry /= BASE;
	}
}

static void divide(struct decimal *decimal, unsigned shift)
{
	uint32_t rest = 0;

	for (int i = 0; i < WORDS; i++) {
		const uint32_t word = decimal->words[i];

		decimal->words[i] = (word >> shift) + rest * (BASE >> shift);
		rest = word & ((1u << shift) - 1);
	}
}

void decimal_set(struct decimal *decimal, uint64_t bits)
{
	uint64_t mantissa = bits & ((1ull << MANTISSA_BITS) - 1);
	int exponent = (int)(bits >> MANTISSA_BITS & EXPONENT_MASK);

	if (exponent == 0)
		exponent = 1; /* subnormal */
	else
		mantissa |= 1ull << MANTISSA_BITS;
	memset(decimal, 0, sizeof(*decimal));
	decimal->words[DECIMAL_INTEGER_WORDS - 2] = (uint32_t)(mantissa / BASE);
	decimal->words[DECIMAL_INTEGER_WORDS - 1] = (uint32_t)(mantissa % BASE);
	exponent -= EXPONENT_UNIT;
	for (int left = exponent; left > 0; left -= DOUBLE_BITS_MAX)
		multiply(decimal, (unsigned)MIN(left, DOUBLE_BITS_MAX));
	for (int left = -exponent; left > 0; left -= HALVE_BITS_MAX)
		divide(decimal, (unsigned)MIN(left, HALVE_BITS_MAX));
}

/* Adds `value` to word `last`, carrying. */
static void add(struct decimal *decimal, int last, uint32_t value)
{
	for (int i = last; i >= 0 && value > 0; i--) {
		value += decimal->words[i];
		decimal->words[i] = value % BASE;
		value /= BASE;
	}
}

/*
 * What words from `first` on make, beside half a unit of the word before: below 0, 0, or above.
 * `part` is word `first`'s.
 */
static int beside_half(const struct decimal *decimal, int first, uint32_t part, uint32_t half)
{
	if (part != half)
		return part < half ? -1 : 1;
	for (int i = first + 1; i < WORDS; i++) {
		if (decimal->words[i] != 0)
			return 1;
	}
	return 0;
}

void decimal_round(struct decimal *decimal, int precision)
{
	/* Word `cut` keeps its first `kept` digits; what they count in is `unit`. */
	const int cut = DECIMAL_INTEGER_WORDS + precision / DECIMAL_WORD_DIGITS;
	const unsigned kept = (unsigned)(precision % DECIMAL_WORD_DIGITS);
	const uint32_t unit = power_of_ten(DECIMAL_WORD_DIGITS - kept);
	int beside;
	bool odd;

	if (cut >= WORDS)
		return;
	odd = kept > 0 ? decimal->words[cut] / unit % 2 : decimal->words[cut - 1] % 2;
	beside = beside_half(decimal, cut, decimal->words[cut] % unit, unit / 2);
	decimal->words[cut] -= decimal->words[cut] % unit;
	memset(&decimal->words[cut + 1], 0, (size_t)(WORDS - cut - 1) * sizeof(decimal->words[0]));
	if (beside > 0 || (beside == 0 && odd))
		add(decimal, cut, unit);
}

int decimal_integer_digits(const struct decimal *decimal)
{
	int digits = DECIMAL_INTEGER_WORDS * DECIMAL_WORD_DIGITS;

	while (digits > 1 && decimal_digit(decimal, digits - 1) == 0)
		digits--;
	return digits;
}

unsigned decimal_digit(const struct decimal *decimal, int power)
{
	const int place = DECIMAL_INTEGER_WORDS * DECIMAL_WORD_DIGITS - 1 - power; /* from the first digit on */

	if (place < 0 || place >= WORDS * DECIMAL_WORD_DIGITS)
		return 0;
	return decimal->words[place / DECIMAL_WORD_DIGITS] /
	       power_of_ten((unsigned)(DECIMAL_WORD_DIGITS - 1 - place % DECIMAL_WORD_DIGITS)) % 10;
}
