// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tables of an MBR: the four entries, chains of logical partitions, file systems on the whole disk,
 * and any bytes, as a model reads them.
 */
#include <string.h>

#include "block/partition.h"
#include "fake/partition_disk.h"
#include "fake/partition_model.h"
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/random.h"

START_TEST(an_mbr_is_read)
{
	disk_init(SECTORS);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(0, 0x83, 64, 64);
	mbr_put(2, 0x0c, 128, 896);
	expect_both();
	mbr_put(1, 0x83, 2000, SECTORS); /* of an image that was cut off */
	expect_both();
	mbr_put(1, 0x83, 0, 64); /* covers the table */
	expect_both();
	mbr_put(1, 0x83, 100, 100); /* shares sectors with both */
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	disk_put(446 + 16, 0x7f, 1); /* no status that a table has: this is boot code */
	mbr_put(1, 0x83, 2000, 64);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	disk_fini();
}
END_TEST

/*
 * A record of the container that begins at 200: its logical partition, and the next record's sector
 * of the disk; 0: none.
 */
static void ebr_put(uint32_t sector, uint32_t first, uint32_t sectors, uint32_t next)
{
	const uint64_t entries = sector * SECTOR_BYTES + 446;

	disk_put(entries + 4, 0x83, 1);
	disk_put(entries + 8, first, 4);
	disk_put(entries + 12, sectors, 4);
	disk_put(entries + 16 + 4, next == 0 ? 0 : 0x05, 1);
	disk_put(entries + 16 + 8, next == 0 ? 0 : next - 200, 4);
	disk_put(entries + 16 + 12, next == 0 ? 0 : 1, 4);
	disk_put(sector * SECTOR_BYTES + 510, 0xaa55, 2);
}

/* The container is [200, 3200), with 5 at [264, 764), 6 at [801, 901), 7 at [1002, 1052). */
static void extended_init(void)
{
	disk_init(SECTORS);
	mbr_put(0, 0x83, 64, 100);
	mbr_put(1, 0x0f, 200, 3000);
	ebr_put(200, 64, 500, 800);
	ebr_put(800, 1, 100, 1000);
	ebr_put(1000, 2, 50, 0);
}

START_TEST(logical_partitions_are_found_and_the_container_is_not_offered)
{
	extended_init();
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x05, 200, 3000);
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x85, 200, 3000);
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x0f, 200, 10 * SECTORS); /* cut off, behind all that is in it */
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x0f, 200, 3000);
	mbr_put(2, 0x83, 3500, 10);
	ebr_put(800, 1, 0, 1000); /* a record without a partition has no number */
	expect_partitions("1:64+100 3:3500+10 5:264+500 6:1002+50");
	mbr_put(2, 0x83, 3100, 200); /* shares sectors with the container */
	expect_partitions("1:64+100");
	disk_fini();
}
END_TEST

START_TEST(a_chain_that_lies_costs_what_it_lies_about)
{
	extended_init();
	ebr_put(1000, 2, 50, 800); /* a circle */
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 200);
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 3200); /* out of the container */
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 100);
	expect_partitions("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 0);
	ebr_put(200, 64, 537, 800); /* over the record behind it */
	expect_partitions("1:64+100 6:801+100 7:1002+50");
	ebr_put(200, 64, 638, 800); /* and into the next partition */
	expect_partitions("1:64+100 7:1002+50");
	ebr_put(200, 64, 2937, 800); /* out of the container: no claim */
	expect_partitions("1:64+100 6:801+100 7:1002+50");
	ebr_put(200, 0, 10, 800); /* over its own record */
	expect_partitions("1:64+100 6:801+100 7:1002+50");
	disk_put(800 * SECTOR_BYTES + 510, 0, 2); /* the end is not to be had */
	ebr_put(200, 64, 500, 800);
	expect_partitions("1:64+100 5:264+500");
	ebr_put(800, 1, 100, 1000);
	table_disk.fail_reads = true;
	table_disk.fail_start = 1000 * SECTOR_BYTES;
	table_disk.fail_end = 1001 * SECTOR_BYTES;
	expect_partitions("1:64+100 5:264+500 6:801+100");
	disk_fini();
}
END_TEST

START_TEST(a_long_chain_ends_where_there_is_no_place)
{
	disk_init(SECTORS);
	mbr_put(0, 0x0f, 200, 3000);
	for (uint32_t i = 0; i < 200; i++)
		ebr_put(200 + i * 10, 1, 9, i < 199 ? 210 + i * 10 : 1700); /* the circle lies behind the limit */
	ck_assert_int_eq(read_table(), STATUS_OK);
	ck_assert_uint_eq(found_count, (PARTITIONS_MAX - 1) / 2);
	ck_assert_uint_eq(found_partitions[found_count - 1].number, 4 + found_count);
	disk_fini();
}
END_TEST

