#include "partition.h"

#include "runtime/base/bits.h"
#include "runtime/base/crc32.h"
#include "runtime/base/log.h"
#include "runtime/base/string.h"

#define GPT_SIGNATURE       0x5452415020494645ull /* "EFI PART" */
#define GPT_PRIMARY_SECTOR  1
#define GPT_HEADER_BYTES    92
#define GPT_ENTRY_BYTES_MIN 128
#define GPT_ENTRY_BYTES_MAX 4096
#define GPT_TABLE_BYTES_MAX (64 * KIB)
#define MBR_SIGNATURE       0xaa55
#define MBR_ENTRIES         4
#define MBR_TYPE_PROTECTIVE 0xee
#define MBR_SECTOR_BYTES    512

struct gpt_header {
	uint64_t signature;
	uint32_t revision;
	uint32_t header_bytes;
	uint32_t header_crc;
	uint32_t reserved;
	uint64_t this_sector;
	uint64_t other_sector;
	uint64_t first_usable;
	uint64_t last_usable;
	uint8_t disk_guid[16];
	uint64_t entries_sector;
	uint32_t entry_count;
	uint32_t entry_bytes;
	uint32_t entries_crc;
} __attribute__((packed));

_Static_assert(sizeof(struct gpt_header) == GPT_HEADER_BYTES, "GPT header, table 5.5");

struct gpt_entry {
	uint8_t type_guid[16];
	uint8_t guid[16];
	uint64_t first_sector;
	uint64_t last_sector;
	uint64_t attributes;
} __attribute__((packed));

struct mbr_entry {
	uint8_t status;
	uint8_t first_chs[3];
	uint8_t type;
	uint8_t last_chs[3];
	uint32_t first_sector;
	uint32_t sectors;
} __attribute__((packed));

struct mbr {
	uint8_t code[446];
	struct mbr_entry entries[MBR_ENTRIES];
	uint16_t signature;
} __attribute__((packed));

_Static_assert(sizeof(struct mbr) == MBR_SECTOR_BYTES, "MBR, table 5.1");

/* One reading of a table. */
struct reader {
	struct block_device *device;
	void *buffer; /* GPT_TABLE_BYTES_MAX, aligned to a page */
	struct partition *partitions;
	uint32_t count;
};

static uint64_t sectors_of(const struct block_device *device)
{
	return device->size_bytes / device->sector_bytes;
}

/* In requests that the device takes: a table of the usual size is already more than some allow in one. */
static status_t read_sectors(struct reader *reader, uint64_t sector, uint64_t bytes)
{
	struct block_device *device = reader->device;
	const struct phys_addr start = platform_phys(reader->buffer);
	const uint64_t most = align_down(device->transfer_bytes_max, device->sector_bytes);
	const uint64_t whole = align_up(bytes, device->sector_bytes);
	status_t status = STATUS_OK;

	if (sector >= sectors_of(device) || whole > (sectors_of(device) - sector) * device->sector_bytes)
		return STATUS_RANGE;
	for (uint64_t done = 0; done < whole && status == STATUS_OK;) {
		const struct phys_range segment = { { start.value + done }, MIN(whole - done, most) };

		status = block_device_transfer(device, BLOCK_READ, sector * device->sector_bytes + done, &segment, 1);
		done += segment.bytes;
	}
	return status;
}

static void add(struct reader *reader, uint32_t number, uint64_t first_sector, uint64_t sectors)
{
	const uint64_t sector_bytes = reader->device->sector_bytes;

	reader->partitions[reader->count++] = (struct partition){
		.number = number,
		.start_bytes = first_sector * sector_bytes,
		.bytes = sectors * sector_bytes,
	};
}

