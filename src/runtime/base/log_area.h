// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log on a disk: an area of blocks of LOG_BLOCK_BYTES.
 *
 *	| marker | ring: text as it came, the oldest is overwritten | panic: the end of a run |
 *
 * 1. The marker says that the area is a log; it is written once, before anything else. An area
 *    whose first block is something else belongs to others, unless all of it is zero: it is
 *    refused, and not written. The marker lies in one sector, so a power cut leaves it whole or not
 *    there.
 * 2. A block tells by itself what it is: magic, number of the run of the machine, position of its
 *    text (log_ring.h), length, CRC-32C. Runs count up from 1, and a later block of a run has a
 *    later position. So the newest block is found by looking, and nothing else has to be right.
 * 3. No block is written twice in a turn of the ring, so a write that a power cut tears costs the
 *    text of that block, and none before it.
 * 4. Nothing that lies in the area is trusted: a block counts if all its fields can be, and text
 *    becomes printable before it is shown.
 *
 * No I/O and no lock: the caller reads and writes the blocks (kernel/log_disk.h).
 */
#pragma once

#include "log_ring.h"
#include "status.h"

#define LOG_BLOCK_BYTES  4096
#define LOG_HEADER_BYTES 40
#define LOG_TEXT_BYTES   (LOG_BLOCK_BYTES - LOG_HEADER_BYTES) /* in a block, at most */
#define LOG_NUMBER_MAX   (UINT64_MAX >> 1)                    /* of a run, or a position */

struct log_area {
	uint32_t ring_blocks;  /* [I] at least 2, or a torn write may cost all; from index 1 on */
	uint32_t panic_blocks; /* [I] behind them */
	uint32_t next;         /* of the ring: where the next block goes, from 0 on */
	uint64_t run;          /* this one's number */
	bool is_new;           /* the marker is to be written first */
	bool has_panic;        /* the run before has left panic blocks */
	struct log_ring last;  /* text of the run before; empty: there was none */
};

static inline uint32_t log_area_blocks(const struct log_area *area)
{
	return 1 + area->ring_blocks + area->panic_blocks;
}

/* Reads block `index` of the area; the result is good until the next call. */
typedef status_t (*log_area_read_t)(void *context, uint32_t index, const void **block);

/*
 * Looks through the area, and finds where to go on. The caller has set ring_blocks and
 * panic_blocks, and made `last` an empty ring. STATUS_BUSY: something else lies there; else what
 * `read` returned.
 */
status_t log_area_load(struct log_area *area, log_area_read_t read, void *context) MUST_CHECK;

void log_marker_write(void *block);

/* Makes a block of at most LOG_TEXT_BYTES, which begin at `position`. Any context. */
void log_block_write(void *block, uint64_t run, uint64_t position, const char *text, size_t bytes);

/* Index of the block that is written next. */
uint32_t log_area_next(struct log_area *area);
