// SPDX-License-Identifier: BSD-2-Clause
/*
 * A small, fast generator for loads, tests and shuffling (xorshift64*, S. Vigna 2016). Not for
 * secrets.
 */
#pragma once

#include "types.h"

struct random {
	uint64_t state; /* never 0 */
};

static inline void random_seed(struct random *random, uint64_t seed)
{
	random->state = seed * 0x9e3779b97f4a7c15ull | 1;
}

static inline uint64_t random_next(struct random *random)
{
	uint64_t x = random->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	random->state = x;
	return x * 0x2545f4914f6cdd1dull;
}

/* Uniform in [0, limit); `limit` is not 0. */
static inline uint64_t random_below(struct random *random, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)random_next(random) * limit) >> 64);
}