/* The boot sector of a FAT file system on the whole disk, with text where a table would be. */
static void fat_init(void)
{
	disk_init(SECTORS);
	disk_put(0, 0x903ceb, 3);
	disk_put(11, SECTOR_BYTES, 2);
	disk_put(13, 8, 1);
	disk_put(14, 1, 2);
	disk_put(16, 2, 1);
	disk_put(21, 0xf8, 1);
	disk_put(510, 0xaa55, 2);
}

START_TEST(a_file_system_on_the_whole_disk_is_no_table)
{
	fat_init();
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(0, 0xee, 0, 0);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(0, 0xee, 1, SECTORS - 1); /* as if there had been a GPT, of which nothing is left */
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(0, 0x0c, 0, SECTORS); /* what some tools write for those who want a table */
	mbr_put(1, 0x83, 64, 64);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(0, 0x0c, 128, 896); /* a table behind what is left of such a file system */
	expect_partitions("1:128+896 2:64+64");
	disk_fini();

	disk_init(SECTORS); /* not FAT's, but the end of its code has the type */
	disk_put(510, 0xaa55, 2);
	disk_put(446 + 4, 0xee, 1);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	disk_fini();
}
END_TEST

static void random_entry(struct random *random, uint64_t sector, uint64_t i, uint64_t first_max, uint64_t sectors_max)
{
	static const uint8_t types[] = { 0x83, 0x83, 0x0c, 0x07, 0x83, 0x0c, 0x83, 0x05, 0x85, 0x00, 0xee };
	const uint64_t entry = sector * SECTOR_BYTES + 446 + i * 16;

	disk_put(entry, random_below(random, 50) == 0 ? 0x7f : random_below(random, 2) * 0x80, 1);
	disk_put(entry + 4, types[random_below(random, sizeof(types))], 1);
	disk_put(entry + 8, random_below(random, first_max), 4);
	disk_put(entry + 12, random_below(random, 40) == 0 ? UINT32_MAX : random_below(random, sectors_max), 4);
}

/* Of a chain: mostly a small partition behind it, and a link to one of the records, or to none. */
static void random_record(struct random *random, uint64_t sector)
{
	memset(table_disk.data + sector * SECTOR_BYTES, 0, SECTOR_BYTES);
	random_entry(random, sector, 0, random_below(random, 8) == 0 ? SECTORS : 8, 8);
	random_entry(random, sector, 1, SECTORS / 2, 8);
	disk_put(sector * SECTOR_BYTES + 446 + 16 + 4, random_below(random, 8) == 0 ? 0 : 0x05, 1);
	for (uint64_t i = 2; i < 4 && random_below(random, 8) == 0; i++)
		random_entry(random, sector, i, SECTORS, 8);
	disk_put(sector * SECTOR_BYTES + 510, random_below(random, 16) == 0 ? 0 : 0xaa55, 2);
}

static void random_mbr(struct random *random)
{
	memset(table_disk.data, 0, SECTOR_BYTES);
	for (uint64_t i = 0; i < 4 && (i == 0 || random_below(random, 2) == 0); i++)
		random_entry(random, 0, i, i == 0 ? 64 : SECTORS, i == 0 ? SECTORS : 8);
	if (random_below(random, 4) != 0)
		disk_put(446 + 4, 0x0f, 1);
	disk_put(510, 0xaa55, 2);
}

/* Every sector is a record of a chain. */
START_TEST(any_mbr_is_read_as_the_model_reads_it)
{
	struct random random;
	uint32_t logical = 0;

	random_seed(&random, 23);
	host_log_level(LOG_ERROR);
	disk_init(SECTORS);
	for (uint64_t sector = 1; sector < SECTORS; sector++)
		random_record(&random, sector);
	for (unsigned round = 0; round < 4000; round++) {
		static struct partition_model model;

		for (unsigned i = 0; i < 64; i++)
			random_record(&random, 1 + random_below(&random, SECTORS - 1));
		random_mbr(&random);
		if (partition_model_protects(table_disk.data))
			continue;
		partition_model_read(&model, table_disk.data, SECTORS, SECTOR_BYTES);
		ck_assert_int_eq(read_table(), model.count > 0 ? STATUS_OK : STATUS_NOT_FOUND);
		ck_assert_uint_eq(model.count > 0 ? found_count : 0, model.count);
		for (uint32_t i = 0; i < model.count; i++) {
			ck_assert_uint_eq(found_partitions[i].number, model.partitions[i].number);
			ck_assert_uint_eq(found_partitions[i].start_bytes, model.partitions[i].start_bytes);
			ck_assert_uint_eq(found_partitions[i].bytes, model.partitions[i].bytes);
			logical += found_partitions[i].number > 4;
		}
	}
	ck_assert_uint_gt(logical, 2000);
	disk_fini();
}
END_TEST

HOST_TEST_MAIN("partition_mbr", an_mbr_is_read, logical_partitions_are_found_and_the_container_is_not_offered,
	       a_chain_that_lies_costs_what_it_lies_about, a_long_chain_ends_where_there_is_no_place,
	       a_file_system_on_the_whole_disk_is_no_table, any_mbr_is_read_as_the_model_reads_it)
