// SPDX-License-Identifier: BSD-2-Clause
/* A counter that is taken up to a bound, and down to zero, by one atomic step each. Any context. */
#pragma once

#include "atomic.h"
#include "types.h"

/* One more of at most `most`; false: there are as many. */
static inline bool count_up(_Atomic uint32_t *count, uint32_t most)
{
	uint32_t used = atomic_load(count);

	do {
		if (used >= most)
			return false;
	} while (!atomic_compare_exchange_weak(count, &used, used + 1));
	return true;
}

/* One less; false: there is none. */
static inline bool count_down(_Atomic uint32_t *count)
{
	uint32_t used = atomic_load(count);

	do {
		if (used == 0)
			return false;
	} while (!atomic_compare_exchange_weak(count, &used, used - 1));
	return true;
}
