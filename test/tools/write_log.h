// SPDX-License-Identifier: BSD-2-Clause
/*
 * A log of what was done to a disk, as QEMU's block driver blklogwrites and Linux' dm-log-writes
 * keep it: a sector with the superblock, then for each operation a sector with the entry, and
 * behind it the data of a write. All numbers are little-endian.
 *
 * Operations stand in the order in which they had completed. A write is durable when a flush stands
 * behind it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WRITE_LOG_FLUSH = 1, /* all that stands before it is durable */
	WRITE_LOG_FUA = 2,   /* it is durable itself */
	WRITE_LOG_DISCARD = 4,
	WRITE_LOG_MARK = 8,
};

struct write_log_entry {
	uint64_t offset_bytes;
	uint64_t bytes;      /* 0: a flush alone */
	const uint8_t *data; /* in the log */
	unsigned flags;
};

struct write_log {
	struct write_log_entry *entries;
	size_t count;
	uint32_t sector_bytes;
};

/*
 * Prints what is wrong with the file and returns false. What was read lives as long as the process.
 */
bool write_log_read(struct write_log *log, const char *path);
