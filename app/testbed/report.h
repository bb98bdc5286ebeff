// SPDX-License-Identifier: BSD-2-Clause
/* How scenarios talk: numbers for people, a progress bar, percentiles. */
#pragma once

#include "app/app.h"
#include "runtime/base/format.h"
#include "runtime/base/sort.h"

/* part / whole with four digits, "0.8712"; "0.0000" when `whole` is 0. Returns `buffer`. */
#define FORMAT_SHARE_BYTES FORMAT_FIXED_SIZE
const char *format_share(char buffer[FORMAT_SHARE_BYTES], uint64_t part, uint64_t whole);

/* The same with two digits, "87.05". */
const char *format_hundredths(char buffer[FORMAT_SHARE_BYTES], uint64_t part, uint64_t whole);

/* Bytes a second, below 2^44 bytes; 0 for no time at all. */
uint64_t rate_bytes(uint64_t bytes, uint64_t ns);

/*
 * Progress of something that is counted in bytes: on a terminal a bar that is redrawn, elsewhere a
 * line for each tenth; with rate and time left.
 */
struct progress {
	const char *what;
	uint64_t total_bytes;
	uint64_t start_ns;
	uint64_t shown_ns;
	uint64_t next_bytes; /* to show in a log */
	bool interactive;
};

void progress_start(struct progress *progress, const char *what, uint64_t total_bytes, bool interactive);
void progress_update(struct progress *progress, uint64_t done_bytes);
void progress_end(struct progress *progress, uint64_t done_bytes);
