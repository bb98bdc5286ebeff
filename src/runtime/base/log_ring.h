// SPDX-License-Identifier: BSD-2-Clause
/*
 * A ring of text: the latest of what was written, by its position, which counts from the first byte
 * ever written and does not wrap. Text that was overwritten is gone; a reader that was behind goes
 * on at the oldest byte left. Not locked.
 */
#pragma once

#include "types.h"

struct log_ring {
	char *text;
	size_t bytes; /* [I] power of two */
	uint64_t end; /* position behind the latest byte */
};

/* Empty, in memory of so many bytes, a power of two. */
void log_ring_init(struct log_ring *ring, char *memory, size_t bytes);

void log_ring_write(struct log_ring *ring, const char *text, size_t bytes);

/* Position of the oldest byte that is left. */
static inline uint64_t log_ring_start(const struct log_ring *ring)
{
	return ring->end > ring->bytes ? ring->end - ring->bytes : 0;
}

/*
 * Copies at most `bytes` from *position on, or from the oldest byte left; returns how many, and
 * moves *position behind them. 0: there is no more.
 */
size_t log_ring_read(const struct log_ring *ring, uint64_t *position, char *text, size_t bytes);
