// SPDX-License-Identifier: BSD-2-Clause
/*
 * A virtio disk for fake_bus.h, as virtio 1.1 has it. By itself it is honest and quick: a request
 * ends when it is notified. The hooks let it lie. Each address and each chain is checked.
 */
#pragma once

#include "fake_bus.h"
#include "drivers/virtio/virtio_pci.h"

#define FAKE_VIRTIO_QUEUES    4
#define FAKE_VIRTIO_BYTES     MIB
#define FAKE_VIRTIO_NO_ANSWER UINT32_MAX

struct fake_virtio_queue {
	uint64_t descriptors, available, used;
	uint16_t entries, vector, enabled, seen, used_index;
};

struct fake_virtio {
	struct fake_device device;
	struct fake_bus *bus;
	uint64_t features, accepted; /* what it offers, and what the driver took */
	uint16_t queue_size;
	uint32_t seg_max;
	uint32_t feature_select, driver_select;
	uint16_t queue_select;
	uint8_t status;
	struct fake_virtio_queue queues[FAKE_VIRTIO_QUEUES];
	uint8_t *blocks;

	/*
	 * A chain that is wrong is the driver's fault. Not so once the device has
	 * written to the rings what it likes: then it drops such a chain.
	 */
	bool strict;

	unsigned commands, tables; /* how many there were, and how many of them with an indirect table */
	unsigned chain_max;        /* the longest chain */

	/* Hooks, or NULL: what a register reads as; how a request ends, or NO_ANSWER. */
	uint64_t (*lie)(struct fake_virtio *virtio, uint64_t offset, uint64_t truth);
	uint32_t (*answer)(struct fake_virtio *virtio, unsigned queue);
};

/* The bus is initialized, too. */
void fake_virtio_init(struct fake_virtio *virtio, struct fake_bus *bus);
void fake_virtio_fini(struct fake_virtio *virtio);

/* Writes an entry of the used ring, with any content, and interrupts. */
void fake_virtio_complete(struct fake_virtio *virtio, unsigned queue, uint32_t id);
