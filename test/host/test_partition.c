// SPDX-License-Identifier: BSD-2-Clause
/* Partition tables: good ones, damaged ones, and arbitrary damage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake/fake_block.h"
#include "fake/partition_model.h"
#include "host_test.h"
#include "block/partition.h"
#include "platform_host.h"
#include "runtime/base/crc32.h"
#include "runtime/base/random.h"

#define SECTOR_BYTES 512
#define SECTORS      4096
#define ENTRIES      128
#define ENTRY_BYTES  128
#define TABLE_BYTES  (ENTRIES * ENTRY_BYTES)
#define FIRST_USABLE 34
#define LAST_USABLE  (SECTORS - 34)

static struct host_arena *arena;
static struct fake_block disk;
static struct partition partitions[PARTITIONS_MAX];
static uint32_t count;

/* A heap of one buffer, which lies in the arena as a device's memory does. */
static void *buffer_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	(void)heap, (void)alignment;
	ck_assert_uint_le(bytes, 4 * MIB);
	return platform_virt(host_arena_range(arena).start);
}

static void buffer_free(struct heap *heap, void *memory)
{
	(void)heap, (void)memory;
}

static struct heap heap = { "buffer", buffer_alloc, buffer_free };

static void put(uint64_t offset, uint64_t value, size_t bytes)
{
	memcpy(disk.data + offset, &value, bytes);
}

static void entry_put(uint64_t table_sector, uint32_t index, uint64_t first, uint64_t last)
{
	const uint64_t offset = table_sector * SECTOR_BYTES + index * ENTRY_BYTES;

	put(offset, 0x1234, 8);
	put(offset + 32, first, 8);
	put(offset + 40, last, 8);
}

static void header_seal(uint64_t sector)
{
	const uint64_t offset = sector * SECTOR_BYTES;

	put(offset + 16, 0, 4);
	put(offset + 16, crc32_update(0, disk.data + offset, 92), 4);
}

static void header_put(uint64_t sector, uint64_t other, uint64_t table_sector)
{
	const uint64_t offset = sector * SECTOR_BYTES;

	memcpy(disk.data + offset, "EFI PART", 8);
	put(offset + 8, 0x10000, 4);
	put(offset + 12, 92, 4);
	put(offset + 24, sector, 8);
	put(offset + 32, other, 8);
	put(offset + 40, FIRST_USABLE, 8);
	put(offset + 48, LAST_USABLE, 8);
	put(offset + 72, table_sector, 8);
	put(offset + 80, ENTRIES, 4);
	put(offset + 84, ENTRY_BYTES, 4);
	put(offset + 88, crc32_update(0, disk.data + table_sector * SECTOR_BYTES, TABLE_BYTES), 4);
	header_seal(sector);
}

static void mbr_put(unsigned index, uint8_t type, uint32_t first, uint32_t sectors)
{
	put(446 + index * 16 + 4, type, 1);
	put(446 + index * 16 + 8, first, 4);
	put(446 + index * 16 + 12, sectors, 4);
	put(510, 0xaa55, 2);
}

static void disk_init(void)
{
	arena = host_arena_create(4 * GIB, 4 * MIB);
	fake_block_init(&disk, SECTORS * SECTOR_BYTES, false);
}

static void disk_fini(void)
{
	fake_block_fini(&disk);
	host_arena_destroy(arena);
}

/* Partitions 1 (sectors 64 to 127) and 3 (128 to 1023), in both copies. */
static void gpt_init(void)
{
	disk_init();
	mbr_put(0, 0xee, 1, SECTORS - 1);
	for (unsigned copy = 0; copy < 2; copy++) {
		const uint64_t table = copy == 0 ? 2 : SECTORS - 33;

		entry_put(table, 0, 64, 127);
		entry_put(table, 2, 128, 1023);
	}
	header_put(1, SECTORS - 1, 2);
	header_put(SECTORS - 1, 1, SECTORS - 33);
}

static void tables_seal(void)
{
	header_put(1, SECTORS - 1, 2);
	header_put(SECTORS - 1, 1, SECTORS - 33);
}

