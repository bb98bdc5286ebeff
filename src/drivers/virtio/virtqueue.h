// SPDX-License-Identifier: BSD-2-Clause
/*
 * A split virtqueue; virtio 1.1, section 2.6. Its descriptors are divided among the slots for good,
 * so none is searched or freed. A device that reads indirect tables needs one for each slot, which
 * points to the slot's table. Any other gets the slot's chain in the descriptors themselves, an
 * equal share of them for each slot; then there are fewer slots, and shorter commands.
 *
 *	indirect:     slot N is descriptor N                       [0] [1] [2] ...       --> tables
 *	in the ring:  slot N is descriptors N * share onwards      [0 1 2 3] [4 5 6 7] ...
 *
 * The caller locks it, except for virtqueue_interrupts_off. What the device writes is checked for
 * being in range; whether the slot is in use is the caller's to know.
 */
#pragma once

#include "runtime/base/types.h"

#define VIRTQUEUE_DESCRIPTOR_NEXT     1u
#define VIRTQUEUE_DESCRIPTOR_WRITE    2u /* the device writes there */
#define VIRTQUEUE_DESCRIPTOR_INDIRECT 4u

struct virtqueue_descriptor {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags;
	uint16_t next;
};

struct virtqueue_used {
	uint32_t id;
	uint32_t bytes;
};

struct virtqueue {
	struct virtqueue_descriptor *descriptors; /* [I] */
	volatile uint16_t *available;             /* [I] flags, index, ring */
	volatile uint16_t *used;                  /* [I] flags, index, ring of virtqueue_used */
	volatile void *notify;                    /* [I] */
	uint16_t index;                           /* [I] number of the queue */
	uint16_t entries;                         /* [I] power of two */
	uint16_t share;                           /* [I] descriptors of each slot; 1: indirect tables */
	uint16_t available_index;                 /* what was added */
	uint16_t used_index;                      /* what was taken */
};

/*
 * Bytes of the three parts and where they lie, one behind the other from an address aligned to 16
 * on.
 */
struct virtqueue_layout {
	size_t available, used, bytes;
};
struct virtqueue_layout virtqueue_layout(unsigned entries);

/*
 * Empty; `memory` is zeroed here and has virtqueue_layout(entries).bytes. Also after a reset of the
 * device.
 */
void virtqueue_reset(struct virtqueue *queue, void *memory);

/* The descriptors of the slot; the first of them is number slot * share. */
static inline struct virtqueue_descriptor *virtqueue_chain(const struct virtqueue *queue, unsigned slot)
{
	return &queue->descriptors[slot * queue->share];
}

/* Adds the slot's indirect table; the device does not know yet. */
void virtqueue_add_table(struct virtqueue *queue, unsigned slot, uint64_t table, unsigned descriptors);

/* Adds the slot's chain, which is in virtqueue_chain. */
void virtqueue_add(struct virtqueue *queue, unsigned slot);

/* Shows the device what was added, and notifies it if it wants that. */
void virtqueue_submit(struct virtqueue *queue);

enum virtqueue_result {
	VIRTQUEUE_EMPTY,
	VIRTQUEUE_TAKEN,
	VIRTQUEUE_BROKEN, /* the device wrote what cannot be */
};

/* Takes the next slot that the device has done with. */
enum virtqueue_result virtqueue_take(struct virtqueue *queue, unsigned *slot);

/* The device need not interrupt from now on. Any context. */
void virtqueue_interrupts_off(struct virtqueue *queue);

/* It shall again. True: something came in between, so look again. */
bool virtqueue_interrupts_on(struct virtqueue *queue);
