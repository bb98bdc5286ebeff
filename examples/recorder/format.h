// SPDX-License-Identifier: BSD-2-Clause
/*
 * Recordings on a volume. All numbers are little-endian.
 *
 *	0          catalogue: FORMAT_ENTRIES entries, of each two copies of 4 KB, which are written in turns
 *	1 MB ...   recordings, one behind the other, each from a multiple of 4 KB on
 *
 * An entry is one sector of 512 bytes, padded to 4 KB. The copy with the right checksum and the
 * higher generation counts; so a write that a crash cuts off leaves the one before. `chunks` counts
 * what is durable: it is written after a flush of the device that came after those chunks. So a
 * recording that a crash has ended is whole as far as its entry says.
 *
 * A recording is a row of chunks, all of the same size: a header of 4 KB, and the samples of one
 * buffer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FORMAT_MAGIC       0x31434552726965ull /* "eirREC1" */
#define FORMAT_CHUNK_MAGIC 0x314b4843726965ull /* "eirCHK1" */
#define FORMAT_ENTRIES     100
#define FORMAT_PAGE_BYTES  ((uint64_t)4096)
#define FORMAT_DATA_START  ((uint64_t)1 << 20)
#define FORMAT_NAME_BYTES  64
#define FORMAT_NO_TRIGGER  UINT64_MAX

enum format_state {
	FORMAT_FREE,
	FORMAT_RUNNING, /* or a crash has ended it */
	FORMAT_ENDED,   /* as it was told to */
	FORMAT_FULL,    /* the volume had no more room */
	FORMAT_FAILED,  /* card or volume failed */
	FORMAT_STATES,
};

struct format_entry {
	uint64_t magic;
	uint32_t checksum; /* CRC-32C of these 512 bytes, with 0 here */
	uint32_t state;    /* enum format_state */
	uint64_t generation;
	uint64_t number; /* of the recording; higher ones are later */
	uint64_t start_bytes;
	uint64_t chunk_bytes; /* header and samples */
	uint64_t chunks;      /* that are durable */
	uint64_t rate;        /* samples a second */
	uint64_t lost;        /* samples that no buffer was there for, within the recording */
	uint64_t trigger;     /* the sample that it came with, or FORMAT_NO_TRIGGER */
	char name[FORMAT_NAME_BYTES];
	uint8_t reserved[368];
};

struct format_chunk {
	uint64_t magic;
	uint64_t recording; /* its number */
	uint64_t sequence;  /* from 0 on */
	uint64_t sample;    /* number of the first one; what is between two chunks was lost */
	uint64_t bytes;     /* of samples */
	uint64_t time_ns;   /* of the last sample, on the card's clock */
	uint64_t trigger;   /* the sample in it that the trigger came with, or FORMAT_NO_TRIGGER */
};

_Static_assert(sizeof(struct format_entry) == 512, "an entry is a sector");
_Static_assert(2 * FORMAT_ENTRIES * FORMAT_PAGE_BYTES <= FORMAT_DATA_START, "the catalogue ends before the recordings");
_Static_assert(sizeof(struct format_chunk) <= FORMAT_PAGE_BYTES, "a header is a page");
