/*
 * Partition tables: GPT, and an MBR with its logical partitions. The table is read past the cache.
 *
 * The MBR decides: one with an entry of type 0xEE that begins at sector 1 protects a GPT, another one is the table itself, and
 * without an MBR there is no table. A boot sector whose status bytes are not those of a table, or that is FAT's and has an
 * entry which does not lie on the disk, belongs to a file system on the whole disk. A GPT counts if its signature, its own CRC
 * and that of its entries are right, its sizes are sane, and its entries take 4 MB at most; the backup in the last sector
 * stands in for a primary that is damaged. An extended partition is not one of the results: the logical partitions in it are,
 * from number 5 on. A chain of them that leads outside, in a circle or to a damaged sector counts up to there.
 *
 * An entry that cannot be used costs that entry, and a line in the log: one outside of the usable range, the extended partition
 * or the disk, and all that share sectors with another one or with a part of the table. UEFI specification 2.10, chapter 5.
 */
#pragma once

#include "runtime/base/block_device.h"
#include "runtime/base/heap.h"

/* Each logical partition takes the place of two. */
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
 * Reads the table of `device` into `partitions`, which has room for PARTITIONS_MAX, sorted by number. `heap` gives a buffer of
 * as many bytes as the table has. STATUS_NOT_FOUND: there is no table, or not one partition of an MBR can be used;
 * STATUS_CORRUPT: there is a GPT, and neither copy can be believed; STATUS_NO_MEMORY; or what the device says. Where
 * platform_may_sleep().
 */
status_t partitions_read(struct block_device *device, struct heap *heap, struct partition *partitions,
			 uint32_t *count) MUST_CHECK;
