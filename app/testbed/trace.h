// SPDX-License-Identifier: BSD-2-Clause
/*
 * A trace of page references on a disk of its own (trace_format.h), read past the page cache, so
 * that reading it changes nothing there.
 *
 *	trace_open -> trace_next ... -> trace_close
 */
#pragma once

#include "app/scenario.h"
#include "trace_format.h"

struct block_device;
struct dma_buffer;
struct memory;

struct page_trace {
	struct memory *memory;
	struct block_device *device;
	struct trace_header header;
	struct dma_buffer *chunk; /* with the next reference in it */
	uint64_t next;            /* reference */
};

/*
 * Finds the first disk that holds a trace, or takes the one that the option trace=NAME names.
 * STATUS_NOT_FOUND: there is none; STATUS_CORRUPT: the disk ends before the trace does, or it is
 * none; a message was printed. STATUS_NO_MEMORY. Where platform_may_sleep().
 */
status_t trace_open(struct page_trace *trace, const struct scenario *scenario) MUST_CHECK;
void trace_close(struct page_trace *trace);

/*
 * The next reference, of those that header.references counts; not beyond. What the disk says when
 * it cannot be read.
 */
status_t trace_next(struct page_trace *trace, uint64_t *word) MUST_CHECK;
