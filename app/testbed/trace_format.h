// SPDX-License-Identifier: BSD-2-Clause
/*
 * A trace of page references as a disk: what test/tools/make_trace.c writes and the scenario replay
 * reads.
 *
 *	page 0          struct trace_header
 *	from page 1 on  references, 8 bytes each, in order: number of the page << 1, bit 0 set for a write
 *
 * Zeros fill the last chunk.
 *
 * All numbers are little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TRACE_MAGIC           0x4543415254524957ull /* "WIRTRACE" */
#define TRACE_HEADER_BYTES    4096u
#define TRACE_CHUNK_BYTES     65536u
#define TRACE_CHUNK_WORDS     (TRACE_CHUNK_BYTES / 8)
#define PAGE_TRACE_NAME_BYTES 64
#define TRACE_PAGE_MAX        (1ull << 40) /* numbers are below */

struct trace_header {
	uint64_t magic;
	uint64_t references;
	uint64_t pages;                   /* the largest number and 1 */
	char name[PAGE_TRACE_NAME_BYTES]; /* NUL-terminated */
};

static inline uint64_t trace_word(uint64_t page, bool is_write)
{
	return page << 1 | is_write;
}

static inline uint64_t trace_page(uint64_t word)
{
	return word >> 1;
}

static inline bool trace_is_write(uint64_t word)
{
	return (word & 1) != 0;
}

/* The length of the whole; references below 2^50. */
static inline uint64_t trace_bytes(uint64_t references)
{
	return TRACE_HEADER_BYTES + (references + TRACE_CHUNK_WORDS - 1) / TRACE_CHUNK_WORDS * TRACE_CHUNK_BYTES;
}
