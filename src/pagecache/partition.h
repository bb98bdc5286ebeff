/*
 * Partition tables: GPT, and the four primary entries of an MBR. The table is read past the cache.
 *
 * The MBR decides: one with an entry of type 0xEE protects a GPT, one without is the table itself, and without an MBR there is
 * no table. An MBR counts if all its entries lie on the disk and do not overlap. A GPT counts if its signature, its own CRC and
 * that of its entries are right and its sizes are sane; the backup in the last sector stands in for a primary that is damaged.
 * Entries outside of the usable range, and all that overlap another one, are refused with a line in the log; the others are
 * used. UEFI specification 2.10, chapter 5.
 */
#pragma once

#include "runtime/base/block_device.h"
#include "runtime/base/heap.h"

#define PARTITIONS_MAX 128

struct partition {
	uint32_t number; /* from 1, as in the table */
	uint64_t start_bytes;
	uint64_t bytes;
};

/*
 * Reads the table of `device` into `partitions`, which has room for PARTITIONS_MAX, sorted by number. `heap` gives a buffer.
 * STATUS_NOT_FOUND: there is no table; STATUS_CORRUPT: there is one, and neither copy can be believed; STATUS_NO_MEMORY; or
 * what the device says. Where platform_may_sleep().
 */
status_t partitions_read(struct block_device *device, struct heap *heap, struct partition *partitions,
			 uint32_t *count) MUST_CHECK;
