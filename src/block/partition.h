// SPDX-License-Identifier: BSD-2-Clause
/*
 * Partition tables: GPT, and an MBR with its logical partitions. The table is read past the cache.
 *
 * The MBR decides. An MBR with an entry of type 0xEE that begins at sector 1 protects a GPT; any
 * other MBR is the table itself; without an MBR there is no table. A boot sector belongs to a file
 * system on the whole disk if its status bytes are not those of a table, or if it is FAT's and has
 * an entry which does not lie on the disk.
 *
 * A GPT counts if its signature, its own CRC and that of its entries are right, its sizes are sane,
 * and its entries take 4 MB at most; the backup in the last sector stands in for a damaged primary.
 * The results have the logical partitions of an extended partition, from number 5 on, instead of
 * the extended partition. A chain of logical partitions that leads outside, in a circle or to a
 * damaged sector counts up to there.
 *
 * An entry that cannot be used is left out, with a line in the log: an entry outside of the usable
 * range, the extended partition or the disk, and all entries that share sectors with another one or
 * with a part of the table. UEFI specification 2.10, chapter 5.
 */
#pragma once

#include "runtime/base/block_device.h"
#include "runtime/base/heap.h"

/* Each logical partition takes two places. */
#define PARTITIONS_MAX 256

#define PARTITION_GUID_BYTES  16
#define PARTITION_LABEL_UNITS 36

struct partition {
	uint32_t number; /* from 1, as in the table */
	uint64_t start_bytes;
	uint64_t bytes;
	uint8_t guid[PARTITION_GUID_BYTES];    /* of a GPT, as it stands there; else zeros */
	uint16_t label[PARTITION_LABEL_UNITS]; /* the same; UTF-16, up to the first zero, if there is one */
};

/*
 * Reads the table of `device` into `partitions`, which has room for PARTITIONS_MAX, sorted by
 * number. `heap` gives a buffer of as many bytes as the table has. STATUS_NOT_FOUND: there is no
 * table, or not one partition of an MBR can be used; STATUS_CORRUPT: there is a GPT, and neither
 * copy can be trusted; STATUS_NO_MEMORY; the device's status. Where platform_may_sleep().
 */
status_t partitions_read(struct block_device *device, struct heap *heap, struct partition *partitions,
			 uint32_t *count) MUST_CHECK;