static status_t read_table(void)
{
	count = UINT32_MAX;
	return partitions_read(&disk.device, &heap, partitions, &count);
}

static void expect_both(void)
{
	ck_assert_int_eq(read_table(), STATUS_OK);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(partitions[0].number, 1);
	ck_assert_uint_eq(partitions[0].start_bytes, 64 * SECTOR_BYTES);
	ck_assert_uint_eq(partitions[0].bytes, 64 * SECTOR_BYTES);
	ck_assert_uint_eq(partitions[1].number, 3);
	ck_assert_uint_eq(partitions[1].bytes, 896 * SECTOR_BYTES);
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
	disk.data[SECTOR_BYTES + 20] ^= 1;
	expect_both();
	memset(disk.data + SECTOR_BYTES, 0, 33 * SECTOR_BYTES);
	expect_both();
	disk_fini();

	gpt_init();
	disk.data[2 * SECTOR_BYTES] ^= 1;
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(two_damaged_copies_are_refused)
{
	gpt_init();
	disk.data[2 * SECTOR_BYTES] ^= 1;
	disk.data[(SECTORS - 1) * SECTOR_BYTES + 60] ^= 1;
	ck_assert_int_eq(read_table(), STATUS_CORRUPT);
	/* The protective MBR says that there was one. */
	memset(disk.data + SECTOR_BYTES, 0, 8);
	memset(disk.data + (SECTORS - 1) * SECTOR_BYTES, 0, 8);
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

			put(sector * SECTOR_BYTES + insane[i].offset, insane[i].value, insane[i].bytes);
			header_seal(sector);
		}
		ck_assert_int_eq(read_table(), STATUS_CORRUPT);
		disk_fini();
	}
}
END_TEST

START_TEST(an_mbr_is_read)
{
	disk_init();
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
	put(446 + 16, 0x7f, 1); /* no status that a table has: this is boot code */
	mbr_put(1, 0x83, 2000, 64);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	disk_fini();
}
END_TEST

/* What was found, as text: "1:64+64 5:264+500". */
static void expect(const char *text)
{
	char found[2048] = "";
	size_t length = 0;

	if (read_table() == STATUS_OK)
		for (uint32_t i = 0; i < count; i++)
			length += (size_t)snprintf(found + length, sizeof(found) - length, "%s%u:%u+%u", i == 0 ? "" : " ",
						   partitions[i].number, (unsigned)(partitions[i].start_bytes / SECTOR_BYTES),
						   (unsigned)(partitions[i].bytes / SECTOR_BYTES));
	ck_assert_str_eq(found, text);
}

/* A record of the container that begins at 200: its logical partition, and the next record's sector of the disk; 0: none. */
static void ebr_put(uint32_t sector, uint32_t first, uint32_t sectors, uint32_t next)
{
	const uint64_t entries = sector * SECTOR_BYTES + 446;

	put(entries + 4, 0x83, 1);
	put(entries + 8, first, 4);
	put(entries + 12, sectors, 4);
	put(entries + 16 + 4, next == 0 ? 0 : 0x05, 1);
	put(entries + 16 + 8, next == 0 ? 0 : next - 200, 4);
	put(entries + 16 + 12, next == 0 ? 0 : 1, 4);
	put(sector * SECTOR_BYTES + 510, 0xaa55, 2);
}

/* The container is [200, 3200), with 5 at [264, 764), 6 at [801, 901), 7 at [1002, 1052). */
static void extended_init(void)
{
	disk_init();
	mbr_put(0, 0x83, 64, 100);
	mbr_put(1, 0x0f, 200, 3000);
	ebr_put(200, 64, 500, 800);
	ebr_put(800, 1, 100, 1000);
	ebr_put(1000, 2, 50, 0);
}

START_TEST(logical_partitions_are_found_and_the_container_is_not_offered)
{
	extended_init();
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x05, 200, 3000);
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x85, 200, 3000);
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x0f, 200, 10 * SECTORS); /* cut off, behind all that is in it */
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	mbr_put(1, 0x0f, 200, 3000);
	mbr_put(2, 0x83, 3500, 10);
	ebr_put(800, 1, 0, 1000); /* a record without a partition has no number */
	expect("1:64+100 3:3500+10 5:264+500 6:1002+50");
	mbr_put(2, 0x83, 3100, 200); /* shares sectors with the container */
	expect("1:64+100");
	disk_fini();
}
END_TEST

