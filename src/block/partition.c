// SPDX-License-Identifier: BSD-2-Clause
/*
 * The tables of a disk, read and checked. Every entry passes through add(), which checks it against
 * the limits of its table and against all partitions found so far; drop() removes those that
 * overlap. The same list holds the chain of an extended partition while it is followed: each of its
 * boot records (EBR) is an entry of one sector without a number. So a record met twice is a loop,
 * and a logical partition that covers a record overlaps it.
 */
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
#define GPT_TABLE_BYTES_MAX (4 * MIB) /* 32768 entries of the usual size */
#define MBR_SIGNATURE       0xaa55
#define MBR_ENTRIES         4
#define MBR_TYPE_PROTECTIVE 0xee
#define MBR_SECTOR_BYTES    512
#define REFUSALS_LOGGED     64

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
	uint16_t label[PARTITION_LABEL_UNITS];
} __attribute__((packed));

_Static_assert(sizeof(struct gpt_entry) == GPT_ENTRY_BYTES_MIN, "GPT entry, table 5.6");

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
	uint64_t sectors;
	struct heap *heap;
	void *buffer; /* what was read last, aligned to a page */
	struct partition *partitions;
	bool overlaps[PARTITIONS_MAX]; /* this partition, another one */
	uint32_t count;
	uint32_t last_number; /* of the logical partitions */
	uint32_t refused;
};

static void buffer_free(struct reader *reader)
{
	if (reader->buffer)
		heap_free(reader->heap, reader->buffer);
}

/* Reads in several requests: a table of the usual size is more than some devices take in one. */
static status_t read_sectors(struct reader *reader, uint64_t sector, uint64_t bytes)
{
	struct block_device *device = reader->device;
	const uint64_t most = align_down(device->transfer_bytes_max, device->sector_bytes);
	const uint64_t whole = align_up(bytes, device->sector_bytes);
	status_t status;

	if (sector >= reader->sectors || whole > (reader->sectors - sector) * device->sector_bytes)
		return STATUS_RANGE;
	buffer_free(reader);
	reader->buffer = heap_alloc(reader->heap, whole, PAGE_BYTES);
	status = reader->buffer ? STATUS_OK : STATUS_NO_MEMORY;
	for (uint64_t done = 0; done < whole && status == STATUS_OK;) {
		const struct phys_range segment = { { platform_phys(reader->buffer).value + done }, MIN(whole - done, most) };

		status = block_device_transfer(device, BLOCK_READ, sector * device->sector_bytes + done, &segment, 1);
		done += segment.bytes;
	}
	return status;
}

/*
 * Logs a refused entry. A table may have thousands, and each line takes a slow console some
 * milliseconds.
 */
static void refuse(struct reader *reader, uint32_t number, const char *why)
{
	if (reader->refused++ < REFUSALS_LOGGED)
		log_warn("%s: partition %u is not used: it %s%s", reader->device->name, number, why,
			 reader->refused == REFUSALS_LOGGED ? "; more like it follow, without a line each" : "");
}

/* Sectors [first, end). */
struct range {
	uint64_t first;
	uint64_t end;
};

/*
 * Adds a partition, which has to lie within `limits`. Number 0: sectors that no partition may
 * cover. `entry`: of a GPT; or NULL.
 */
static void add(struct reader *reader, uint32_t number, struct range range, struct range limits, const struct gpt_entry *entry)
{
	const uint64_t sector_bytes = reader->device->sector_bytes;
	struct partition partition = {
		.number = number,
		.start_bytes = range.first * sector_bytes,
		.bytes = (range.end - range.first) * sector_bytes,
	};
	bool overlaps = false;

	if (range.first < limits.first || range.end > limits.end || range.first >= range.end) {
		refuse(reader, number, "does not lie within the range that its table describes, or the disk");
		return;
	}
	for (uint32_t i = 0; i < reader->count; i++) {
		const struct partition *other = &reader->partitions[i];

		if (partition.start_bytes < other->start_bytes + other->bytes &&
		    other->start_bytes < partition.start_bytes + partition.bytes)
			reader->overlaps[i] = overlaps = true;
	}
	if (reader->count == PARTITIONS_MAX) {
		refuse(reader, number, "is beyond as many as are supported");
		return;
	}
	if (entry) {
		memcpy(partition.guid, entry->guid, sizeof(partition.guid));
		memcpy(partition.label, entry->label, sizeof(partition.label));
	}
	reader->overlaps[reader->count] = overlaps;
	reader->partitions[reader->count++] = partition;
}