/* Removes all partitions that share sectors with another one: nobody can say which one is right. */
static void refuse_overlaps(struct reader *reader)
{
	bool refused[PARTITIONS_MAX] = { false };
	uint32_t kept = 0;

	for (uint32_t i = 0; i < reader->count; i++) {
		for (uint32_t j = 0; j < i; j++) {
			const struct partition *a = &reader->partitions[i], *b = &reader->partitions[j];

			if (a->start_bytes < b->start_bytes + b->bytes && b->start_bytes < a->start_bytes + a->bytes)
				refused[i] = refused[j] = true;
		}
	}
	for (uint32_t i = 0; i < reader->count; i++) {
		if (refused[i])
			log_warn("%s: partition %u overlaps another one and is not used", reader->device->name,
				 reader->partitions[i].number);
		else
			reader->partitions[kept++] = reader->partitions[i];
	}
	reader->count = kept;
}

/* GPT ---------------------------------------------------------------------------------------------------------------------- */

/* What is usable leaves out both headers, the MBR, and the entries of this copy: no partition can overwrite them (5.3.2). */
static bool usable_range_is_sane(const struct gpt_header *header, uint64_t table_bytes, const struct block_device *device)
{
	const uint64_t table_end = header->entries_sector + divide_round_up(table_bytes, device->sector_bytes);

	return header->first_usable > GPT_PRIMARY_SECTOR && header->first_usable <= header->last_usable &&
	       header->last_usable < sectors_of(device) - 1 &&
	       (table_end <= header->first_usable || header->entries_sector > header->last_usable);
}

static bool header_is_sane(const struct reader *reader, struct gpt_header *header, uint64_t sector)
{
	const uint64_t sectors = sectors_of(reader->device);
	const uint32_t crc = header->header_crc;
	uint64_t table_bytes;

	if (header->signature != GPT_SIGNATURE || header->header_bytes < GPT_HEADER_BYTES ||
	    header->header_bytes > reader->device->sector_bytes)
		return false;
	/* The CRC is that of the header with a CRC of zero; what lies behind our struct belongs to it. */
	((struct gpt_header *)reader->buffer)->header_crc = 0;
	if (crc32_update(0, reader->buffer, header->header_bytes) != crc || header->this_sector != sector)
		return false;
	if (header->entry_bytes < GPT_ENTRY_BYTES_MIN || header->entry_bytes > GPT_ENTRY_BYTES_MAX ||
	    !is_power_of_two(header->entry_bytes) || header->entry_count == 0)
		return false;
	table_bytes = (uint64_t)header->entry_count * header->entry_bytes;
	return table_bytes <= GPT_TABLE_BYTES_MAX && header->entries_sector < sectors &&
	       usable_range_is_sane(header, table_bytes, reader->device);
}

static void add_entry(struct reader *reader, const struct gpt_header *header, uint32_t number, const struct gpt_entry *entry)
{
	static const uint8_t unused[16];

	if (memcmp(entry->type_guid, unused, sizeof(unused)) == 0)
		return;
	if (entry->first_sector < header->first_usable || entry->last_sector > header->last_usable ||
	    entry->first_sector > entry->last_sector) {
		log_warn("%s: partition %u lies outside of the disk's usable range and is not used", reader->device->name,
			 number);
		return;
	}
	if (reader->count == PARTITIONS_MAX) {
		log_warn("%s: partition %u is beyond the %u that are supported and is not used", reader->device->name, number,
			 PARTITIONS_MAX);
		return;
	}
	add(reader, number, entry->first_sector, entry->last_sector - entry->first_sector + 1);
}

static status_t read_gpt(struct reader *reader, uint64_t sector)
{
	struct gpt_header header;
	status_t status;

	status = read_sectors(reader, sector, reader->device->sector_bytes);
	if (status != STATUS_OK)
		return status;
	memcpy(&header, reader->buffer, sizeof(header));
	if (header.signature != GPT_SIGNATURE)
		return STATUS_NOT_FOUND;
	if (!header_is_sane(reader, &header, sector))
		return STATUS_CORRUPT;
	status = read_sectors(reader, header.entries_sector, (uint64_t)header.entry_count * header.entry_bytes);
	if (status != STATUS_OK)
		return status == STATUS_RANGE ? STATUS_CORRUPT : status;
	if (crc32_update(0, reader->buffer, (size_t)header.entry_count * header.entry_bytes) != header.entries_crc)
		return STATUS_CORRUPT;
	for (uint32_t i = 0; i < header.entry_count; i++)
		add_entry(reader, &header, i + 1,
			  (const void *)((const char *)reader->buffer + (size_t)i * header.entry_bytes));
	return STATUS_OK;
}

