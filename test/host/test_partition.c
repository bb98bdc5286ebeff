/* Partition tables: good ones, damaged ones, and arbitrary damage. */
#include <stdlib.h>
#include <string.h>

#include "fake/fake_block.h"
#include "host_test.h"
#include "pagecache/partition.h"
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
	mbr_put(1, 0x83, 100, SECTORS);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
	mbr_put(1, 0x83, 100, 100);
	ck_assert_int_eq(read_table(), STATUS_NOT_FOUND);
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
	       insane_headers_are_refused, an_mbr_is_read, a_gpt_counts_only_behind_a_protective_mbr,
	       a_device_may_take_little_at_once, what_cannot_be_read_is_an_error, arbitrary_damage_is_survived)
