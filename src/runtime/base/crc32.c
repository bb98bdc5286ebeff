// SPDX-License-Identifier: BSD-2-Clause
/*
 * Slicing-by-8 (Kounavis and Berry, 2005): eight table look-ups take eight bytes at once.
 * table[k][i] is the remainder of byte i with k bytes of zeros behind it.
 *
 * The compiler builds the tables. A remainder is linear in the bits of the byte, so a whole table
 * follows from the remainders of the eight bytes with a single bit; and these, over all eight
 * tables, are one sequence: the polynomial, shifted again and again.
 */
#include "crc32.h"

#include "string.h"

#define SHIFT(value, polynomial) ((value) >> 1 ^ (((value)&1) ? (polynomial) : 0u))

/* p##k##b: the remainder of the byte 1 << b with k bytes of zeros behind it. */
#define SINGLE_BITS(p, polynomial, k, first)                                                                                   \
	p##k##7 = (first), p##k##6 = SHIFT(p##k##7, polynomial), p##k##5 = SHIFT(p##k##6, polynomial),                         \
	p##k##4 = SHIFT(p##k##5, polynomial), p##k##3 = SHIFT(p##k##4, polynomial), p##k##2 = SHIFT(p##k##3, polynomial),      \
	p##k##1 = SHIFT(p##k##2, polynomial), p##k##0 = SHIFT(p##k##1, polynomial)

#define REMAINDERS(p, polynomial)                                                                                              \
	SINGLE_BITS(p, polynomial, 0, polynomial), SINGLE_BITS(p, polynomial, 1, SHIFT(p##00, polynomial)),                    \
		SINGLE_BITS(p, polynomial, 2, SHIFT(p##10, polynomial)),                                                       \
		SINGLE_BITS(p, polynomial, 3, SHIFT(p##20, polynomial)),                                                       \
		SINGLE_BITS(p, polynomial, 4, SHIFT(p##30, polynomial)),                                                       \
		SINGLE_BITS(p, polynomial, 5, SHIFT(p##40, polynomial)),                                                       \
		SINGLE_BITS(p, polynomial, 6, SHIFT(p##50, polynomial)),                                                       \
		SINGLE_BITS(p, polynomial, 7, SHIFT(p##60, polynomial))

enum { REMAINDERS(ieee, 0xedb88320u), REMAINDERS(castagnoli, 0x82f63b78u) };

/* The 2^n entries that differ from entry `v` in the lower n bits. */
#define ENTRIES1(p, k, v) (v), (v) ^ p##k##0
#define ENTRIES2(p, k, v) ENTRIES1(p, k, v), ENTRIES1(p, k, (v) ^ p##k##1)
#define ENTRIES3(p, k, v) ENTRIES2(p, k, v), ENTRIES2(p, k, (v) ^ p##k##2)
#define ENTRIES4(p, k, v) ENTRIES3(p, k, v), ENTRIES3(p, k, (v) ^ p##k##3)
#define ENTRIES5(p, k, v) ENTRIES4(p, k, v), ENTRIES4(p, k, (v) ^ p##k##4)
#define ENTRIES6(p, k, v) ENTRIES5(p, k, v), ENTRIES5(p, k, (v) ^ p##k##5)
#define ENTRIES7(p, k, v) ENTRIES6(p, k, v), ENTRIES6(p, k, (v) ^ p##k##6)
#define ENTRIES8(p, k)    ENTRIES7(p, k, 0u), ENTRIES7(p, k, p##k##7)
#define TABLES(p)                                                                                                              \
	{                                                                                                                      \
		{ ENTRIES8(p, 0) }, { ENTRIES8(p, 1) }, { ENTRIES8(p, 2) }, { ENTRIES8(p, 3) }, { ENTRIES8(p, 4) },            \
			{ ENTRIES8(p, 5) }, { ENTRIES8(p, 6) }, { ENTRIES8(p, 7) },                                            \
	}

static const uint32_t ieee_tables[8][256] = TABLES(ieee);
static const uint32_t castagnoli_tables[8][256] = TABLES(castagnoli);

static uint32_t update(const uint32_t table[8][256], uint32_t crc, const uint8_t *data, size_t bytes)
{
	crc = ~crc;
	for (; bytes >= 8; bytes -= 8, data += 8) {
		uint64_t word;

		memcpy(&word, data, sizeof(word));
		word ^= crc;
		crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
		      table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^ table[2][word >> 40 & 0xff] ^
		      table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
	}
	while (bytes-- > 0)
		crc = crc >> 8 ^ table[0][(crc ^ *data++) & 0xff];
	return ~crc;
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t bytes)
{
	return update(ieee_tables, crc, data, bytes);
}

uint32_t crc32c_update(uint32_t crc, const void *data, size_t bytes)
{
	return update(castagnoli_tables, crc, data, bytes);
}