static status_t read_either_gpt(struct reader *reader)
{
	const uint64_t sectors = sectors_of(reader->device);
	status_t primary, backup;

	if (sectors < 3)
		return STATUS_NOT_FOUND;
	primary = read_gpt(reader, GPT_PRIMARY_SECTOR);
	if (primary == STATUS_OK)
		return STATUS_OK;
	backup = read_gpt(reader, sectors - 1);
	if (backup == STATUS_OK)
		log_warn("%s: the partition table at the start is damaged (%s); its copy at the end is used",
			 reader->device->name, status_text(primary));
	return backup == STATUS_NOT_FOUND ? primary : backup;
}

/* MBR ---------------------------------------------------------------------------------------------------------------------- */

/* Unused entries do not count. */
static bool entry_is_used(const struct mbr_entry *entry)
{
	return entry->type != 0 && entry->sectors != 0;
}

static status_t read_mbr(struct reader *reader, struct mbr *mbr)
{
	const status_t status = read_sectors(reader, 0, MBR_SECTOR_BYTES);

	if (status != STATUS_OK)
		return status;
	memcpy(mbr, reader->buffer, sizeof(*mbr));
	return mbr->signature == MBR_SIGNATURE ? STATUS_OK : STATUS_NOT_FOUND;
}

static bool mbr_is_protective(const struct mbr *mbr)
{
	for (uint32_t i = 0; i < MBR_ENTRIES; i++)
		if (mbr->entries[i].type == MBR_TYPE_PROTECTIVE)
			return true;
	return false;
}

/* Boot code of file systems ends with the same signature; what is no table shows in these fields. */
static bool entry_is_sane(const struct mbr_entry *entry, uint64_t sectors)
{
	return (entry->status & 0x7f) == 0 && entry->first_sector > 0 &&
	       (uint64_t)entry->first_sector + entry->sectors <= sectors;
}

/* One bad entry, or two that overlap, make all of the table invalid (5.2.1). */
static status_t use_mbr(struct reader *reader, const struct mbr *mbr)
{
	const uint64_t sectors = sectors_of(reader->device);
	uint32_t used;

	for (uint32_t i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_entry *entry = &mbr->entries[i];

		if (!entry_is_used(entry))
			continue;
		if (!entry_is_sane(entry, sectors))
			return STATUS_NOT_FOUND;
		add(reader, i + 1, entry->first_sector, entry->sectors);
	}
	used = reader->count;
	refuse_overlaps(reader);
	return used > 0 && reader->count == used ? STATUS_OK : STATUS_NOT_FOUND;
}

/*
 * A disk has a GPT if its MBR says so (5.2.3). Without, what looks like one is a left-over: the tools that wrote the MBR, or a
 * file system on the whole disk, need not have known of the copy at the end. With, there is, or was, a GPT, and no other table.
 */
static status_t read_tables(struct reader *reader)
{
	struct mbr mbr;
	status_t status = read_mbr(reader, &mbr);

	if (status != STATUS_OK)
		return status;
	if (!mbr_is_protective(&mbr))
		return use_mbr(reader, &mbr);
	status = read_either_gpt(reader);
	if (status == STATUS_OK)
		refuse_overlaps(reader);
	return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
}

status_t partitions_read(struct block_device *device, struct heap *heap, struct partition *partitions, uint32_t *count)
{
	struct reader reader = { .device = device, .partitions = partitions };
	status_t status;

	reader.buffer = heap_alloc(heap, GPT_TABLE_BYTES_MAX, PAGE_BYTES);
	if (!reader.buffer)
		return STATUS_NO_MEMORY;
	status = read_tables(&reader);
	if (status == STATUS_CORRUPT)
		log_warn("%s: the partition table is damaged, and so is its copy; only the whole disk can be used",
			 device->name);
	if (status == STATUS_OK)
		*count = reader.count;
	heap_free(heap, reader.buffer);
	return status;
}
