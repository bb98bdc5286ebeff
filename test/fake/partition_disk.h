// SPDX-License-Identifier: BSD-2-Clause
/*
 * A small disk whose partition tables a test writes field by field, good or damaged, and what
 * partitions_read finds on it.
 */
#pragma once

#include "block/partition.h"
#include "fake/fake_block.h"
#include "host/host_test.h"

#define SECTOR_BYTES 512
#define SECTORS      4096
#define ENTRIES      128
#define ENTRY_BYTES  128
#define TABLE_BYTES  (ENTRIES * ENTRY_BYTES)
#define FIRST_USABLE 34
#define LAST_USABLE  (SECTORS - 34)

extern struct fake_block table_disk;
extern struct partition found_partitions[PARTITIONS_MAX];
extern uint32_t found_count;

/* Writes the lowest `bytes` of a value, which is little endian. */
void disk_put(uint64_t offset, uint64_t value, size_t bytes);

/* An entry of the GPT whose table begins at that sector. */
void entry_put(uint64_t table_sector, uint32_t index, uint64_t first, uint64_t last);

/* Makes the CRC of the header in that sector right. */
void header_seal(uint64_t sector);

/* A sealed header of a GPT: its sector, the other copy's, and its table's. */
void header_put(uint64_t sector, uint64_t other, uint64_t table_sector);

/* An entry of the MBR, 0 to 3. */
void mbr_put(unsigned index, uint8_t type, uint32_t first, uint32_t sectors);

/* An empty disk of so many sectors. */
void disk_init(uint64_t sectors);

/* Frees what disk_init made. */
void disk_fini(void);

/* Partitions 1 (sectors 64 to 127) and 3 (128 to 1023), in both copies. */
void gpt_init(void);

/* As partitions_read, into found_partitions and found_count. */
status_t read_table(void);

/* Finds what gpt_init wrote. */
void expect_both(void);

/* What was found, as text: "1:64+64 5:264+500". */
void expect_partitions(const char *text);
