// SPDX-License-Identifier: BSD-2-Clause
/* Partition tables: good ones, damaged ones, and arbitrary damage. */
#include <string.h>

#include "block/partition.h"
#include "fake/partition_disk.h"
#include "host/host_test.h"
#include "host/platform_host.h"
#include "runtime/base/crc32.h"
#include "runtime/base/random.h"

static void tables_seal(void)
{
	header_put(1, SECTORS - 1, 2);
	header_put(SECTORS - 1, 1, SECTORS - 33);
}

START_TEST(a_gpt_is_read)
{
	gpt_init();
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(the_backup_stands_in)
{
	gpt_init();
	table_disk.data[SECTOR_BYTES + 20] ^= 1;
	expect_both();
	memset(table_disk.data + SECTOR_BYTES, 0, 33 * SECTOR_BYTES);
	expect_both();
	disk_fini();

	gpt_init();
	table_disk.data[2 * SECTOR_BYTES] ^= 1;
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(two_damaged_copies_are_refused)
{
	gpt_init();
	table_disk.data[2 * SECTOR_BYTES] ^= 1;
	table_disk.data[(SECTORS - 1) * SECTOR_BYTES + 60] ^= 1;
	ck_assert_int_eq(read_table(), STATUS_CORRUPT);
	/* The protective MBR says that there was one. */
	memset(table_disk.data + SECTOR_BYTES, 0, 8);
	memset(table_disk.data + (SECTORS - 1) * SECTOR_BYTES, 0, 8);
	ck_assert_int_eq(read_table(), STATUS_CORRUPT);
	disk_fini();
}
END_TEST

START_TEST(bad_entries_are_left_out)
{
	gpt_init();
	for (unsigned copy = 0; copy < 2; copy++) {
		const uint64_t table = copy == 0 ? 2 : SECTORS - 33;

		entry_put(table, 4, 10, 20);                /* before the usable range */
		entry_put(table, 5, 3000, LAST_USABLE + 1); /* beyond it */
		entry_put(table, 6, 2000, 1999);            /* ends before it starts */
		entry_put(table, 7, 2000, 2100);            /* overlap */
		entry_put(table, 8, 2100, 2200);
	}
	tables_seal();
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(insane_headers_are_refused)
{
	static const struct {
		unsigned offset;
		uint64_t value;
		size_t bytes;
	} insane[] = {
		{ 12, 91, 4 },
		{ 12, 513, 4 },
		{ 24, 2, 8 },
		{ 48, SECTORS, 8 },
		{ 72, SECTORS, 8 },
		{ 72, UINT64_MAX, 8 },
		{ 80, 0, 4 },
		{ 80, UINT32_MAX, 4 },
		{ 84, 0, 4 },
		{ 84, 96, 4 },
		{ 84, 0x80000000ull, 4 },
		{ 72, SECTORS - 2, 8 },
		{ 40, SECTORS - 3, 8 },
		{ 40, 0, 8 },
		{ 40, 1, 8 },
		{ 48, SECTORS - 1, 8 },
		{ 72, 100, 8 },
		{ 72, FIRST_USABLE, 8 },
		{ 72, FIRST_USABLE - 31, 8 },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(insane); i++) {
		gpt_init();
		for (unsigned copy = 0; copy < 2; copy++) {
			const uint64_t sector = copy == 0 ? 1 : SECTORS - 1;

			disk_put(sector * SECTOR_BYTES + insane[i].offset, insane[i].value, insane[i].bytes);
			header_seal(sector);
		}
		ck_assert_int_eq(read_table(), STATUS_CORRUPT);
		disk_fini();
	}
}
END_TEST

START_TEST(only_sector_1_and_type_ee_protect_a_gpt)
{
	gpt_init();
	expect_both();
	disk_put(446, 0x80, 1); /* active, as some firmware wants it */
	expect_both();
	mbr_put(0, 0xee, 1, UINT32_MAX);
	expect_both();
	for (uint32_t first = 0; first < 4; first++) {
		mbr_put(0, 0xee, first, SECTORS - 4);
		ck_assert_int_eq(read_table(), first == 1 ? STATUS_OK : STATUS_NOT_FOUND);
	}
	mbr_put(0, 0xef, 1, SECTORS - 1);
	expect_partitions("1:1+4095");
	disk_fini();
}
END_TEST

/* Copies of a table of so many entries, the last of which is a partition. */
START_TEST(large_tables_are_read)
{
	static const uint32_t numbers[] = { 1, 128, 129, 513, 1024, 4096, 32768, 32769 };

	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		const uint32_t entries = numbers[i], table_sectors = (entries + 3) / 4;
		const uint64_t sectors = 20000;

		disk_init(sectors);
		mbr_put(0, 0xee, 1, UINT32_MAX);
		entry_put(2, entries - 1, 2 + table_sectors, sectors - 2);
		memcpy(table_disk.data + SECTOR_BYTES, "EFI PART", 8);
		disk_put(SECTOR_BYTES + 12, 92, 4);
		disk_put(SECTOR_BYTES + 24, 1, 8);
		disk_put(SECTOR_BYTES + 40, 2 + table_sectors, 8);
		disk_put(SECTOR_BYTES + 48, sectors - 2, 8);
		disk_put(SECTOR_BYTES + 72, 2, 8);
		disk_put(SECTOR_BYTES + 80, entries, 4);
		disk_put(SECTOR_BYTES + 84, ENTRY_BYTES, 4);
		disk_put(SECTOR_BYTES + 88, crc32_update(0, table_disk.data + 2 * SECTOR_BYTES, (size_t)entries * ENTRY_BYTES),
			 4);
		header_seal(1);
		ck_assert_int_eq(read_table(), entries <= 32768 ? STATUS_OK : STATUS_CORRUPT);
		if (entries <= 32768) {
			ck_assert_uint_eq(found_count, 1);
			ck_assert_uint_eq(found_partitions[0].number, entries);
			ck_assert_uint_eq(found_partitions[0].bytes, (sectors - 3 - table_sectors) * SECTOR_BYTES);
		}
		disk_fini();
	}
}
END_TEST

/* Entries beyond those that have a place take part in the comparison, and do not fill the log. */
START_TEST(entries_beyond_the_limit_are_compared)
{
	static char log[65536];
	size_t lines = 0;

	disk_init(SECTORS);
	mbr_put(0, 0xee, 1, SECTORS - 1);
	for (uint32_t i = 0; i < PARTITIONS_MAX + 256; i++)
		entry_put(2, i, 1000 + i, 1000 + i);
	entry_put(2, PARTITIONS_MAX + 256, 1000, 1001);
	header_put(1, SECTORS - 1, 2);
	disk_put(SECTOR_BYTES + 40, 1000, 8);
	disk_put(SECTOR_BYTES + 80, 1024, 4);
	disk_put(SECTOR_BYTES + 88, crc32_update(0, table_disk.data + 2 * SECTOR_BYTES, (size_t)1024 * ENTRY_BYTES), 4);
	header_seal(1);
	host_output_capture(log, sizeof(log));
	ck_assert_int_eq(read_table(), STATUS_OK);
	host_output_capture(NULL, 0);
	ck_assert_uint_eq(found_count, PARTITIONS_MAX - 2);
	ck_assert_uint_eq(found_partitions[0].number, 3);
	for (const char *c = log; *c != 0; c++)
		lines += *c == '\n';
	ck_assert_uint_eq(lines, 64);
	ck_assert_ptr_nonnull(strstr(log, "partition 257 is not used: it is beyond"));
	disk_fini();
}
END_TEST

/*
 * Left-overs of a GPT: the disk has become one with an MBR, with a file system on all of it, or
 * with nothing.
 */
START_TEST(a_gpt_counts_only_behind_a_protective_mbr)
{
	gpt_init();
	mbr_put(0, 0x83, 2048, 1024);
	ck_assert_int_eq(read_table(), STATUS_OK);
	ck_assert_uint_eq(found_count, 1);
	ck_assert_uint_eq(found_partitions[0].start_bytes, 2048 * SECTOR_BYTES);
	mbr_put(0, 0x83, 0x20746f6e, 0x20736920); /* text of a boot sector */
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	memset(table_disk.data, 0, SECTOR_BYTES);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(3, 0xee, 1, SECTORS - 1);
	mbr_put(0, 0x83, 64, 64); /* for those who know only MBRs */
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(a_device_may_take_little_at_once)
{
	gpt_init();
	table_disk.device.transfer_bytes_max = PAGE_BYTES;
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(what_cannot_be_read_is_an_error)
{
	gpt_init();
	table_disk.fail_reads = true;
	table_disk.fail_end = UINT64_MAX;
	ck_assert_int_eq(read_table(), STATUS_IO_ERROR);
	disk_fini();
}
END_TEST

/*
 * With or without a valid seal, each partition that is accepted lies on the disk and overlaps no
 * other one.
 */
START_TEST(arbitrary_damage_is_survived)
{
	struct random random;

	random_seed(&random, 11);
	host_log_level(LOG_ERROR);
	gpt_init();
	for (unsigned round = 0; round < 20000; round++) {
		const unsigned header = random_below(&random, 2) ? 1 : SECTORS - 1;
		const uint64_t offset = random_below(&random, 3) == 0 ? random_below(&random, 92)
								      : SECTOR_BYTES + random_below(&random, TABLE_BYTES);
		uint8_t *byte =
			table_disk.data + (header == 1 ? SECTOR_BYTES + offset : (SECTORS - 33) * SECTOR_BYTES + offset);
		const uint8_t before = *byte;

		*byte = (uint8_t)random_next(&random);
		if (random_below(&random, 2) == 0)
			header_seal(header);
		if (read_table() == STATUS_OK) {
			for (uint32_t i = 0; i < found_count; i++) {
				ck_assert_uint_gt(found_partitions[i].bytes, 0);
				ck_assert_uint_le(found_partitions[i].start_bytes, SECTORS * SECTOR_BYTES);
				ck_assert_uint_le(found_partitions[i].bytes,
						  SECTORS * SECTOR_BYTES - found_partitions[i].start_bytes);
			}
		}
		*byte = before;
		tables_seal();
	}
	disk_fini();
}
END_TEST

HOST_TEST_MAIN("partition", a_gpt_is_read, the_backup_stands_in, two_damaged_copies_are_refused, bad_entries_are_left_out,
	       insane_headers_are_refused, only_sector_1_and_type_ee_protect_a_gpt, large_tables_are_read,
	       entries_beyond_the_limit_are_compared, a_gpt_counts_only_behind_a_protective_mbr,
	       a_device_may_take_little_at_once, what_cannot_be_read_is_an_error, arbitrary_damage_is_survived)
