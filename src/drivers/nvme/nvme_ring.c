// SPDX-License-Identifier: BSD-2-Clause
/*
 * A pair of rings. A phase bit, which flips each time round, tells new completions from old ones,
 * so the device's progress is seen without reading a register. Each entry is copied once and then
 * checked.
 */
#include "nvme_ring.h"

#include "drivers/registers.h"
#include "runtime/base/string.h"

void nvme_ring_reset(struct nvme_ring *ring)
{
	memset((void *)ring->completions, 0, ring->entries * sizeof(*ring->completions));
	ring->tail = 0;
	ring->head = 0;
	ring->head_told = 0;
	ring->phase = true;
}

static uint16_t next(const struct nvme_ring *ring, uint16_t index)
{
	return index + 1u < ring->entries ? (uint16_t)(index + 1) : 0;
}

void nvme_ring_push(struct nvme_ring *ring, const struct nvme_command *command)
{
	ring->submissions[ring->tail] = *command;
	ring->tail = next(ring, ring->tail);
}

void nvme_ring_submit(struct nvme_ring *ring)
{
	register_write32(ring->tail_doorbell, 0, ring->tail);
}

enum nvme_ring_result nvme_ring_take(struct nvme_ring *ring, struct nvme_completion *completion)
{
	volatile struct nvme_completion *entry = &ring->completions[ring->head];
	const uint16_t status = entry->status;

	if ((status & NVME_STATUS_PHASE) != ring->phase)
		return NVME_RING_EMPTY;
	/*
	 * The phase says that the rest is there. Everything is read once: the device may change it
	 * at any time.
	 */
	atomic_thread_fence(memory_order_acquire);
	completion->result = entry->result;
	completion->submission_head = entry->submission_head;
	completion->submission_id = entry->submission_id;
	completion->id = entry->id;
	completion->status = status;
	ring->head = next(ring, ring->head);
	if (ring->head == 0)
		ring->phase = !ring->phase;
	return completion->submission_id == ring->id && completion->submission_head < ring->entries ? NVME_RING_TAKEN
												    : NVME_RING_BROKEN;
}

void nvme_ring_release(struct nvme_ring *ring)
{
	if (ring->head == ring->head_told)
		return;
	ring->head_told = ring->head;
	register_write32(ring->head_doorbell, 0, ring->head);
}
