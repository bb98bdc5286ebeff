// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk as the partition fuzzer describes it: few numbers from which an image with right CRCs is
 * made, so that the fuzzer gets behind the checks of signature and CRC; and what is broken in it.
 */
#pragma once

#include "input.h"
#include "block/partition.h"

#define DISK_ENTRIES_MAX 24
#define DISK_POKES_MAX   6
#define DISK_LINKS_MAX   160 /* more than a reader follows */

enum disk_mbr {
	DISK_MBR_PROTECTIVE,
	DISK_MBR_HYBRID, /* protective, with the first entries, too */
	DISK_MBR_LEGACY,
	DISK_MBR_NONE,
	DISK_MBR_KINDS,
};

enum disk_seal {
	DISK_SEAL_BOTH,   /* the CRCs are made right after the pokes */
	DISK_SEAL_HEADER, /* only that of the header */
	DISK_SEAL_NEITHER,
};

struct disk_entry {
	uint32_t index; /* in the GPT; in the MBR they go one after the other */
	uint8_t type;   /* in the MBR */
	uint64_t first;
	uint64_t last;
};

/* A boot record in the first extended partition. */
struct disk_link {
	uint32_t sector; /* of the disk */
	uint32_t first;  /* of the logical partition, from `sector` on */
	uint32_t sectors;
	uint32_t next; /* record, from the extended partition's first sector on; 0: this is the last one */
	bool damaged;
};

/* Bytes that are overwritten. */
struct disk_poke {
	bool header; /* of the header, else of the entries */
	uint32_t offset;
	uint32_t bytes;
	uint64_t value;
};

/* A copy of the GPT. */
struct disk_copy {
	bool missing;
	enum disk_seal seal;
	uint32_t poke_count;
	struct disk_poke pokes[DISK_POKES_MAX];
};

struct disk_image {
	uint32_t sector_bytes;
	uint32_t sectors;
	uint32_t transfer_bytes; /* that the device takes at once */
	enum disk_mbr mbr;
	bool pokes_mbr;
	struct disk_poke mbr_poke;
	bool fat; /* the first sector has what is FAT's there */
	uint32_t link_count;
	struct disk_link links[DISK_LINKS_MAX];
	uint32_t entry_bytes;
	uint32_t table_entries;
	uint32_t entry_count;
	struct disk_entry entries[DISK_ENTRIES_MAX];
	struct disk_copy copies[2]; /* primary, backup */
	uint32_t bad_first;         /* sectors that cannot be read */
	uint32_t bad_sectors;
};

void disk_image_decode(struct disk_image *image, struct input *input);

/* Into `sectors` * `sector_bytes` of zeros. */
void disk_image_write(const struct disk_image *image, unsigned char *disk);

/*
 * Whether one good copy of a GPT lies behind an MBR that says so: then the disk must be read as it
 * is described.
 */
bool disk_image_is_good(const struct disk_image *image);

/* What is to be found on a good one; at most DISK_ENTRIES_MAX. */
uint32_t disk_image_partitions(const struct disk_image *image, struct partition *partitions);
