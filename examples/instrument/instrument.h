// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver of the instrument: a card that streams samples into buffers that the program queues.
 *
 *	struct instrument *card = instrument_find();
 *	status = instrument_start(card);
 *	status = instrument_queue(card, buffer);                      as many as there are, up to 1024 at once
 *	status = instrument_next(card, deadline_ns, &filled);         in the order of queueing; queue it again when done with it
 *	...
 *	status = instrument_stop(card);                               the card lets all buffers go
 *
 * One task at a time starts, stops, and takes buffers; any task may queue one. A buffer belongs to
 * the card from instrument_queue until instrument_next returns it, or until instrument_stop.
 */
#pragma once

#include "heap/dma/dma.h"
#include "runtime/base/status.h"
#include "window.h"

struct instrument;

struct instrument_stream {
	uint64_t rate;    /* samples a second; 0: as many as there are buffers for */
	uint64_t trigger; /* the sample that the trigger input comes with, or WINDOW_NO_TRIGGER */
};

struct instrument_filled {
	struct dma_buffer *buffer;
	uint64_t bytes;
	uint64_t sample;  /* number of its first sample since the start; what is between two buffers was lost */
	uint64_t time_ns; /* of its last sample, on the card's clock */
	uint64_t trigger; /* the sample in it that the trigger came with, or WINDOW_NO_TRIGGER */
};

/* The first card, or NULL. */
struct instrument *instrument_find(void);

/* What the card can reach, for dma_alloc. */
const struct device *instrument_device(const struct instrument *card);

/* Begins a stream at sample 0. STATUS_BUSY: one is running; STATUS_GONE: the card was given up. */
status_t instrument_start(struct instrument *card, const struct instrument_stream *stream) MUST_CHECK;

/*
 * Lends the card a buffer of one segment, of whole samples. STATUS_INVALID: it is not like that;
 * STATUS_BUSY: the card has as many as it can have. Where platform_may_sleep().
 */
status_t instrument_queue(struct instrument *card, struct dma_buffer *buffer) MUST_CHECK;

/*
 * Waits for the oldest queued buffer. STATUS_TIMEOUT: the deadline (platform_now_ns) passed, all
 * stays as it is; STATUS_NOT_FOUND: none is queued; STATUS_IO_ERROR: the card reports a fault or
 * nonsense, which is logged. Where platform_may_sleep().
 */
status_t instrument_next(struct instrument *card, uint64_t deadline_ns, struct instrument_filled *filled) MUST_CHECK;

/*
 * Ends the stream. When it returns STATUS_OK the card writes to no buffer any more. STATUS_TIMEOUT:
 * it did not answer; it has been cut off from memory and stays unusable (STATUS_GONE). Where
 * platform_may_sleep().
 */
status_t instrument_stop(struct instrument *card) MUST_CHECK;
