// SPDX-License-Identifier: BSD-2-Clause
/*
 * Partition tables. The input describes a disk: its size and sectors, an MBR, entries, and what is
 * wrong with each copy of the GPT, before or after the CRCs have been made right; or a chain of
 * logical partitions. All zeros are a good disk with an empty table. A GPT of which nothing is
 * wrong must be read as it was described, and any MBR as the model reads it; what is accepted of
 * any other must be a sane set of partitions.
 */
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "disk_image.h"
#include "fake/fake_block.h"
#include "fake/partition_model.h"
#include "host/platform_host.h"
#include "block/partition.h"
#include "runtime/base/bits.h"
#include "runtime/base/crc32.h"

#define ARENA_BYTES     (8 * MIB)
#define TABLE_BYTES_MAX (4 * MIB) /* of a GPT */

static struct host_arena *arena;
static void (*submit)(struct block_device *device, struct block_request *request);
static uint32_t requests;
static uint32_t requests_max;
static uint32_t buffers;

/* The only memory that may be touched is what was asked for. */
static void *buffer_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	char *memory = platform_virt(host_arena_range(arena).start);

	(void)heap, (void)alignment;
	assert(bytes <= TABLE_BYTES_MAX && buffers == 0);
	buffers++;
	ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
	memset(memory, 0xa5, bytes);
	return memory;
}

static void buffer_free(struct heap *heap, void *memory)
{
	(void)heap;
	assert(memory == platform_virt(host_arena_range(arena).start));
	buffers--;
	ASAN_POISON_MEMORY_REGION(memory, ARENA_BYTES);
}

static struct heap heap = { "buffer", buffer_alloc, buffer_free };

/* No request is one that the device would refuse, none writes, and there are not many. */
static void submit_checked(struct block_device *device, struct block_request *request)
{
	assert(request->operation == BLOCK_READ);
	assert(block_request_check(device, request) == STATUS_OK);
	requests++;
	assert(requests <= requests_max);
	submit(device, request);
}

/*
 * The MBR and both headers; and each copy of the table once, of which a good one is as large as it
 * is described, and another one may say that it takes the whole disk; or one record for each place
 * in the result.
 */
static uint32_t requests_bound(const struct disk_image *image)
{
	const uint64_t disk_bytes = (uint64_t)image->sectors * image->sector_bytes;
	const uint64_t described = (uint64_t)image->table_entries * image->entry_bytes;
	const uint64_t bytes = disk_image_is_good(image) ? described : MIN(disk_bytes, TABLE_BYTES_MAX);

	return (uint32_t)(3 + MAX(2 * divide_round_up(bytes, (uint64_t)image->transfer_bytes), (uint64_t)PARTITIONS_MAX));
}

static void disk_init(struct fake_block *disk, const struct disk_image *image)
{
	fake_block_init(disk, (uint64_t)image->sectors * image->sector_bytes, false);
	disk->device.sector_bytes = image->sector_bytes;
	disk->device.transfer_bytes_max = image->transfer_bytes;
	disk->fail_reads = image->bad_sectors > 0;
	disk->fail_start = (uint64_t)image->bad_first * image->sector_bytes;
	disk->fail_end = disk->fail_start + (uint64_t)image->bad_sectors * image->sector_bytes;
	submit = disk->device.submit;
	disk->device.submit = submit_checked;
	disk_image_write(image, disk->data);
}

static bool overlap(const struct partition *a, const struct partition *b)
{
	return a->start_bytes < b->start_bytes + b->bytes && b->start_bytes < a->start_bytes + a->bytes;
}

static void check_sane(const struct block_device *device, const struct partition *partitions, uint32_t count)
{
	assert(count <= PARTITIONS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		const struct partition *partition = &partitions[i];

		assert(partition->number > (i == 0 ? 0 : partitions[i - 1].number));
		assert(partition->bytes > 0 && partition->start_bytes >= device->sector_bytes);
		assert(partition->start_bytes % device->sector_bytes == 0 && partition->bytes % device->sector_bytes == 0);
		assert(partition->start_bytes < device->size_bytes);
		assert(partition->bytes <= device->size_bytes - partition->start_bytes);
		for (uint32_t j = 0; j < i; j++)
			assert(!overlap(partition, &partitions[j]));
	}
}