/*
 * Removes entries without a number, and all partitions that share sectors with another one: either
 * table entry may be the wrong one.
 */
static void drop(struct reader *reader)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < reader->count; i++) {
		const struct partition partition = reader->partitions[i];

		if (partition.number != 0 && reader->overlaps[i])
			refuse(reader, partition.number, "overlaps another one, or a part of the table");
		else if (partition.number != 0)
			reader->partitions[kept++] = partition;
	}
	memset(reader->overlaps, 0, sizeof(reader->overlaps));
	reader->count = kept;
}

/* GPT ------------------------------------------------------------------------------------------ */

static uint64_t table_bytes(const struct gpt_header *header)
{
	return (uint64_t)header->entry_count * header->entry_bytes;
}

/* Checks the CRC: of the header with a CRC of zero, and with the bytes behind our struct. */
static bool header_is_sealed(const struct reader *reader, const struct gpt_header *header)
{
	if (header->header_bytes < GPT_HEADER_BYTES || header->header_bytes > reader->device->sector_bytes)
		return false;
	((struct gpt_header *)reader->buffer)->header_crc = 0;
	return crc32_update(0, reader->buffer, header->header_bytes) == header->header_crc;
}

/*
 * Checks the header. The usable range leaves out both headers, the MBR, and the entries of this
 * copy: no partition can overwrite them (5.3.2).
 */
static bool header_is_sane(const struct reader *reader, const struct gpt_header *header, uint64_t sector)
{
	const uint64_t table_sectors = divide_round_up(table_bytes(header), reader->device->sector_bytes);

	return header->this_sector == sector && header->entry_bytes >= GPT_ENTRY_BYTES_MIN &&
	       header->entry_bytes <= GPT_ENTRY_BYTES_MAX && is_power_of_two(header->entry_bytes) && header->entry_count != 0 &&
	       table_bytes(header) <= GPT_TABLE_BYTES_MAX && header->entries_sector < reader->sectors &&
	       header->first_usable > GPT_PRIMARY_SECTOR && header->first_usable <= header->last_usable &&
	       header->last_usable < reader->sectors - 1 &&
	       (header->entries_sector + table_sectors <= header->first_usable || header->entries_sector > header->last_usable);
}

static void add_entry(struct reader *reader, const struct gpt_header *header, uint32_t number, const struct gpt_entry *entry)
{
	if (!memory_is_filled(entry->type_guid, 0, sizeof(entry->type_guid)))
		add(reader, number, (struct range){ entry->first_sector, entry->last_sector + 1 },
		    (struct range){ header->first_usable, header->last_usable + 1 }, entry);
}

static status_t read_gpt(struct reader *reader, uint64_t sector)
{
	struct gpt_header header;
	status_t status = read_sectors(reader, sector, reader->device->sector_bytes);

	if (status != STATUS_OK)
		return status;
	memcpy(&header, reader->buffer, sizeof(header));
	if (header.signature != GPT_SIGNATURE)
		return STATUS_NOT_FOUND;
	if (!header_is_sealed(reader, &header) || !header_is_sane(reader, &header, sector))
		return STATUS_CORRUPT;
	status = read_sectors(reader, header.entries_sector, table_bytes(&header));
	if (status == STATUS_RANGE ||
	    (status == STATUS_OK && crc32_update(0, reader->buffer, table_bytes(&header)) != header.entries_crc))
		return STATUS_CORRUPT;
	if (status != STATUS_OK)
		return status;
	for (uint32_t i = 0; i < header.entry_count; i++)
		add_entry(reader, &header, i + 1,
			  (const void *)((const char *)reader->buffer + (size_t)i * header.entry_bytes));
	return STATUS_OK;
}

