// SPDX-License-Identifier: BSD-2-Clause
/*
 * The card's register window, as its data sheet would describe it: 1 MB of memory that card and
 * driver share (BAR 2 of an ivshmem device). All fields are little-endian; each has one writer.
 *
 * The driver puts a buffer into slot `queued` % WINDOW_SLOTS, raises `queued`, and rings. As long
 * as WINDOW_RUN is set, the card fills buffers in that order: it writes the samples by DMA, then
 * the slot's `written` and `time_ns`, then raises `filled`, and rings back. Both counts run freely
 * and wrap at 2^32. A stream begins at sample 0 each time WINDOW_RUN is set; the card sets
 * `running` to what it has seen of `control`, and touches no buffer once it shows 0.
 *
 * A sample is 8 bytes; sample n has the value (n + 1) * WINDOW_SAMPLE_STEP.
 */
#pragma once

#include <stdint.h>

#define WINDOW_BYTES       (1u << 20)
#define WINDOW_MAGIC       0x54534e49u /* "INST" */
#define WINDOW_VERSION     1
#define WINDOW_SLOTS       1024u
#define WINDOW_SAMPLE_STEP 0x9e3779b97f4a7c15ull

#define WINDOW_FIFO_SAMPLES (64u << 10)
#define WINDOW_NO_TRIGGER   UINT64_MAX

#define WINDOW_RUN 1u /* in control and running */

enum window_fault {
	WINDOW_FAULT_NONE,
	WINDOW_FAULT_ADDRESS, /* a buffer lies where the machine has no memory */
};

struct window_slot {
	uint64_t address; /* driver: where the device sees the buffer */
	uint32_t bytes;   /* driver: a multiple of 8 */
	uint32_t written; /* card */
	uint64_t time_ns; /* card: when the last sample was taken, on the card's clock */
	uint64_t sample;  /* card: number of the first sample */
	uint64_t trigger; /* card: the sample in it that the trigger came with, or WINDOW_NO_TRIGGER */
};

struct window {
	uint32_t magic;   /* card */
	uint32_t version; /* card */
	uint32_t peer;    /* card: the number by which its doorbell rings */
	uint32_t running; /* card */
	uint32_t fault;   /* card: enum window_fault; it stops then */
	uint32_t filled;  /* card: buffers so far */
	uint32_t reserved[10];
	uint32_t control; /* driver */
	uint32_t queued;  /* driver: buffers so far */
	uint64_t rate;    /* driver: samples a second; 0: as the buffers come */
	uint64_t trigger; /* driver: a sample, or WINDOW_NO_TRIGGER */
	uint32_t reserved_too[10];
	struct window_slot slots[WINDOW_SLOTS];
};

_Static_assert(sizeof(struct window) <= WINDOW_BYTES, "the window holds all registers");
