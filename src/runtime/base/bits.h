// SPDX-License-Identifier: BSD-2-Clause
/* Arithmetic on bits, powers of two and bitmaps of 64-bit words. No locking, no allocation. */
#pragma once

#include "types.h"

static inline bool is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

/* For limits and alignments where 0 means none. */
static inline bool is_power_or_zero(uint64_t value)
{
	return (value & (value - 1)) == 0;
}

/* `alignment` is a power of two. align_up wraps to 0 where no aligned value fits into 64 bits. */
static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
	return value & ~(alignment - 1);
}

static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
	return align_down(value + alignment - 1, alignment);
}

static inline bool is_aligned(uint64_t value, uint64_t alignment)
{
	return (value & (alignment - 1)) == 0;
}

/* Floor and ceiling of the binary logarithm; `value` is not 0. */
static inline unsigned log2_floor(uint64_t value)
{
	return 63u - (unsigned)__builtin_clzll(value);
}

static inline unsigned log2_ceil(uint64_t value)
{
	return value <= 1 ? 0 : log2_floor(value - 1) + 1;
}

static inline uint64_t divide_round_up(uint64_t value, uint64_t divisor)
{
	return value / divisor + (value % divisor != 0);
}

static inline uint64_t bitmap_words(uint64_t bits)
{
	return divide_round_up(bits, 64);
}

static inline bool bitmap_test(const uint64_t *map, uint64_t bit)
{
	return (map[bit / 64] >> (bit % 64)) & 1;
}

static inline void bitmap_set(uint64_t *map, uint64_t bit)
{
	map[bit / 64] |= 1ull << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, uint64_t bit)
{
	map[bit / 64] &= ~(1ull << (bit % 64));
}

/* The first bit in [from, end) that is set (clear); `end` when there is none. */
static inline uint64_t bitmap_find_set(const uint64_t *map, uint64_t from, uint64_t end)
{
	while (from < end) {
		const uint64_t bits = map[from / 64] >> (from % 64);

		if (bits != 0) {
			from += (unsigned)__builtin_ctzll(bits);
			return from < end ? from : end;
		}
		from = align_down(from, 64) + 64;
	}
	return end;
}

static inline uint64_t bitmap_find_clear(const uint64_t *map, uint64_t from, uint64_t end)
{
	while (from < end) {
		const uint64_t bits = ~map[from / 64] >> (from % 64);

		if (bits != 0) {
			from += (unsigned)__builtin_ctzll(bits);
			return from < end ? from : end;
		}
		from = align_down(from, 64) + 64;
	}
	return end;
}

static inline unsigned bits_count(uint64_t bits)
{
	bits -= bits >> 1 & 0x5555555555555555ull;
	bits = (bits & 0x3333333333333333ull) + (bits >> 2 & 0x3333333333333333ull);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned)(bits * 0x0101010101010101ull >> 56);
}

/* How many bits in [from, end) are set. */
static inline uint64_t bitmap_count(const uint64_t *map, uint64_t from, uint64_t end)
{
	uint64_t count = 0;

	for (uint64_t word = from / 64; word * 64 < end && from < end; word++) {
		uint64_t bits = map[word];

		if (word == from / 64)
			bits &= ~0ull << (from % 64);
		if (end - word * 64 < 64)
			bits &= (1ull << (end - word * 64)) - 1;
		if (bits != 0) /* whole words without a bit are common */
			count += bits_count(bits);
	}
	return count;
}

/*
 * The first bit in [from, until) from which on `length` bits in a row, or 64 if that is less, are
 * set; `until` when there is none. They may go on behind `until`, up to the end of the word that
 * holds the last bit before `end`.
 */
static inline uint64_t bitmap_find_run(const uint64_t *map, uint64_t from, uint64_t until, uint64_t end, uint64_t length)
{
	const unsigned wanted = length < 64 ? (unsigned)length : 64;

	for (uint64_t word = from / 64; word * 64 < until && from < until; word++) {
		uint64_t bits = map[word], next;

		if (word == from / 64)
			bits &= ~0ull << (from % 64);
		if (bits == 0)
			continue;
		next = word * 64 + 64 < end ? map[word + 1] : 0;
		/* From each bit that is left on, so many are set. */
		for (unsigned known = 1, more; known < wanted && bits != 0; known += more) {
			more = known < wanted - known ? known : wanted - known;
			bits &= bits >> more | next << (64 - more);
			next &= next >> more;
		}
		if (bits != 0) {
			const uint64_t found = word * 64 + (unsigned)__builtin_ctzll(bits);

			return found < until ? found : until;
		}
	}
	return until;
}

/* The last bit in [from, end) that is set; `end` when there is none. */
static inline uint64_t bitmap_find_last_set(const uint64_t *map, uint64_t from, uint64_t end)
{
	uint64_t above = end;

	while (above > from) {
		const uint64_t bits = map[(above - 1) / 64] << (63 - (above - 1) % 64);

		if (bits != 0) {
			above -= (unsigned)__builtin_clzll(bits) + 1u;
			return above >= from ? above : end;
		}
		above = align_down(above - 1, 64);
	}
	return end;
}
