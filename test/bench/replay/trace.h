// SPDX-License-Identifier: BSD-2-Clause
/*
 * A trace of page references: text, gzip'd or not, one reference a line, `R <page>` or `W <page>`,
 * pages of 4 KB by number, which are at most what a volume can have. Pages also get dense numbers,
 * in their order, for models that keep arrays.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_NAME_BYTES 64

struct reference {
	uint64_t page;
	uint32_t dense;
	bool write;
};

struct trace {
	char name[TRACE_NAME_BYTES]; /* of the file, up to the first '-' or '.' */
	struct reference *references;
	size_t count;
	uint32_t unique;   /* dense numbers are below */
	uint64_t page_max; /* largest page */
};

/*
 * Reads the file. On failure prints what is wrong, and in which line, to `error` (of `size` bytes)
 * and returns false.
 */
bool trace_parse(struct trace *trace, const char *file, char *error, size_t size);
void trace_free(struct trace *trace);
