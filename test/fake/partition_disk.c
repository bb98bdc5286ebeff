// SPDX-License-Identifier: BSD-2-Clause
/* A disk in memory, and a heap of one buffer to read its tables into. */
#include "partition_disk.h"

#include <stdio.h>
#include <string.h>

#include "host/platform_host.h"
#include "runtime/base/crc32.h"

static struct host_arena *arena;
struct fake_block table_disk;
struct partition found_partitions[PARTITIONS_MAX];
uint32_t found_count;

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

void disk_put(uint64_t offset, uint64_t value, size_t bytes)
{
	memcpy(table_disk.data + offset, &value, bytes);
}

void entry_put(uint64_t table_sector, uint32_t index, uint64_t first, uint64_t last)
{
	const uint64_t offset = table_sector * SECTOR_BYTES + index * ENTRY_BYTES;

	disk_put(offset, 0x1234, 8);
	disk_put(offset + 32, first, 8);
	disk_put(offset + 40, last, 8);
}

void header_seal(uint64_t sector)
{
	const uint64_t offset = sector * SECTOR_BYTES;

	disk_put(offset + 16, 0, 4);
	disk_put(offset + 16, crc32_update(0, table_disk.data + offset, 92), 4);
}

void header_put(uint64_t sector, uint64_t other, uint64_t table_sector)
{
	const uint64_t offset = sector * SECTOR_BYTES;

	memcpy(table_disk.data + offset, "EFI PART", 8);
	disk_put(offset + 8, 0x10000, 4);
	disk_put(offset + 12, 92, 4);
	disk_put(offset + 24, sector, 8);
	disk_put(offset + 32, other, 8);
	disk_put(offset + 40, FIRST_USABLE, 8);
	disk_put(offset + 48, LAST_USABLE, 8);
	disk_put(offset + 72, table_sector, 8);
	disk_put(offset + 80, ENTRIES, 4);
	disk_put(offset + 84, ENTRY_BYTES, 4);
	disk_put(offset + 88, crc32_update(0, table_disk.data + table_sector * SECTOR_BYTES, TABLE_BYTES), 4);
	header_seal(sector);
}

void mbr_put(unsigned index, uint8_t type, uint32_t first, uint32_t sectors)
{
	disk_put(446 + index * 16 + 4, type, 1);
	disk_put(446 + index * 16 + 8, first, 4);
	disk_put(446 + index * 16 + 12, sectors, 4);
	disk_put(510, 0xaa55, 2);
}

void disk_init(uint64_t sectors)
{
	arena = host_arena_create(4 * GIB, 4 * MIB);
	fake_block_init(&table_disk, sectors * SECTOR_BYTES, false);
}

void disk_fini(void)
{
	fake_block_fini(&table_disk);
	host_arena_destroy(arena);
}

void gpt_init(void)
{
	disk_init(SECTORS);
	mbr_put(0, 0xee, 1, SECTORS - 1);
	for (unsigned copy = 0; copy < 2; copy++) {
		const uint64_t table = copy == 0 ? 2 : SECTORS - 33;

		entry_put(table, 0, 64, 127);
		entry_put(table, 2, 128, 1023);
	}
	header_put(1, SECTORS - 1, 2);
	header_put(SECTORS - 1, 1, SECTORS - 33);
}

status_t read_table(void)
{
	found_count = UINT32_MAX;
	return partitions_read(&table_disk.device, &heap, found_partitions, &found_count);
}

void expect_both(void)
{
	ck_assert_int_eq(read_table(), STATUS_OK);
	ck_assert_uint_eq(found_count, 2);
	ck_assert_uint_eq(found_partitions[0].number, 1);
	ck_assert_uint_eq(found_partitions[0].start_bytes, 64 * SECTOR_BYTES);
	ck_assert_uint_eq(found_partitions[0].bytes, 64 * SECTOR_BYTES);
	ck_assert_uint_eq(found_partitions[1].number, 3);
	ck_assert_uint_eq(found_partitions[1].bytes, 896 * SECTOR_BYTES);
}

void expect_partitions(const char *text)
{
	char found[2048] = "";
	size_t length = 0;

	if (read_table() == STATUS_OK)
		for (uint32_t i = 0; i < found_count; i++)
			length += (size_t)snprintf(found + length, sizeof(found) - length, "%s%u:%u+%u", i == 0 ? "" : " ",
						   found_partitions[i].number,
						   (unsigned)(found_partitions[i].start_bytes / SECTOR_BYTES),
						   (unsigned)(found_partitions[i].bytes / SECTOR_BYTES));
	ck_assert_str_eq(found, text);
}
