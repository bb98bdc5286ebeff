// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the devices of all disk drivers have in common: interrupt vectors that serve queues, a task
 * that watches, and the way through a reset. A driver embeds a struct disk_device; what differs
 * from device to device stands in its operations.
 *
 *	start:  disk_device_init, queues, disk_vectors_open, disk_device_watch, disk_device_publish
 *	I/O:    disk_device_submit --> a queue --> device --> quiet (handler) --> serve (deferred work)
 *	reset:  queues stop, halt, requests wait again, restart, queues go on; else the device is gone
 *	end:    disk_device_withdraw, disk_device_stop, disk_vectors_close, disk_device_fail, queues,
 *		disk_device_fini
 *
 * 1. A CPU submits to the queue of its number, modulo the queues; a vector serves the queues of its
 *    number, modulo the vectors.
 * 2. Only the watch task resets, so no two resets meet. Any code may ask for one. Resets that help
 *    nothing come, after some, at growing distances.
 * 3. Requests complete only when the device is done with their memory: after their completion,
 *    after halt, or after the device lost the right to DMA.
 */
#pragma once

#include "block/disk_queue.h"
#include "block/disk_watch.h"
#include "driver.h"
#include "runtime/kernel/deferred.h"

#define DISK_NAME_BYTES 24
#define DISK_BLOCKS_MAX 16 /* block devices of one device */
#define DISK_QUEUES_MAX 64 /* of one device; beyond so many CPUs two share one */

struct disk_device;
struct task;

struct disk_operations {
	/*
	 * In the handler of a vector: quiets the device. False: another device of the line asked.
	 */
	bool (*quiet)(struct disk_device *device, unsigned vector);
	/*
	 * After that, in deferred work, and after a reset: disk_vector_serve, and more if need be.
	 */
	void (*serve)(struct disk_device *device, unsigned vector);
	/* Takes the completions of a queue, and gives it new commands. Tasks and deferred work. */
	void (*process)(struct disk_queue *queue);

	/* Watch task. Looks at the device's own status; asks for a reset if that is bad. */
	void (*look)(struct disk_device *device);
	/* Watch task. A command of the queue is late, and its completion is not there. */
	void (*late)(struct disk_device *device, struct disk_queue *queue);
	/* Watch task. When it succeeds, the device has forgotten all queues and does no DMA. */
	status_t (*halt)(struct disk_device *device);
	/* Watch task. Brings the device back with the queues that it had. */
	status_t (*restart)(struct disk_device *device);

	/*
	 * After a panic, without locks: the same as halt and restart for the first queue, which
	 * does not interrupt.
	 */
	status_t (*take_over)(struct disk_device *device);
	/* After that: takes the completion of slot 0. STATUS_BUSY: there is none yet. */
	status_t (*poll)(struct disk_queue *queue);
};

struct disk_vector {
	struct interrupt interrupt;
	struct deferred deferred;
	struct disk_device *device; /* NULL: not open */
	char name[2 * DISK_NAME_BYTES];
	unsigned index;
};

struct disk_device {
	const struct disk_operations *operations;     /* [I] */
	struct pci_function *function;                /* [I] */
	const struct driver_environment *environment; /* [I] */
	uint32_t *indices;                            /* [I] of the driver's devices that are there */
	unsigned index;                               /* [I] */
	char name[DISK_NAME_BYTES];                   /* [I] "nvme0" */
	uint64_t timeout_ns;                          /* [I] of a command */
	struct disk_queue *queues[DISK_QUEUES_MAX];   /* [I] NULL: not there yet */
	unsigned queue_count;                         /* [I] */
	struct disk_vector vectors[DISK_QUEUES_MAX];
	unsigned vector_count;                        /* [I] */
	struct block_device *blocks[DISK_BLOCKS_MAX]; /* [I] */
	unsigned block_count;                         /* [I] */

	struct disk_watch watch;
	struct task *watch_task;          /* [I] NULL: not started */
	const char *_Atomic reset_reason; /* [a] NULL: all is well */
	_Atomic bool stopped;             /* [a] completions are not taken: during a reset, and at the end */
	bool gone;                        /* watch task */
	bool taken_over;                  /* after a panic */
	unsigned resets;                  /* watch task */
	uint64_t reset_due_ns;            /* watch task: from then on the next reset may be */
	unsigned resets_in_vain;          /* watch task: the latest ones, between which no command ended */
	uint64_t reset_completed;         /* watch task: commands that had ended at the latest one */
	_Atomic unsigned errors;          /* [a] failed commands */
	struct disk_activity activity;    /* [a] */
};

/*
 * Zeroed before. Takes an index out of `indices`, which only probe and remove change, and makes the
 * name `prefix` and index. STATUS_UNSUPPORTED: 32 devices are there.
 */
status_t disk_device_init(struct disk_device *device, const struct disk_operations *operations,
			  const struct driver_environment *environment, struct pci_function *function, const char *prefix,
			  uint32_t *indices) MUST_CHECK;
void disk_device_fini(struct disk_device *device);

/* NULL: there are no more. Any context. */
static inline struct disk_queue *disk_device_queue(const struct disk_device *device, unsigned index)
{
	return index < device->queue_count ? device->queues[index] : NULL;
}

/* A vector for each queue, as far as the function has them. A failure is logged. */
status_t disk_vectors_open(struct disk_device *device) MUST_CHECK;
/* When it returns, no handler and no deferred work runs any more. */
void disk_vectors_close(struct disk_device *device);
/* Processes the queues of a vector. */
void disk_vector_serve(struct disk_device *device, unsigned vector);

/* What a block device's submit does; `target` is for the driver. */
void disk_device_submit(struct disk_device *device, const struct block_device *block, struct block_request *request,
			uint8_t target);

/* What its panic_transfer does. */
status_t disk_device_panic_transfer(struct disk_device *device, const struct block_device *block, struct block_request *request,
				    uint8_t target) MUST_CHECK;

/* Starts the watch task. */
status_t disk_device_watch(struct disk_device *device) MUST_CHECK;
/* Lets the queues go on, and takes what completed meanwhile. */
void disk_device_start(struct disk_device *device);
/* Adds the block devices to the table of all, and takes them out again. */
void disk_device_publish(struct disk_device *device);
void disk_device_withdraw(struct disk_device *device);

/* The watch task resets the device soon; the first reason is kept, for the log. Any context. */
void disk_device_request_reset(struct disk_device *device, const char *reason);

/* Ends the watch, and stops the queues; no task starts them again. */
void disk_device_stop(struct disk_device *device);
/* The device does no DMA any more: all requests, now and later, end with STATUS_GONE. */
void disk_device_fail(struct disk_device *device);