START_TEST(a_chain_that_lies_costs_what_it_lies_about)
{
	extended_init();
	ebr_put(1000, 2, 50, 800); /* a circle */
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 200);
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 3200); /* out of the container */
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 100);
	expect("1:64+100 5:264+500 6:801+100 7:1002+50");
	ebr_put(1000, 2, 50, 0);
	ebr_put(200, 64, 537, 800); /* over the record behind it */
	expect("1:64+100 6:801+100 7:1002+50");
	ebr_put(200, 64, 638, 800); /* and into the next partition */
	expect("1:64+100 7:1002+50");
	ebr_put(200, 64, 2937, 800); /* out of the container: no claim */
	expect("1:64+100 6:801+100 7:1002+50");
	ebr_put(200, 0, 10, 800); /* over its own record */
	expect("1:64+100 6:801+100 7:1002+50");
	put(800 * SECTOR_BYTES + 510, 0, 2); /* the end is not to be had */
	ebr_put(200, 64, 500, 800);
	expect("1:64+100 5:264+500");
	ebr_put(800, 1, 100, 1000);
	disk.fail_reads = true;
	disk.fail_start = 1000 * SECTOR_BYTES;
	disk.fail_end = 1001 * SECTOR_BYTES;
	expect("1:64+100 5:264+500 6:801+100");
	disk_fini();
}
END_TEST

START_TEST(a_long_chain_ends_where_there_is_no_place)
{
	disk_init();
	mbr_put(0, 0x0f, 200, 3000);
	for (uint32_t i = 0; i < 200; i++)
		ebr_put(200 + i * 10, 1, 9, i < 199 ? 210 + i * 10 : 1700); /* the circle lies behind the limit */
	ck_assert_int_eq(read_table(), STATUS_OK);
	ck_assert_uint_eq(count, (PARTITIONS_MAX - 1) / 2);
	ck_assert_uint_eq(partitions[count - 1].number, 4 + count);
	disk_fini();
}
END_TEST

/* The boot sector of a FAT file system on the whole disk, with text where a table would be. */
static void fat_init(void)
{
	disk_init();
	put(0, 0x903ceb, 3);
	put(11, SECTOR_BYTES, 2);
	put(13, 8, 1);
	put(14, 1, 2);
	put(16, 2, 1);
	put(21, 0xf8, 1);
	put(510, 0xaa55, 2);
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
	expect("1:128+896 2:64+64");
	disk_fini();

	disk_init(); /* not FAT's, but the end of its code has the type */
	put(510, 0xaa55, 2);
	put(446 + 4, 0xee, 1);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	disk_fini();
}
END_TEST

