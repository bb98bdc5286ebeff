// SPDX-License-Identifier: BSD-2-Clause
/*
 * The log on a disk: what the console shows, kept in a ring on a volume, and found again after the
 * next start. The format is that of runtime/base/log_area.h.
 *
 * 1. The area is the first LOG_DISK_BYTES_MAX of the volume, or all of a smaller one. It is refused
 *    unless it is a log already, or all zero. What else uses the volume would write over it, and be
 *    written over: the caller keeps it from that.
 * 2. A task writes what is new once a second, in blocks of 4 KB, and flushes. What it cannot write
 *    ends the log of this run, with a message; the machine goes on.
 * 3. The last LOG_PANIC_BLOCKS of the area are set aside for a panic, which writes the end of the
 *    history there, its own report included, and nowhere else. It takes the device over
 *    (block_device.h, panic_transfer), with memory that was set aside at the start.
 *
 * Lock [LD]: a mutex, held while the task writes.
 */
#pragma once

#include "runtime/base/log_area.h"

struct block_device;
struct heap;

#define LOG_DISK_BYTES_MAX (1 * MIB)
#define LOG_DISK_BYTES_MIN (64 * KIB)
#define LOG_PANIC_BLOCKS   8

struct log_disk_config {
	const char *name; /* of the volume; all of this lives on */
	struct block_device *device;
	uint64_t start_bytes; /* the volume's place on the device */
	uint64_t bytes;
	status_t (*flush)(struct block_device *device); /* in turn with others that flush this device, volumes on it say */
	struct heap *heap;
};

/*
 * Begins to keep the log, and keeps the device for good. Then `log last` has something to show.
 * Once, in a task that may sleep. STATUS_BUSY: something else lies there. STATUS_RANGE: the volume
 * is too small. STATUS_UNSUPPORTED: the device cannot reach our memory. Each is logged.
 */
status_t log_disk_start(const struct log_disk_config *config) MUST_CHECK;

/*
 * Writes what is new and flushes, for power-off; without a log, nothing. Where
 * platform_may_sleep().
 */
void log_disk_finish(void);
