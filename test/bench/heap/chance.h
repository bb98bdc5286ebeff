// SPDX-License-Identifier: BSD-2-Clause
/*
 * Pseudorandom numbers that cost the harness little (a linear congruential generator; D. E. Knuth's
 * constants), the same in each run and for each allocator.
 */
#pragma once

#include <stdint.h>

struct chance {
	uint64_t state;
};

/* 32 random bits: the upper half, which is the better one. */
static inline uint32_t chance_next(struct chance *chance)
{
	chance->state = chance->state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(chance->state >> 32);
}

/* Uniform in [0, limit). */
static inline uint32_t chance_below(struct chance *chance, uint32_t limit)
{
	return (uint32_t)((uint64_t)chance_next(chance) * limit >> 32);
}

/* Fills in 0 to count - 1 in a random order. */
static inline void chance_shuffle(struct chance *chance, uint32_t *order, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	for (uint32_t i = count; i > 1; i--) {
		const uint32_t other = chance_below(chance, i), last = order[i - 1];

		order[i - 1] = order[other];
		order[other] = last;
	}
}