static status_t read_either_gpt(struct reader *reader)
{
	status_t primary, backup;

	if (reader->sectors < 3)
		return STATUS_NOT_FOUND;
	primary = read_gpt(reader, GPT_PRIMARY_SECTOR);
	if (primary == STATUS_OK)
		return STATUS_OK;
	backup = read_gpt(reader, reader->sectors - 1);
	if (backup == STATUS_OK)
		log_warn("%s: the partition table at the start is damaged (%s); its copy at the end is used",
			 reader->device->name, status_text(primary));
	return backup == STATUS_NOT_FOUND ? primary : backup;
}

/* MBR ------------------------------------------------------------------------------------------ */

static bool entry_is_used(const struct mbr_entry *entry)
{
	return entry->type != 0 && entry->sectors != 0;
}

static bool entry_is_extended(const struct mbr_entry *entry)
{
	return entry->type == 0x05 || entry->type == 0x0f || entry->type == 0x85;
}

/* The entry's sectors, which it counts from `base` on. */
static struct range entry_range(const struct mbr_entry *entry, uint64_t base)
{
	return (struct range){ base + entry->first_sector, base + entry->first_sector + entry->sectors };
}

/* A boot record: the one in the first sector, or an extended partition's. */
static status_t read_mbr(struct reader *reader, uint64_t sector, struct mbr *mbr)
{
	const status_t status = read_sectors(reader, sector, MBR_SECTOR_BYTES);

	if (status != STATUS_OK)
		return status;
	memcpy(mbr, reader->buffer, sizeof(*mbr));
	return mbr->signature == MBR_SIGNATURE ? STATUS_OK : STATUS_NOT_FOUND;
}

/*
 * Whether this is FAT's boot sector: a jump, and a BIOS parameter block. Tools that write a table
 * may leave an old one.
 */
static bool mbr_is_fat(const struct mbr *mbr)
{
	const uint8_t *code = mbr->code;

	return (code[0] == 0xeb || code[0] == 0xe9) && code[11] == 0 && is_power_of_two(code[12]) &&
	       is_power_of_two(code[13]) && (code[14] | code[15]) != 0 && code[16] != 0 &&
	       (code[21] == 0xf0 || code[21] >= 0xf8);
}

/*
 * Whether an MBR is a table: the boot code of file systems ends with the same signature. The status
 * bytes show it; in a sector that looks like FAT, any entry that cannot be right shows it, too.
 */
static bool mbr_is_table(const struct mbr *mbr, uint64_t sectors)
{
	bool lies_on_disk = true;

	for (uint32_t i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_entry *entry = &mbr->entries[i];

		if (!entry_is_used(entry))
			continue;
		if ((entry->status & 0x7f) != 0)
			return false;
		lies_on_disk &= entry->first_sector > 0 && entry_range(entry, 0).end <= sectors;
	}
	return lies_on_disk || !mbr_is_fat(mbr);
}

/* Whether the chain may go on with this sector: it has not been there before. */
static bool chain_accepts(const struct reader *reader, uint64_t sector, struct range container)
{
	for (uint32_t i = 0; i < reader->count; i++)
		if (reader->partitions[i].number == 0 &&
		    reader->partitions[i].start_bytes == sector * reader->device->sector_bytes)
			return false;
	return sector < container.end && reader->count < PARTITIONS_MAX;
}

/*
 * Each EBR describes a logical partition, from its own sector on, and the next EBR, from the
 * container's first sector on. The numbers go on from 5, in the order of the chain.
 */
