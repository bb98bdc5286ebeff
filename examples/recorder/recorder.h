// SPDX-License-Identifier: BSD-2-Clause
/*
 * The recorder: a card fills DMA buffers in turn without a gap, and a writer streams them past the
 * cache to a volume.
 *
 *	card --> captured buffers --> [the last `pre` of them wait for the trigger] --> writer --> volume
 *	  ^                                                                                |
 *	  +--------------------------------- empty buffers -------------------------------+
 *
 * The buffers lie in one ring, in the order in which the card has filled them. The capturing task
 * puts them in and releases them to the writer: at once, or, where there is a trigger, from `pre`
 * buffers before it on. While nothing is released, older ones go back to the card. The writer
 * writes what is released, and gives the buffers back.
 *
 * Nothing is dropped in silence: what the card loses because no buffer is there shows in the live
 * line, in the numbers of the samples in each chunk, and as a sum in the catalogue. Every
 * `flush_ns` the writer makes what it has written durable, and the catalogue says so; that much a
 * crash leaves.
 *
 * recorder_trigger and recorder_stop: any task. All others: one task, where platform_may_sleep().
 */
#pragma once

#include "catalogue.h"

struct instrument;
struct task;

struct recorder_options {
	const char *name;
	uint64_t rate;         /* samples a second; 0: as fast as the volume takes them */
	uint64_t buffers;      /* 2 to RECORDER_BUFFERS_MAX */
	uint64_t buffer_bytes; /* of each; a multiple of 4096 */
	bool triggered;        /* record nothing before the trigger but the last `pre` buffers */
	uint64_t trigger;      /* the sample that the card's trigger comes with, or WINDOW_NO_TRIGGER */
	uint64_t pre;          /* below `buffers` - 1, so that the card has some to fill */
	uint64_t length;       /* buffers to record, those before the trigger included; 0: until recorder_stop */
	uint64_t flush_ns;
	bool interactive; /* redraw the live line */
};

#define RECORDER_BUFFERS_MAX 512

struct recorder_buffer {
	struct dma_buffer *buffer;
	struct format_chunk chunk;
};

struct recorder {
	struct memory *memory;
	struct instrument *card;
	struct volume *volume;
	struct catalogue catalogue;
	struct recorder_options options;
	struct format_entry *entry;
	struct dma_buffer *header; /* the page in front of the samples */
	struct dma_buffer *buffers[RECORDER_BUFFERS_MAX];

	struct recorder_buffer ring[RECORDER_BUFFERS_MAX]; /* by number, modulo the size; numbers run freely */
	_Atomic uint32_t captured;                         /* put in by the capturing task */
	_Atomic uint32_t released;                         /* of them to the writer */
	_Atomic uint32_t given;    /* back to the card: by the writer, or unrecorded, by the capturing task */
	_Atomic uint32_t asked;    /* RECORDER_TRIGGER and RECORDER_STOP */
	_Atomic bool capture_over; /* nothing more is released */
	_Atomic status_t status;   /* the first failure of either task */

	uint64_t next_sample; /* the capturing task's: what the card would fill in next */
	uint32_t first;       /* the first number that is recorded */
	_Atomic uint64_t lost;
	uint64_t trigger;
	_Atomic bool waiting;
	uint64_t length; /* chunks at which it ends */
	uint64_t start_ns, shown_ns, shown_chunks;

	uint64_t chunks; /* the writer's: that are written */
	uint64_t flushed_ns;

	struct task *capture, *writer;
};

/*
 * Takes the memory and starts. `volume` has a catalogue, or a blank first MB. On failure everything
 * is as before. STATUS_INVALID: an option is out of its range; what catalogue_open,
 * catalogue_begin, dma_alloc and instrument_start return. All but the last are explained in the
 * log.
 */
status_t recorder_start(struct recorder *recorder, struct memory *memory, struct instrument *card, struct volume *volume,
			const struct recorder_options *options) MUST_CHECK;

void recorder_trigger(struct recorder *recorder);
void recorder_stop(struct recorder *recorder);
bool recorder_is_over(struct recorder *recorder);

/*
 * Waits for the end, which makes the recording durable and gives the memory back; then
 * recorder->entry is the final one.
 */
status_t recorder_end(struct recorder *recorder) MUST_CHECK;
