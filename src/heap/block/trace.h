// SPDX-License-Identifier: BSD-2-Clause
/*
 * The trace: a ring of the last events of reclaim, with times, for the monitor command `trace`, and
 * to see afterwards why a request took long or failed.
 *
 *	trace_event(&reclaim->trace, TRACE_WINDOW, owner->name, first_block, cost);
 *
 * 1. Any context, interrupt handlers included; no lock, no wait, some 40 instructions. A request
 *    that fits at once is no event: only requests that have to reclaim write here.
 * 2. A reader sees an event whole or not at all. A writer takes its entry by one atomic addition.
 *    If another CPU still writes there, a whole turn of the ring late, the writer drops its event
 *    and counts it as lost.
 * 3. The name is copied, cut to EVENT_NAME_BYTES - 1 characters: its owner may be gone when the
 *    event is read.
 */
#pragma once

#include "metadata_heap.h"
#include "runtime/base/atomic.h"

#define EVENT_NAME_BYTES 24
#define TRACE_EVENTS_MAX 16384

/* The table in trace.c says what the two numbers of each kind mean. */
enum trace_kind {
	TRACE_REQUEST,  /* a request has to reclaim */
	TRACE_GIVEN,    /* it has got all runs */
	TRACE_FAILED,   /* it has not, and is out of time or of windows */
	TRACE_ASKED,    /* a cleaner is asked */
	TRACE_ANSWERED, /* ... and has answered */
	TRACE_WINDOW,   /* a window is isolated, to be emptied */
	TRACE_TAKEN,    /* ... and that has ended */
	TRACE_WAIT,     /* a request sleeps: it gained nothing, or waits for a cheaper window */
	TRACE_BLOCK,    /* the page cache has given a block */
	TRACE_STUCK,    /* ... or could not empty it */
	TRACE_RETURNED, /* the page cache has emptied its per-CPU frames, for a cleaner */
	TRACE_KINDS,
};

/* An event as it was written. */
struct trace_record {
	uint64_t time_ns;
	enum trace_kind kind;
	unsigned cpu;
	uint64_t first, second;
	char who[EVENT_NAME_BYTES];
};

#define TRACE_WORDS (sizeof(struct trace_record) / sizeof(uint64_t))

struct trace_entry {
	_Atomic uint64_t state;              /* 0: never written; else 2 * (place + 1), minus one while it is being written */
	_Atomic uint64_t words[TRACE_WORDS]; /* of the record */
};

#define TRACE_CHUNK_EVENTS (METADATA_CHUNK_MAX / sizeof(struct trace_entry))

struct event_trace {
	struct trace_entry *chunks[TRACE_EVENTS_MAX / TRACE_CHUNK_EVENTS]; /* [I] */
	uint64_t events;                                                   /* [I] in the ring; 0, or a power of two */
	_Atomic uint64_t next;                                             /* events so far */
	_Atomic uint64_t lost;
};

/*
 * `events`: 0, or a power of two, at most TRACE_EVENTS_MAX, of 64 bytes each, from the metadata
 * heap; they are never freed. STATUS_INVALID, STATUS_NO_MEMORY.
 */
status_t trace_init(struct event_trace *trace, struct metadata_heap *metadata, uint64_t events) MUST_CHECK;

/* `who` is copied; it may be NULL. */
void trace_event(struct event_trace *trace, enum trace_kind kind, const char *who, uint64_t first, uint64_t second);

/*
 * The event of that number, from trace->next - events on; false: it is not there any more, or not
 * there yet. Any context.
 */
bool trace_read(struct event_trace *trace, uint64_t number, struct trace_record *record);

/* Prints the last `count` events, oldest first. Any task context. */
void trace_print(struct event_trace *trace, uint64_t count);
