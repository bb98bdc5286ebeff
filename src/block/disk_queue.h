// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the queues of all disks have in common: slots for the commands that the device has, requests
 * that wait for one, in order, and cutting a request to what one command can carry. The driver
 * writes the commands and finds out which are done.
 *
 *	submit --> waiting --fill, ring--> in slots --complete--> done
 *	              ^                       |
 *	              `------- recall --------'        after the device was reset; gives up after DISK_RETRIES
 *
 * 1. Nothing here allocates; the slots are there from the start.
 * 2. A slot belongs to the device until the driver completes it, or has stopped the device's DMA
 *    and calls disk_queue_recall or disk_queue_fail.
 * 3. disk_requests_finish runs `done` of the requests, without the lock.
 *
 * Lock [Q]: queue->lock; tasks and deferred work only. Functions named _locked want it held.
 */
#pragma once

#include "runtime/base/block_device.h"
#include "runtime/base/spinlock.h"

#define DISK_SLOTS_MAX          128
#define DISK_RETRIES            2
#define DISK_SEGMENTS_MAX       256
#define DISK_TRANSFER_BYTES_MAX (1 * MIB)
#define DISK_TIMEOUT_NS         (30 * NS_PER_S)

struct disk_queue;

/* What the driver says of a queue. Its functions are called with the lock held: [Q]. */
struct disk_queue_config {
	const char *name;
	uint64_t timeout_ns;
	struct disk_activity *activity; /* the device's, zeros at first */
	unsigned slot_count;            /* DISK_SLOTS_MAX at most */

	/*
	 * Writes the command of `slot` for the next part of the request, which it takes with
	 * disk_peek and disk_advance.
	 */
	void (*fill)(struct disk_queue *queue, unsigned slot, struct block_request *request);
	/* Tells the device about the commands since the last call. */
	void (*ring)(struct disk_queue *queue);
	/* Makes the ring empty, as the device expects it after it has forgotten all commands. */
	void (*empty)(struct disk_queue *queue);
};

/* A request while it is in here; lies in request->driver. */
struct disk_progress {
	uint32_t offset_bytes; /* [Q] within the segment */
	uint32_t issued_bytes; /* [Q] of the request: in commands already */
	uint16_t segment;      /* [Q] the first that is not wholly in commands */
	int16_t status;        /* [Q] the first failure */
	uint8_t commands;      /* [Q] that the device has */
	uint8_t retries;       /* [Q] */
	bool issued;           /* [Q] no more commands are to come, and it is in no list */
	uint8_t target;        /* [I] the driver's: which of its disks */
};

enum disk_queue_state {
	DISK_QUEUE_STOPPED, /* requests wait */
	DISK_QUEUE_LIVE,
	DISK_QUEUE_GONE, /* requests complete with STATUS_GONE */
};

struct disk_slot {
	struct block_request *request; /* [Q] NULL: free */
	uint64_t deadline_ns;          /* [Q] */
	uint64_t completed;            /* [Q] activity->completed when the device got the command */
	bool aborted;                  /* [Q] the driver's: has asked the device to give it up */
};

/*
 * What a device has answered on all of its queues. It tells a slow device from one that is silent,
 * or has lost a command. A command whose time is over counts as late in two cases: the device has
 * answered nothing for that long, or it has answered as many other commands since then as its
 * queues hold. A device that is slow, but answers, is left alone.
 */
struct disk_activity {
	_Atomic uint64_t completed; /* commands; those that it was asked to give up are no answers */
	_Atomic uint64_t last_ns;   /* when it completed the latest */
	_Atomic uint32_t slots;     /* of all queues */
};

/* Commands that have ended by themselves, so far. Any context. */
static inline uint64_t disk_activity_completed(const struct disk_activity *activity)
{
	return atomic_load(&activity->completed);
}

struct disk_queue {
	struct spinlock lock;
	struct disk_queue_config config; /* [I] */
	enum disk_queue_state state;     /* [Q] */
	unsigned free_count;             /* [Q] */
	uint16_t free[DISK_SLOTS_MAX];   /* [Q] a stack */
	struct disk_slot slots[DISK_SLOTS_MAX];
	struct list waiting; /* [Q] requests that are not wholly in commands */
};

/* Stopped. */
void disk_queue_init(struct disk_queue *queue, const struct disk_queue_config *config);

/* Checks the request against its device, and takes it. `target` is for the driver. */
void disk_queue_submit(struct disk_queue *queue, const struct block_device *device, struct block_request *request,
		       uint8_t target);

static inline struct disk_progress *disk_progress(struct block_request *request)
{
	return (struct disk_progress *)request->driver;
}

/* What disk_queue_submit was told. */
static inline uint8_t disk_target(struct block_request *request)
{
	return disk_progress(request)->target;
}

/* Where on the disk the next command of the request begins. [Q] */
static inline uint64_t disk_position(struct block_request *request)
{
	return request->offset_bytes + disk_progress(request)->issued_bytes;
}

/* What is left of the current segment; 0 bytes: the request has no more. */
struct phys_range disk_peek(struct block_request *request);
/* Takes `bytes` of it, at most what disk_peek said. */
void disk_advance(struct block_request *request, uint32_t bytes);

/*
 * Takes the lock, to look for completions. False: the queue is not live, and what the device says
 * does not count.
 */
bool disk_queue_enter(struct disk_queue *queue);
bool disk_queue_is_live_locked(const struct disk_queue *queue);
void disk_queue_leave(struct disk_queue *queue);

/*
 * The request of the command that the device has in that slot. NULL: no such slot, or no command.
 */
struct block_request *disk_queue_request_locked(const struct disk_queue *queue, unsigned slot);

/*
 * The device makes no sense: it gets no more commands, and none completes, until disk_queue_start.
 */
void disk_queue_distrust_locked(struct disk_queue *queue);

/*
 * The device is done with the command, which frees the slot; a request that is complete goes to
 * `done`.
 */
void disk_queue_complete_locked(struct disk_queue *queue, unsigned slot, status_t status, struct list *done);

/* Gives commands to the device while there are slots and requests. */
void disk_queue_pump_locked(struct disk_queue *queue);

/* Runs `done` of the requests. Without locks. */
void disk_requests_finish(struct list *done);

/* Requests wait from now on; commands stay where they are. */
void disk_queue_stop(struct disk_queue *queue);

/*
 * The device has forgotten all commands: their requests wait again, as if nothing had happened, or,
 * after too many retries, go to `done` with STATUS_TIMEOUT. The queue is stopped, and its ring
 * empty.
 */
void disk_queue_recall(struct disk_queue *queue, struct list *done);

/* Goes on. */
void disk_queue_start(struct disk_queue *queue);

/* The same when the device is gone: all requests, now and later, end with STATUS_GONE. */
void disk_queue_fail(struct disk_queue *queue, struct list *done);

/*
 * For block_device.panic_transfer: the request, a command at a time in slot 0, of a queue that
 * nothing else uses any more, and whose device was started anew. `poll` takes a completion:
 * STATUS_BUSY: there is none yet. Without the lock.
 */
status_t disk_queue_panic_transfer(struct disk_queue *queue, const struct block_device *device, struct block_request *request,
				   uint8_t target, status_t (*poll)(struct disk_queue *queue)) MUST_CHECK;

/* A slot whose command is late; slot_count: none. */
unsigned disk_queue_late_locked(const struct disk_queue *queue, uint64_t now_ns);
bool disk_queue_is_late(struct disk_queue *queue);

/*
 * Chooses a late command, which the caller then asks the device to give up; the command gets a part
 * of its time again. *again: it was chosen before, and has not ended. False: none is late, or the
 * queue is not live.
 */
bool disk_queue_choose_late(struct disk_queue *queue, unsigned *slot, bool *again);

/*
 * Commands that failed, noted with the lock held and logged without: the first of those that were
 * completed together.
 */
struct disk_failures {
	unsigned count;
	const char *disk;
	enum block_operation operation;
	uint64_t offset_bytes;
	unsigned code; /* what the device said */
};

void disk_failure_note(struct disk_failures *failures, const char *disk, const struct block_request *request, unsigned code);

/*
 * Logs a failure of the device. `errors` counts all of its failures; after the first few no more
 * are logged.
 */
void disk_failures_log(const struct disk_failures *failures, _Atomic unsigned *errors);
