// SPDX-License-Identifier: BSD-2-Clause
/*
 * An NVMe controller for fake_bus.h, as base specification 1.4 has it, as far as the driver uses
 * it. By itself it is honest and quick: a command ends when its doorbell is rung. The hooks let it
 * lie. Each address that a command names is checked.
 */
#pragma once

#include "drivers/nvme/nvme_spec.h"
#include "fake_bus.h"

#define FAKE_NVME_QUEUES       5
#define FAKE_NVME_NAMESPACES   40
#define FAKE_NVME_BYTES        MIB /* of each namespace: all of them are the same memory */
#define FAKE_NVME_NO_ANSWER    UINT32_MAX
#define FAKE_NVME_STATUS(t, c) ((t) << 9 | (c) << 1) /* as in a completion, without the phase */

struct fake_nvme_queue {
	uint64_t submissions, completions;
	uint32_t submission_entries, completion_entries;
	uint32_t head, completion_tail;
	bool phase;
	int vector; /* -1: it does not interrupt */
};

struct fake_nvme {
	struct fake_device device;
	struct fake_bus *bus;
	uint64_t cap, asq, acq;
	uint32_t version, cc, csts, aqa;
	struct fake_nvme_queue queues[FAKE_NVME_QUEUES];
	uint32_t ids[FAKE_NVME_NAMESPACES]; /* rising, up to a 0 */
	uint8_t *blocks;
	unsigned sector_shift;
	bool write_cache;
	bool event_asked;

	/*
	 * A command that is wrong is the driver's fault. Not so once the device has
	 * written to rings or lists what it likes.
	 */
	bool strict;

	unsigned admin_commands[256], io_commands[256]; /* by opcode */
	unsigned active_lists;                          /* Identify of the list of namespaces */
	uint32_t shutdown;                              /* the last one that CC asked for */

	/* Hooks, or NULL: what a register reads as; how a command ends, or NO_ANSWER. */
	uint64_t (*lie)(struct fake_nvme *nvme, uint64_t offset, uint64_t truth);
	uint32_t (*answer)(struct fake_nvme *nvme, unsigned queue, const struct nvme_command *command);
	void (*fill)(struct fake_nvme *nvme, const struct nvme_command *command, uint8_t *answer, uint64_t bytes);
};

/* With one namespace; the bus is initialized, too. */
void fake_nvme_init(struct fake_nvme *nvme, struct fake_bus *bus);
void fake_nvme_fini(struct fake_nvme *nvme);

/* Writes a completion, with any content, and interrupts. */
void fake_nvme_complete(struct fake_nvme *nvme, unsigned queue, const struct nvme_completion *completion);

/* An event, if the driver has asked for one. */
void fake_nvme_event(struct fake_nvme *nvme, uint32_t result);
