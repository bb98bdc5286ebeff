// SPDX-License-Identifier: BSD-2-Clause
/*
 * A pair of rings in memory: submissions, which the device reads, and completions, which it writes.
 * Base specification 1.4, section 4. The caller locks it. What the device writes is checked.
 */
#pragma once

#include "nvme_spec.h"

struct nvme_ring {
	struct nvme_command *submissions;             /* [I] */
	volatile struct nvme_completion *completions; /* [I] */
	volatile void *tail_doorbell;                 /* [I] */
	volatile void *head_doorbell;                 /* [I] */
	uint16_t id;                                  /* [I] 0: admin */
	uint16_t entries;                             /* [I] of each ring; at most entries - 1 commands are under way */
	uint16_t tail;                                /* where the next command goes */
	uint16_t head;                                /* where the next completion is expected */
	uint16_t head_told;                           /* what the device knows of it */
	bool phase;                                   /* of completions that are new */
};

/* Empty; also after a reset of the device. Clears the completions. */
void nvme_ring_reset(struct nvme_ring *ring);

/* Adds a command; the device does not know yet. */
void nvme_ring_push(struct nvme_ring *ring, const struct nvme_command *command);
void nvme_ring_submit(struct nvme_ring *ring);

enum nvme_ring_result {
	NVME_RING_EMPTY,
	NVME_RING_TAKEN,
	NVME_RING_BROKEN, /* the completion makes no sense */
};

/* Takes the next completion. Its id is as the device gave it. */
enum nvme_ring_result nvme_ring_take(struct nvme_ring *ring, struct nvme_completion *completion);

/* Tells the device what was taken. */
void nvme_ring_release(struct nvme_ring *ring);
