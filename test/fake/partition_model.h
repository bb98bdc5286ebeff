// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which partitions a disk with an MBR has, in the obvious way: each claim to sectors is painted
 * onto the disk, and a partition whose sectors have no other claim is one. It reads the bytes of
 * the disk, and shares no code with what it judges.
 */
#pragma once

#include "block/partition.h"

struct partition_model {
	uint32_t count;
	struct partition partitions[PARTITIONS_MAX];
};

/*
 * For a disk that has at most 65536 sectors and a first sector that ends with the signature, and
 * protects no GPT. No partitions: partitions_read says STATUS_NOT_FOUND.
 */
void partition_model_read(struct partition_model *model, const unsigned char *disk, uint64_t sectors, uint32_t sector_bytes);

/* Whether the first sector has an entry that protects a GPT. */
bool partition_model_protects(const unsigned char *disk);

/* Whether the first sector begins a FAT file system. */
bool partition_model_is_fat(const unsigned char *disk);
