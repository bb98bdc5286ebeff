// SPDX-License-Identifier: BSD-2-Clause
/*
 * The interface of a block device: where drivers and page cache meet.
 *
 * 1. A request is owned by its submitter until submit, by the device until `done`, and by the
 *    submitter again from then on. It needs no allocation: the driver's part lies in `driver`, and
 *    what else it needs comes from its own reserve. submit never fails for want of memory or of a
 *    queue entry; requests beyond the queue's depth wait inside of the driver, in order.
 * 2. submit may be called in any task context, also with preemption off, and does not sleep. It may
 *    complete the request at once.
 * 3. `done` runs exactly once, in a task with preemption on or off, never in an interrupt handler;
 *    it must not sleep.
 * 4. offset and length are multiples of `sector_bytes`, within `size_bytes`; segments are multiples
 *    of `segment_alignment` bytes in address and length, at most `segments_max` of them and
 *    `transfer_bytes_max` in all. A request that breaks this rule completes with STATUS_INVALID or
 *    STATUS_RANGE.
 * 5. A write that completed lies in the device, perhaps in its volatile cache; a flush that
 *    completed makes all writes durable that completed before it was submitted. A device without
 *    such a cache completes a flush at once.
 * 6. After the device is gone every request completes with STATUS_GONE; `gone` tells before one is
 *    made.
 * 7. A volume keeps its device from attach to detach (block_device_get); meanwhile the driver
 *    cannot be removed.
 * 8. After a panic only panic_transfer is called: it takes the device over, which ends all that was
 *    under way, and carries a request out by polling. Nothing sleeps, no lock is taken that another
 *    CPU may hold, nothing is allocated.
 */
#pragma once

#include "device.h"
#include "list.h"
#include "spinlock.h"
#include "status.h"
#include "types.h"

enum block_operation {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,
};

struct block_request {
	enum block_operation operation;
	uint64_t offset_bytes;
	const struct phys_range *segments; /* alive until done; NULL for a flush */
	uint32_t segment_count;
	status_t status; /* valid in done */
	void (*done)(struct block_request *request);

	struct list link;   /* the device's while it has the request, the submitter's otherwise */
	uint64_t driver[2]; /* the device's */
};

#define BLOCK_SERIAL_BYTES 24

struct block_device {
	const char *name;                /* "nvme0n1" */
	char serial[BLOCK_SERIAL_BYTES]; /* what the disk says of itself; "": nothing */
	uint64_t size_bytes;
	uint32_t sector_bytes; /* 512 to 4096, power of two */
	uint32_t segment_alignment;
	uint32_t segments_max;
	uint64_t transfer_bytes_max;
	bool read_only;
	bool write_cache;       /* flush does something */
	_Atomic bool gone;      /* set by the driver, for good: requests complete with STATUS_GONE */
	_Atomic uint32_t users; /* that keep it; BLOCK_DEVICE_RETIRED: its driver is being removed */
	/*
	 * Times that the volatile cache may have been lost: a flush failed (its submitter
	 * counts), or the device was reset (its driver counts, when no request is under way at
	 * the device, and before any of those ends).
	 */
	_Atomic uint64_t cache_losses;
	/*
	 * A flush is under way, from its submit until its submitter has counted a loss or none. A
	 * second flush that began meanwhile could end well after the first one lost what both
	 * should have flushed.
	 */
	_Atomic bool flushing;
	/*
	 * Whose limits memory for requests has to keep; NULL: the device reaches all memory, in any
	 * pieces.
	 */
	const struct device *device;

	void (*submit)(struct block_device *device, struct block_request *request);
	/*
	 * Rule 8; a write or a flush. All other CPUs have been stopped. Returns how it ended; NULL:
	 * the device has none.
	 */
	status_t (*panic_transfer)(struct block_device *device, struct block_request *request);
	struct list link; /* in the list of all devices */
};

/*
 * Takes over a serial number of `length` bytes, without the blanks around it. Before the device is
 * registered.
 */
void block_device_set_serial(struct block_device *device, const void *text, size_t length);

/* Checks rule 4. STATUS_OK, STATUS_INVALID, STATUS_RANGE, or STATUS_READ_ONLY. */
status_t block_request_check(const struct block_device *device, const struct block_request *request) MUST_CHECK;

/* Sum of the segments. */
uint64_t block_request_bytes(const struct block_request *request);

/* Submits and waits. Only where platform_may_sleep(). */
status_t block_device_transfer(struct block_device *device, enum block_operation operation, uint64_t offset_bytes,
			       const struct phys_range *segments, uint32_t segment_count) MUST_CHECK;

/*
 * Keeps the device until block_device_put. STATUS_GONE: its driver is being removed. Any context.
 */
status_t block_device_get(struct block_device *device) MUST_CHECK;
void block_device_put(struct block_device *device);

#define BLOCK_DEVICE_RETIRED UINT32_MAX

/*
 * All block devices of a machine, in order of registration; names are unique. Tasks may look while
 * drivers register.
 */
struct block_device_table {
	struct spinlock lock;
	struct list devices; /* [lock] */
};

void block_device_table_init(struct block_device_table *table);
void block_device_register(struct block_device_table *table, struct block_device *device);
void block_device_unregister(struct block_device_table *table, struct block_device *device);
struct block_device *block_device_find(struct block_device_table *table, const char *name);
struct block_device *block_device_next(struct block_device_table *table, struct block_device *device); /* NULL: the first */

/*
 * Before the driver of `device` is removed: from here on block_device_get of its block devices
 * fails. STATUS_BUSY: one of them is kept, and all stay as they were; a block_device_get of another
 * one may have failed meanwhile.
 */
status_t block_devices_retire(struct block_device_table *table, const struct device *device) MUST_CHECK;