/* The entries that the image describes, as partitions_read should find them. */
static void check_same(const struct disk_image *image, const struct partition *partitions, uint32_t count)
{
	struct partition expected[DISK_ENTRIES_MAX];

	assert(count == disk_image_partitions(image, expected));
	for (uint32_t i = 0; i < count; i++) {
		assert(partitions[i].number == expected[i].number);
		assert(partitions[i].start_bytes == expected[i].start_bytes);
		assert(partitions[i].bytes == expected[i].bytes);
	}
}

static uint64_t number_at(const unsigned char *memory, uint64_t offset, uint32_t bytes)
{
	uint64_t number = 0;

	memcpy(&number, memory + offset, bytes);
	return number;
}

/* Whether the CRCs of the copy with its header in this sector are right. */
static bool is_sealed(const struct fake_block *disk, uint64_t sector)
{
	const uint64_t sector_bytes = disk->device.sector_bytes;
	const uint64_t sectors = disk->device.size_bytes / sector_bytes;
	unsigned char header[PAGE_BYTES];
	uint64_t bytes, table, table_bytes, crc;

	memcpy(header, disk->data + sector * sector_bytes, sector_bytes);
	bytes = number_at(header, 12, 4);
	crc = number_at(header, 16, 4);
	memset(header + 16, 0, 4);
	table = number_at(header, 72, 8);
	table_bytes = number_at(header, 80, 4) * number_at(header, 84, 4);
	return memcmp(header, "EFI PART", 8) == 0 && bytes <= sector_bytes && crc32_update(0, header, bytes) == crc &&
	       table < sectors && table_bytes <= (sectors - table) * sector_bytes &&
	       crc32_update(0, disk->data + table * sector_bytes, table_bytes) == number_at(header, 88, 4);
}

/* What an MBR says that has been read as a whole. */
static void check_mbr(const struct fake_block *disk, status_t status, const struct partition *partitions, uint32_t count)
{
	static struct partition_model model;

	partition_model_read(&model, disk->data, disk->device.size_bytes / disk->device.sector_bytes,
			     disk->device.sector_bytes);
	assert(status == (model.count > 0 ? STATUS_OK : STATUS_NOT_FOUND));
	assert(status != STATUS_OK || count == model.count);
	for (uint32_t i = 0; i < model.count; i++) {
		assert(partitions[i].number == model.partitions[i].number);
		assert(partitions[i].start_bytes == model.partitions[i].start_bytes);
		assert(partitions[i].bytes == model.partitions[i].bytes);
	}
}

/* What is behind a protective MBR, of which only FAT's may be a file system's on the whole disk. */
static void check_gpt(const struct disk_image *image, const struct fake_block *disk, status_t status,
		      const struct partition *partitions, uint32_t count)
{
	if (status == STATUS_OK)
		assert(is_sealed(disk, 1) || is_sealed(disk, disk->device.size_bytes / disk->device.sector_bytes - 1));
	if (status == STATUS_NOT_FOUND)
		assert(partition_model_is_fat(disk->data));
	if (disk_image_is_good(image)) {
		assert(status == STATUS_OK);
		check_same(image, partitions, count);
	}
}

static void check_result(const struct disk_image *image, const struct fake_block *disk, status_t status,
			 const struct partition *partitions, uint32_t count)
{
	if (number_at(disk->data, 510, 2) != 0xaa55)
		assert(status == STATUS_NOT_FOUND);
	else if (partition_model_protects(disk->data))
		check_gpt(image, disk, status, partitions, count);
	else
		check_mbr(disk, status, partitions, count);
}

static void run(const struct disk_image *image)
{
	struct partition partitions[PARTITIONS_MAX];
	struct fake_block disk;
	uint32_t count = UINT32_MAX;
	status_t status;

	requests = 0;
	requests_max = requests_bound(image);
	disk_init(&disk, image);
	status = partitions_read(&disk.device, &heap, partitions, &count);
	assert(buffers == 0);
	if (status == STATUS_OK)
		check_sane(&disk.device, partitions, count);
	else
		assert(status == STATUS_NOT_FOUND || status == STATUS_CORRUPT ||
		       (status == STATUS_IO_ERROR && disk.fail_reads));
	if (!disk.fail_reads)
		check_result(image, &disk, status, partitions, count);
	fake_block_fini(&disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct disk_image image;

	if (!arena) {
		host_log_level(LOG_ERROR);
		arena = host_arena_create(4 * GIB, ARENA_BYTES);
		ASAN_POISON_MEMORY_REGION(platform_virt(host_arena_range(arena).start), ARENA_BYTES);
	}
	disk_image_decode(&image, &input);
	run(&image);
	return 0;
}
