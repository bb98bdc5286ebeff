// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text by position: the byte at position N lies at N modulo the size. Positions do not wrap, so a
 * reader that has fallen behind is seen by a comparison; a copy takes at most two pieces.
 */
#include "log_ring.h"

#include "bits.h"
#include "string.h"

void log_ring_init(struct log_ring *ring, char *memory, size_t bytes)
{
	ring->text = memory;
	ring->bytes = bytes;
	ring->end = 0;
}

void log_ring_write(struct log_ring *ring, const char *text, size_t bytes)
{
	/* Of more than the ring holds, only the end can stay. */
	if (bytes > ring->bytes) {
		ring->end += bytes - ring->bytes;
		text += bytes - ring->bytes;
		bytes = ring->bytes;
	}
	while (bytes > 0) {
		const size_t at = (size_t)(ring->end & (ring->bytes - 1));
		const size_t piece = MIN(bytes, ring->bytes - at);

		memcpy(ring->text + at, text, piece);
		ring->end += piece;
		text += piece;
		bytes -= piece;
	}
}

size_t log_ring_read(const struct log_ring *ring, uint64_t *position, char *text, size_t bytes)
{
	uint64_t from = MIN(MAX(*position, log_ring_start(ring)), ring->end);
	const uint64_t end = from + MIN(bytes, ring->end - from);
	const size_t count = (size_t)(end - from);

	while (from < end) {
		const size_t at = (size_t)(from & (ring->bytes - 1));
		const size_t piece = (size_t)MIN(end - from, ring->bytes - at);

		memcpy(text, ring->text + at, piece);
		text += piece;
		from += piece;
	}
	*position = end;
	return count;
}
