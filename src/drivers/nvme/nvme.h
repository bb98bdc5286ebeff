// SPDX-License-Identifier: BSD-2-Clause
/*
 * NVMe disks, base specification 1.4.
 *
 *	probe:  enable, identify, one I/O queue for each CPU as far as the controller grants, a block device for each namespace
 *	I/O:    disk_queue --fill--> nvme_ring --> device --> completions --> interrupt --> deferred work --> done
 *	watch:  a command that takes too long: look for its completion, then Abort, then reset; fatal status: reset
 *	reset:  disable, rings empty, enable, queues again, requests go on; if that fails, no DMA any more, and STATUS_GONE
 *
 * 1. A controller that answers what cannot be (unknown command, wrong queue) is reset; memory is
 *    never touched on its word.
 * 2. Requests complete only when the controller has done with their memory: after its completion,
 *    after it was disabled, or after it lost the right to DMA.
 * 3. A command that failed is given to the controller again, NVME_TRIES_MAX times in all, unless
 *    the status says that this is of no use.
 * 4. The controller always has one command that ends with an event; the watch task shows the event
 *    in the log, and reads the log page that explains it, since only that lets the next one through.
 * 5. PRP lists lie beside the slots of each queue, so nothing is allocated for a request.
 *
 * Locks: each queue has its own [Q]; [NA] guards the admin queue. None is held while another one is
 * taken.
 */
#pragma once

#include "nvme_queue.h"

#define NVME_MODEL_BYTES  41
#define NVME_SERIAL_BYTES 20

/*
 * One command at a time. The task or deferred work that takes completions leaves the result here.
 */
struct nvme_admin {
	struct spinlock lock;
	struct nvme_ring ring; /* [NA] */
	struct nvme_ring_memory memory;
	struct dma_coherent answer;        /* [I] what Identify and Get Log Page fill: by probe or the watch task */
	bool open;                         /* [NA] the controller is enabled */
	uint16_t id;                       /* [NA] of the command under way */
	_Atomic uint32_t done;             /* [a] */
	struct nvme_completion completion; /* [NA] */
	bool event_asked;                  /* [NA] the controller has a command that ends with its next event */
	_Atomic bool event_there;          /* [a] and this is it: */
	struct nvme_completion event;      /* [NA] */
	unsigned events;                   /* by probe or the watch task: how many there were */
};

struct nvme {
	struct disk_device common;
	volatile void *registers;       /* [I] */
	uint64_t cap;                   /* [I] */
	uint32_t version;               /* [I] NVME_VERSION */
	uint64_t ready_pause_ns;        /* [I] before its status is read when it was disabled; mostly 0 */
	unsigned page_shift;            /* [I] */
	uint64_t shutdown_ns;           /* [I] */
	uint32_t transfer_bytes_max;    /* [I] of one command */
	bool write_cache;               /* [I] */
	uint32_t namespaces_numbered;   /* [I] largest number of a namespace */
	char model[NVME_MODEL_BYTES];   /* [I] */
	char serial[NVME_SERIAL_BYTES]; /* [I] without a NUL */
	struct nvme_admin admin;
};

static inline struct nvme *nvme_of(struct disk_device *device)
{
	return container_of(device, struct nvme, common);
}

/* nvme_controller.c: registers. All in a task that may sleep; failures are logged. */
status_t nvme_controller_open(struct nvme *nvme) MUST_CHECK; /* maps registers, looks whether it is fit */
status_t nvme_controller_enable(struct nvme *nvme) MUST_CHECK;
status_t nvme_controller_disable(struct nvme *nvme) MUST_CHECK; /* afterwards it does no DMA */
/* The same but for the admin queue's lock, and whether it is open: also after a panic. */
status_t nvme_registers_enable(struct nvme *nvme) MUST_CHECK;
status_t nvme_registers_disable(struct nvme *nvme) MUST_CHECK;
/* Tells it that power may go: NVME_CC_SHUTDOWN_NORMAL or _ABRUPT. Waits for its answer. */
void nvme_controller_shutdown(struct nvme *nvme, uint32_t how, uint64_t ns);
/* How long the registers of such a controller are left alone after it was disabled. */
uint64_t nvme_ready_pause_ns(uint16_t vendor_id, uint16_t device_id);
/*
 * Opens the interrupt line again, unless completions are not taken; does nothing with messages. Any
 * context.
 */
void nvme_line_unmask(struct nvme *nvme);

/* nvme_admin.c */
status_t nvme_admin_alloc(struct nvme *nvme) MUST_CHECK;
void nvme_admin_free(struct nvme *nvme);
/*
 * Runs `command` and waits. In probe, or in the watch task. STATUS_TIMEOUT, STATUS_IO_ERROR,
 * STATUS_GONE: not enabled.
 */
status_t nvme_admin_run(struct nvme *nvme, struct nvme_command *command, uint32_t *result) MUST_CHECK;
void nvme_admin_process(struct nvme *nvme); /* takes completions; tasks and deferred work */
status_t nvme_identify(struct nvme *nvme, unsigned what, uint32_t namespace_id) MUST_CHECK; /* fills the answer */
status_t nvme_queues_negotiate(struct nvme *nvme, unsigned *count) MUST_CHECK;
status_t nvme_queues_create(struct nvme *nvme) MUST_CHECK; /* tells the controller of all queues */
/* The two commands that tell it of one: completions first. `vector` -1: it does not interrupt. */
void nvme_queue_commands(const struct nvme_queue *queue, int vector, struct nvme_command commands[2]);
/*
 * Takes the queues back, which ends the commands in them; gives up when the controller does not
 * answer. Section 7.3: what a controller expects before it is shut down, and kinder to it than
 * being disabled amid transfers.
 */
void nvme_queues_delete(struct nvme *nvme);
status_t nvme_admin_abort(struct nvme *nvme, unsigned queue_id, unsigned command_id) MUST_CHECK;

/* Gives the controller the command that ends with its next event. False: it is not enabled. */
bool nvme_admin_await_event(struct nvme *nvme);
/* That event; false: there was none. */
bool nvme_admin_take_event(struct nvme *nvme, struct nvme_completion *event);

/* nvme_event.c: in probe and after a reset, and at each look of the watch task. */
void nvme_events_start(struct nvme *nvme);
void nvme_events_look(struct nvme *nvme);

/* nvme_memory.c */
status_t nvme_ring_alloc(struct nvme *nvme, unsigned id, unsigned entries, struct nvme_ring *ring,
			 struct nvme_ring_memory *memory) MUST_CHECK;
void nvme_ring_free(struct nvme *nvme, struct nvme_ring_memory *memory);

status_t nvme_queue_alloc(struct nvme *nvme, unsigned index) MUST_CHECK;
void nvme_queue_free(struct nvme *nvme, struct nvme_queue *queue);

/* nvme_panic.c: after a panic, see disk_device.h */
status_t nvme_take_over(struct disk_device *device) MUST_CHECK;
status_t nvme_queue_poll(struct disk_queue *queue) MUST_CHECK;
void nvme_panic_end(struct pci_function *function); /* of struct driver */

/* nvme_namespace.c */
status_t nvme_namespaces_find(struct nvme *nvme) MUST_CHECK;
void nvme_namespaces_free(struct nvme *nvme);

/* nvme_watch.c: of struct disk_operations. */
void nvme_look(struct disk_device *device);
void nvme_late(struct disk_device *device, struct disk_queue *queue);
status_t nvme_halt(struct disk_device *device) MUST_CHECK;
status_t nvme_restart(struct disk_device *device) MUST_CHECK;
