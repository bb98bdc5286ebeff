/*
 * The trace: a ring of the last events of reclaim, with times, for the monitor command `trace` and for whoever wonders
 * afterwards why a request took long or failed.
 *
 *	trace_event(&memory->trace, TRACE_WINDOW, owner->name, first_block, cost);
 *
 * 1. Any context, interrupt handlers included; no lock, no wait, some 40 instructions. What fits at once is no event: only
 *    requests that have to reclaim write here.
 * 2. An event is seen whole or not at all. Writers take places by one atomic addition; one that finds somebody else still
 *    writing at its place, a whole turn of the ring ago, drops its event and counts it as lost.
 * 3. The name is copied, cut to EVENT_NAME_BYTES - 1 characters: whoever had it may be gone when it is read.
 */
#pragma once

#include "bookkeeping.h"
#include "runtime/base/atomic.h"

#define EVENT_NAME_BYTES 24
#define TRACE_EVENTS_MAX 16384

/* What the two numbers of each kind mean stands in the table in trace.c. */
enum trace_kind {
	TRACE_REQUEST,  /* a request has to reclaim */
	TRACE_GIVEN,    /* it has got everything */
	TRACE_FAILED,   /* it has not, and is out of time or of places to look */
	TRACE_ASKED,    /* a cleaner is asked */
	TRACE_ANSWERED, /* ... and has answered */
	TRACE_WINDOW,   /* a window is fenced, to be emptied */
	TRACE_TAKEN,    /* ... and is over */
	TRACE_WAIT,     /* nothing to be gained, or a light window is worth a nap: waits */
	TRACE_BLOCK,    /* the page cache has given a block */
	TRACE_STUCK,    /* ... or could not empty it */
	TRACE_RETURNED, /* the page cache has emptied its lookasides, for a cleaner */
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

#define TRACE_CHUNK_EVENTS (BOOKKEEPING_CHUNK_MAX / sizeof(struct trace_entry))

struct event_trace {
	struct trace_entry *chunks[TRACE_EVENTS_MAX / TRACE_CHUNK_EVENTS]; /* [I] */
	uint64_t events;                                                   /* [I] in the ring; 0, or a power of two */
	_Atomic uint64_t next;                                             /* events so far */
	_Atomic uint64_t lost;
};

/*
 * `events`: 0, or a power of two, at most TRACE_EVENTS_MAX, of 64 bytes each. They stay with the bookkeeping. STATUS_INVALID,
 * STATUS_NO_MEMORY.
 */
status_t trace_init(struct event_trace *trace, struct bookkeeping *bookkeeping, uint64_t events) MUST_CHECK;

/* `who` is copied; it may be NULL. */
void trace_event(struct event_trace *trace, enum trace_kind kind, const char *who, uint64_t first, uint64_t second);

/* The event of that number, from trace->next - events on; false: it is not there any more, or not there yet. Any context. */
bool trace_read(struct event_trace *trace, uint64_t number, struct trace_record *record);

/* Prints the last `count` events, oldest first. Any task context. */
void trace_print(struct event_trace *trace, uint64_t count);