static void read_chain(struct reader *reader, struct range container)
{
	struct mbr ebr;

	for (uint64_t sector = container.first, next; sector != 0; sector = next) {
		next = 0;
		if (!chain_accepts(reader, sector, container) || read_mbr(reader, sector, &ebr) != STATUS_OK) {
			log_warn("%s: the chain of logical partitions is damaged or too long; it is used up to sector %llu",
				 reader->device->name, (unsigned long long)sector);
			return;
		}
		add(reader, 0, (struct range){ sector, sector + 1 }, container, NULL);
		for (uint32_t i = 0; i < MBR_ENTRIES; i++) {
			const struct mbr_entry *entry = &ebr.entries[i];

			if (entry_is_used(entry) && !entry_is_extended(entry))
				add(reader, ++reader->last_number, entry_range(entry, sector),
				    (struct range){ sector + 1, container.end }, NULL);
			else if (entry_is_used(entry) && next == 0)
				next = container.first + entry->first_sector;
		}
	}
}

/*
 * Uses an MBR. The extended partitions take part while the primary ones are compared; then their
 * logical partitions take their place.
 */
static status_t use_mbr(struct reader *reader, const struct mbr *mbr)
{
	const uint64_t sector_bytes = reader->device->sector_bytes;
	uint32_t primaries;

	if (!mbr_is_table(mbr, reader->sectors))
		return STATUS_NOT_FOUND;
	for (uint32_t i = 0; i < MBR_ENTRIES; i++) {
		const struct mbr_entry *entry = &mbr->entries[i];
		struct range range = entry_range(entry, 0);

		if (!entry_is_used(entry))
			continue;
		if (entry_is_extended(entry)) /* if it is cut off, some logical partitions may be whole */
			range.end = MIN(range.end, reader->sectors);
		if (entry->type == MBR_TYPE_PROTECTIVE)
			refuse(reader, i + 1, "protects a GPT, but does not begin at sector 1");
		else
			add(reader, i + 1, range, (struct range){ 1, reader->sectors }, NULL);
	}
	drop(reader);
	primaries = reader->count;
	for (uint32_t i = 0; i < primaries; i++) {
		const struct partition container = reader->partitions[i];

		if (!entry_is_extended(&mbr->entries[container.number - 1]))
			continue;
		reader->partitions[i] = (struct partition){ 0 };
		read_chain(reader, (struct range){ container.start_bytes / sector_bytes,
						   (container.start_bytes + container.bytes) / sector_bytes });
	}
	drop(reader);
	return reader->count > 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

/*
 * Reads the tables. A disk has a GPT if its MBR says so (5.2.3). If not, what looks like a GPT is a
 * left-over: the tools that wrote the MBR, or a file system on the whole disk, need not have known
 * of the copy at the end. If so, there is, or was, a GPT, and no other table.
 */
static status_t read_tables(struct reader *reader)
{
	struct mbr mbr;
	bool protective = false;
	status_t status = read_mbr(reader, 0, &mbr);

	if (status != STATUS_OK)
		return status;
	for (uint32_t i = 0; i < MBR_ENTRIES; i++)
		protective |= mbr.entries[i].type == MBR_TYPE_PROTECTIVE && mbr.entries[i].first_sector == GPT_PRIMARY_SECTOR;
	if (!protective)
		return use_mbr(reader, &mbr);
	status = read_either_gpt(reader);
	drop(reader);
	return status == STATUS_NOT_FOUND && !mbr_is_fat(&mbr) ? STATUS_CORRUPT : status;
}

status_t partitions_read(struct block_device *device, struct heap *heap, struct partition *partitions, uint32_t *count)
{
	struct reader reader = {
		.device = device,
		.sectors = device->size_bytes / device->sector_bytes,
		.heap = heap,
		.partitions = partitions,
		.last_number = MBR_ENTRIES,
	};
	const status_t status = read_tables(&reader);

	if (status == STATUS_CORRUPT)
		log_warn("%s: the partition table is damaged, and so is its copy; only the whole disk can be used",
			 device->name);
	if (status == STATUS_OK)
		*count = reader.count;
	buffer_free(&reader);
	return status;
}
