// SPDX-License-Identifier: BSD-2-Clause
/*
 * The three parts of a split virtqueue. Indices count up freely and are taken modulo the size, so
 * full and empty differ; fences stand where the device may look between two writes. An index or id
 * that cannot be is reported, not followed.
 */
#include "virtqueue.h"

#include "drivers/registers.h"
#include "runtime/base/bits.h"
#include "runtime/base/string.h"

#define RING_FLAGS   0
#define RING_INDEX   1
#define RING_ENTRIES 2

#define AVAILABLE_NO_INTERRUPT 1u
#define USED_NO_NOTIFY         1u

#define USED_ALIGNMENT 4

struct virtqueue_layout virtqueue_layout(unsigned entries)
{
	struct virtqueue_layout layout;

	layout.available = entries * sizeof(struct virtqueue_descriptor);
	layout.used = align_up(layout.available + (RING_ENTRIES + entries + 1) * sizeof(uint16_t), USED_ALIGNMENT);
	layout.bytes = layout.used + (RING_ENTRIES + 1) * sizeof(uint16_t) + entries * sizeof(struct virtqueue_used);
	return layout;
}

void virtqueue_reset(struct virtqueue *queue, void *memory)
{
	const struct virtqueue_layout layout = virtqueue_layout(queue->entries);

	memset(memory, 0, layout.bytes);
	queue->descriptors = memory;
	queue->available = (volatile uint16_t *)((char *)memory + layout.available);
	queue->used = (volatile uint16_t *)((char *)memory + layout.used);
	queue->available_index = 0;
	queue->used_index = 0;
}

void virtqueue_add(struct virtqueue *queue, unsigned slot)
{
	queue->available[RING_ENTRIES + queue->available_index % queue->entries] = (uint16_t)(slot * queue->share);
	queue->available_index++;
}

void virtqueue_add_table(struct virtqueue *queue, unsigned slot, uint64_t table, unsigned descriptors)
{
	queue->descriptors[slot] = (struct virtqueue_descriptor){
		.address = table,
		.bytes = (uint32_t)(descriptors * sizeof(struct virtqueue_descriptor)),
		.flags = VIRTQUEUE_DESCRIPTOR_INDIRECT,
	};
	virtqueue_add(queue, slot);
}

void virtqueue_submit(struct virtqueue *queue)
{
	atomic_thread_fence(memory_order_release);
	queue->available[RING_INDEX] = queue->available_index;
	/*
	 * The index before the flag: either the device sees the index, or it asks to be notified.
	 * Section 2.6.13.4.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	if (!(queue->used[RING_FLAGS] & USED_NO_NOTIFY))
		register_write16(queue->notify, 0, queue->index);
}

enum virtqueue_result virtqueue_take(struct virtqueue *queue, unsigned *slot)
{
	const volatile struct virtqueue_used *ring = (const volatile struct virtqueue_used *)&queue->used[RING_ENTRIES];
	const uint16_t fresh = (uint16_t)(queue->used[RING_INDEX] - queue->used_index);
	uint32_t id;

	if (fresh == 0)
		return VIRTQUEUE_EMPTY;
	if (fresh > queue->entries)
		return VIRTQUEUE_BROKEN;
	atomic_thread_fence(memory_order_acquire);
	id = ring[queue->used_index % queue->entries].id;
	queue->used_index++;
	if (id >= queue->entries || id % queue->share != 0)
		return VIRTQUEUE_BROKEN;
	*slot = id / queue->share;
	return VIRTQUEUE_TAKEN;
}

void virtqueue_interrupts_off(struct virtqueue *queue)
{
	queue->available[RING_FLAGS] = AVAILABLE_NO_INTERRUPT;
}

bool virtqueue_interrupts_on(struct virtqueue *queue)
{
	queue->available[RING_FLAGS] = 0;
	atomic_thread_fence(memory_order_seq_cst);
	return queue->used[RING_INDEX] != queue->used_index;
}