START_TEST(only_sector_1_and_type_ee_protect_a_gpt)
{
	gpt_init();
	expect_both();
	put(446, 0x80, 1); /* active, as some firmware wants it */
	expect_both();
	mbr_put(0, 0xee, 1, UINT32_MAX);
	expect_both();
	for (uint32_t first = 0; first < 4; first++) {
		mbr_put(0, 0xee, first, SECTORS - 4);
		ck_assert_int_eq(read_table(), first == 1 ? STATUS_OK : STATUS_NOT_FOUND);
	}
	mbr_put(0, 0xef, 1, SECTORS - 1);
	expect("1:1+4095");
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

		arena = host_arena_create(4 * GIB, 4 * MIB);
		fake_block_init(&disk, sectors * SECTOR_BYTES, false);
		mbr_put(0, 0xee, 1, UINT32_MAX);
		entry_put(2, entries - 1, 2 + table_sectors, sectors - 2);
		memcpy(disk.data + SECTOR_BYTES, "EFI PART", 8);
		put(SECTOR_BYTES + 12, 92, 4);
		put(SECTOR_BYTES + 24, 1, 8);
		put(SECTOR_BYTES + 40, 2 + table_sectors, 8);
		put(SECTOR_BYTES + 48, sectors - 2, 8);
		put(SECTOR_BYTES + 72, 2, 8);
		put(SECTOR_BYTES + 80, entries, 4);
		put(SECTOR_BYTES + 84, ENTRY_BYTES, 4);
		put(SECTOR_BYTES + 88, crc32_update(0, disk.data + 2 * SECTOR_BYTES, (size_t)entries * ENTRY_BYTES), 4);
		header_seal(1);
		ck_assert_int_eq(read_table(), entries <= 32768 ? STATUS_OK : STATUS_CORRUPT);
		if (entries <= 32768) {
			ck_assert_uint_eq(count, 1);
			ck_assert_uint_eq(partitions[0].number, entries);
			ck_assert_uint_eq(partitions[0].bytes, (sectors - 3 - table_sectors) * SECTOR_BYTES);
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

	disk_init();
	mbr_put(0, 0xee, 1, SECTORS - 1);
	for (uint32_t i = 0; i < PARTITIONS_MAX + 256; i++)
		entry_put(2, i, 1000 + i, 1000 + i);
	entry_put(2, PARTITIONS_MAX + 256, 1000, 1001);
	header_put(1, SECTORS - 1, 2);
	put(SECTOR_BYTES + 40, 1000, 8);
	put(SECTOR_BYTES + 80, 1024, 4);
	put(SECTOR_BYTES + 88, crc32_update(0, disk.data + 2 * SECTOR_BYTES, (size_t)1024 * ENTRY_BYTES), 4);
	header_seal(1);
	host_output_capture(log, sizeof(log));
	ck_assert_int_eq(read_table(), STATUS_OK);
	host_output_capture(NULL, 0);
	ck_assert_uint_eq(count, PARTITIONS_MAX - 2);
	ck_assert_uint_eq(partitions[0].number, 3);
	for (const char *c = log; *c != 0; c++)
		lines += *c == '\n';
	ck_assert_uint_eq(lines, 64);
	ck_assert_ptr_nonnull(strstr(log, "partition 257 is not used: it is beyond"));
	disk_fini();
}
END_TEST

static void random_entry(struct random *random, uint64_t sector, uint64_t i, uint64_t first_max, uint64_t sectors_max)
{
	static const uint8_t types[] = { 0x83, 0x83, 0x0c, 0x07, 0x83, 0x0c, 0x83, 0x05, 0x85, 0x00, 0xee };
	const uint64_t entry = sector * SECTOR_BYTES + 446 + i * 16;

	put(entry, random_below(random, 50) == 0 ? 0x7f : random_below(random, 2) * 0x80, 1);
	put(entry + 4, types[random_below(random, sizeof(types))], 1);
	put(entry + 8, random_below(random, first_max), 4);
	put(entry + 12, random_below(random, 40) == 0 ? UINT32_MAX : random_below(random, sectors_max), 4);
}

/* Of a chain: mostly a small partition behind it, and a link to one of the records, or to none. */
static void random_record(struct random *random, uint64_t sector)
{
	memset(disk.data + sector * SECTOR_BYTES, 0, SECTOR_BYTES);
	random_entry(random, sector, 0, random_below(random, 8) == 0 ? SECTORS : 8, 8);
	random_entry(random, sector, 1, SECTORS / 2, 8);
	put(sector * SECTOR_BYTES + 446 + 16 + 4, random_below(random, 8) == 0 ? 0 : 0x05, 1);
	for (uint64_t i = 2; i < 4 && random_below(random, 8) == 0; i++)
		random_entry(random, sector, i, SECTORS, 8);
	put(sector * SECTOR_BYTES + 510, random_below(random, 16) == 0 ? 0 : 0xaa55, 2);
}

static void random_mbr(struct random *random)
{
	memset(disk.data, 0, SECTOR_BYTES);
	for (uint64_t i = 0; i < 4 && (i == 0 || random_below(random, 2) == 0); i++)
		random_entry(random, 0, i, i == 0 ? 64 : SECTORS, i == 0 ? SECTORS : 8);
	if (random_below(random, 4) != 0)
		put(446 + 4, 0x0f, 1);
	put(510, 0xaa55, 2);
}

/* Every sector is a record of a chain. */
START_TEST(any_mbr_is_read_as_the_model_reads_it)
{
	struct random random;
	uint32_t logical = 0;

	random_seed(&random, 23);
	host_log_level(LOG_ERROR);
	disk_init();
	for (uint64_t sector = 1; sector < SECTORS; sector++)
		random_record(&random, sector);
	for (unsigned round = 0; round < 4000; round++) {
		static struct partition_model model;

		for (unsigned i = 0; i < 64; i++)
			random_record(&random, 1 + random_below(&random, SECTORS - 1));
		random_mbr(&random);
		if (partition_model_protects(disk.data))
			continue;
		partition_model_read(&model, disk.data, SECTORS, SECTOR_BYTES);
		ck_assert_int_eq(read_table(), model.count > 0 ? STATUS_OK : STATUS_NOT_FOUND);
		ck_assert_uint_eq(model.count > 0 ? count : 0, model.count);
		for (uint32_t i = 0; i < model.count; i++) {
			ck_assert_uint_eq(partitions[i].number, model.partitions[i].number);
			ck_assert_uint_eq(partitions[i].start_bytes, model.partitions[i].start_bytes);
			ck_assert_uint_eq(partitions[i].bytes, model.partitions[i].bytes);
			logical += partitions[i].number > 4;
		}
	}
	ck_assert_uint_gt(logical, 2000);
	disk_fini();
}
END_TEST

/* Left-overs of a GPT: the disk has become one with an MBR, with a file system on all of it, or with nothing. */
START_TEST(a_gpt_counts_only_behind_a_protective_mbr)
{
	gpt_init();
	mbr_put(0, 0x83, 2048, 1024);
	ck_assert_int_eq(read_table(), STATUS_OK);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(partitions[0].start_bytes, 2048 * SECTOR_BYTES);
	mbr_put(0, 0x83, 0x20746f6e, 0x20736920); /* text of a boot sector */
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	memset(disk.data, 0, SECTOR_BYTES);
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
	disk.device.transfer_bytes_max = PAGE_BYTES;
	expect_both();
	disk_fini();
}
END_TEST

START_TEST(what_cannot_be_read_is_an_error)
{
	gpt_init();
	disk.fail_reads = true;
	disk.fail_end = UINT64_MAX;
	ck_assert_int_eq(read_table(), STATUS_IO_ERROR);
	disk_fini();
}
END_TEST

/* With or without a valid seal, whatever is accepted lies on the disk and does not overlap. */
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
		uint8_t *byte = disk.data + (header == 1 ? SECTOR_BYTES + offset : (SECTORS - 33) * SECTOR_BYTES + offset);
		const uint8_t before = *byte;

		*byte = (uint8_t)random_next(&random);
		if (random_below(&random, 2) == 0)
			header_seal(header);
		if (read_table() == STATUS_OK) {
			for (uint32_t i = 0; i < count; i++) {
				ck_assert_uint_gt(partitions[i].bytes, 0);
				ck_assert_uint_le(partitions[i].start_bytes, SECTORS * SECTOR_BYTES);
				ck_assert_uint_le(partitions[i].bytes, SECTORS * SECTOR_BYTES - partitions[i].start_bytes);
			}
		}
		*byte = before;
		tables_seal();
	}
	disk_fini();
}
END_TEST

HOST_TEST_MAIN("partition", a_gpt_is_read, the_backup_stands_in, two_damaged_copies_are_refused, bad_entries_are_left_out,
	       insane_headers_are_refused, an_mbr_is_read, logical_partitions_are_found_and_the_container_is_not_offered,
	       a_chain_that_lies_costs_what_it_lies_about, a_long_chain_ends_where_there_is_no_place,
	       a_file_system_on_the_whole_disk_is_no_table, only_sector_1_and_type_ee_protect_a_gpt, large_tables_are_read,
	       entries_beyond_the_limit_are_compared, any_mbr_is_read_as_the_model_reads_it,
	       a_gpt_counts_only_behind_a_protective_mbr, a_device_may_take_little_at_once, what_cannot_be_read_is_an_error,
	       arbitrary_damage_is_survived)
