// SPDX-License-Identifier: BSD-2-Clause
#include "disk_image.h"

#include <string.h>

#include "runtime/base/bits.h"
#include "runtime/base/crc32.h"

#define HEADER_BYTES 92
#define ENTRY_BYTES  128
#define MBR_ENTRIES  4

/* Decoding ------------------------------------------------------------------------------------- */

/* Offsets and numbers that lie near something, more often than by chance. */
static uint64_t decode_value(struct input *input, const struct disk_image *image)
{
	const uint8_t kind = input_byte(input);

	switch (kind % 4) {
	case 0:
		return input_byte(input);
	case 1:
		return image->sectors - (uint64_t)input_byte(input);
	case 2:
		return UINT64_MAX >> input_below(input, 64);
	default:
		return input_number(input, 8);
	}
}

static void decode_poke(struct disk_poke *poke, struct input *input, const struct disk_image *image)
{
	static const uint8_t fields[] = { 0, 8, 12, 16, 24, 32, 40, 48, 72, 80, 84, 88 };
	const uint8_t where = input_byte(input);

	poke->header = !(where & 0x80);
	poke->bytes = 1u << (where % 4);
	if (!poke->header)
		poke->offset = (uint32_t)input_number(input, 2);
	else if (where & 0x40)
		poke->offset = input_below(input, HEADER_BYTES - 8);
	else
		poke->offset = fields[where / 4 % ARRAY_LENGTH(fields)];
	poke->value = decode_value(input, image);
}

static void decode_copy(struct disk_copy *copy, struct input *input, const struct disk_image *image)
{
	const uint8_t damage = input_byte(input);

	copy->missing = damage & 0x80;
	copy->seal = (enum disk_seal)(damage / 8 % 3);
	copy->poke_count = MIN(damage % 8, (unsigned)DISK_POKES_MAX);
	for (uint32_t i = 0; i < copy->poke_count; i++)
		decode_poke(&copy->pokes[i], input, image);
}

static uint8_t decode_type(struct input *input)
{
	static const uint8_t types[] = { 0x83, 0x0f, 0x05, 0x85, 0xee, 0x00, 0x0c, 0xef };

	return types[input_byte(input) % sizeof(types)];
}

static bool is_extended(uint8_t type)
{
	return type == 0x0f || type == 0x05 || type == 0x85;
}

/* A chain of records one behind the other, each with its partition; some of them lie. */
static void decode_links(struct disk_image *image, struct input *input)
{
	uint32_t container = 0, sector, i;

	for (i = 0; i < image->entry_count && container == 0; i++)
		if (is_extended(image->entries[i].type))
			container = (uint32_t)image->entries[i].first;
	image->link_count = input_below(input, DISK_LINKS_MAX + 1);
	for (i = 0, sector = container; i < image->link_count; i++) {
		struct disk_link *link = &image->links[i];
		const uint8_t lies = input_byte(input);

		*link = (struct disk_link){ .sector = sector, .first = 1 + lies % 2, .sectors = 1 + lies / 2 % 4 };
		sector += link->first + link->sectors;
		link->next = i + 1 < image->link_count ? sector - container : 0;
		if (lies / 8 == 1)
			link->first = (uint32_t)input_number(input, 2);
		else if (lies / 8 == 2)
			link->sectors = (uint32_t)input_number(input, 1 + input_below(input, 4));
		else if (lies / 8 == 3)
			link->next = (uint32_t)input_number(input, 1 + input_below(input, 4));
		else if (lies / 8 == 4 && i > 0)
			link->next = image->links[input_below(input, i)].sector - container;
		else if (lies / 8 == 5)
			link->damaged = true;
	}
}

static void decode_entries(struct disk_image *image, struct input *input)
{
	image->entry_count = input_below(input, DISK_ENTRIES_MAX + 1);
	for (uint32_t i = 0; i < image->entry_count; i++) {
		struct disk_entry *entry = &image->entries[i];

		entry->index = input_below(input, image->table_entries > 256 ? image->table_entries : 256);
		entry->type = decode_type(input);
		entry->first = input_number(input, 2) % (image->sectors + 2);
		entry->last = entry->first + input_number(input, 1) - 2; /* may end before it begins */
	}
}

void disk_image_decode(struct disk_image *image, struct input *input)
{
	const uint8_t geometry = input_byte(input);

	memset(image, 0, sizeof(*image));
	image->sector_bytes = geometry & 1 ? 4096 : 512 << (geometry / 2 % 2);
	image->sectors = geometry & 8 ? input_byte(input) : 256 + input_below(input, 1024);
	image->sectors += image->sectors == 0;
	image->transfer_bytes = 4096u << (6 - geometry / 16 % 7);
	image->mbr = (enum disk_mbr)input_below(input, DISK_MBR_KINDS);
	image->entry_bytes = ENTRY_BYTES << input_below(input, 6);
	image->table_entries = 128;
	if (image->entry_bytes > ENTRY_BYTES)
		image->table_entries = 1 + input_below(input, 256);
	else
		image->table_entries <<= input_below(input, 7);
	decode_entries(image, input);
	decode_copy(&image->copies[0], input, image);
	decode_copy(&image->copies[1], input, image);
	image->bad_sectors = input_below(input, 64);
	image->bad_first = image->bad_sectors > 0 ? (uint32_t)input_number(input, 2) % image->sectors : 0;
	image->pokes_mbr = input_byte(input) & 1;
	if (image->pokes_mbr)
		decode_poke(&image->mbr_poke, input, image);
	image->fat = input_byte(input) & 1;
	decode_links(image, input);
}

/* Layout --------------------------------------------------------------------------------------- */

static uint32_t table_bytes(const struct disk_image *image)
{
	return image->table_entries * image->entry_bytes;
}

static uint64_t table_sectors(const struct disk_image *image)
{
	return divide_round_up((uint64_t)table_bytes(image), (uint64_t)image->sector_bytes);
}

static uint64_t first_usable(const struct disk_image *image)
{
	return 2 + table_sectors(image);
}

static uint64_t last_usable(const struct disk_image *image)
{
	return image->sectors - 2 - table_sectors(image);
}

/* Whether the disk has room for the tables. */
static bool has_room(const struct disk_image *image)
{
	return 2 * table_sectors(image) + 4 <= image->sectors;
}

/* Writing -------------------------------------------------------------------------------------- */

/* What lies beyond `limit` is not written. */
static void put(unsigned char *memory, uint64_t offset, uint64_t limit, uint64_t value, uint32_t bytes)
{
	if (offset + bytes <= limit)
		memcpy(memory + offset, &value, bytes);
}

static void write_mbr_entry(unsigned char *disk, unsigned index, uint8_t type, uint64_t first, uint64_t sectors)
{
	put(disk, 446 + index * 16 + 4, 512, type, 1);
	put(disk, 446 + index * 16 + 8, 512, first, 4);
	put(disk, 446 + index * 16 + 12, 512, sectors, 4);
}

static void write_mbr(const struct disk_image *image, unsigned char *disk)
{
	const bool protective = image->mbr == DISK_MBR_PROTECTIVE || image->mbr == DISK_MBR_HYBRID;
	unsigned index = 0;

	if (image->mbr == DISK_MBR_NONE)
		return;
	if (protective)
		write_mbr_entry(disk, index++, 0xee, 1, image->sectors - 1);
	for (uint32_t i = 0; image->mbr != DISK_MBR_PROTECTIVE && i < image->entry_count && index < MBR_ENTRIES; i++)
		write_mbr_entry(disk, index++, image->entries[i].type, image->entries[i].first,
				image->entries[i].last - image->entries[i].first + 1);
	put(disk, 510, 512, 0xaa55, 2);
	if (image->fat) {
		put(disk, 0, 512, 0xeb, 1);
		put(disk, 11, 512, 0x0001080200, 5); /* bytes of a sector, sectors of a cluster, reserved sectors */
		put(disk, 16, 512, 2, 1);            /* FATs */
		put(disk, 21, 512, 0xf8, 1);         /* medium */
	}
	if (image->pokes_mbr)
		put(disk, 440 + image->mbr_poke.offset % 72, 512, image->mbr_poke.value, image->mbr_poke.bytes);
}

static void write_links(const struct disk_image *image, unsigned char *disk)
{
	for (uint32_t i = 0; i < image->link_count; i++) {
		const struct disk_link *link = &image->links[i];
		unsigned char *record = disk + (uint64_t)link->sector * image->sector_bytes;

		if (link->sector == 0 || link->sector >= image->sectors)
			continue;
		write_mbr_entry(record, 0, 0x83, link->first, link->sectors);
		write_mbr_entry(record, 1, link->next == 0 ? 0 : 0x05, link->next, 1);
		put(record, 510, 512, link->damaged ? 0 : 0xaa55, 2);
	}
}

static void write_entries(const struct disk_image *image, unsigned char *table, uint64_t room)
{
	for (uint32_t i = 0; i < image->entry_count; i++) {
		const struct disk_entry *entry = &image->entries[i];
		const uint64_t offset = (uint64_t)entry->index * image->entry_bytes;

		if (entry->index >= image->table_entries)
			continue;
		put(table, offset, room, 0x1234, 8);
		put(table, offset + 32, room, entry->first, 8);
		put(table, offset + 40, room, entry->last, 8);
	}
}

static void write_header(const struct disk_image *image, unsigned char *header, bool primary)
{
	const uint64_t backup = image->sectors - 1;

	put(header, 0, HEADER_BYTES, 0x5452415020494645, 8); /* "EFI PART" */
	put(header, 8, HEADER_BYTES, 0x10000, 4);
	put(header, 12, HEADER_BYTES, HEADER_BYTES, 4);
	put(header, 24, HEADER_BYTES, primary ? 1 : backup, 8);
	put(header, 32, HEADER_BYTES, primary ? backup : 1, 8);
	put(header, 40, HEADER_BYTES, first_usable(image), 8);
	put(header, 48, HEADER_BYTES, last_usable(image), 8);
	put(header, 72, HEADER_BYTES, primary ? 2 : backup - table_sectors(image), 8);
	put(header, 80, HEADER_BYTES, image->table_entries, 4);
	put(header, 84, HEADER_BYTES, image->entry_bytes, 4);
}

static void poke(const struct disk_copy *copy, bool headers, unsigned char *memory, uint64_t room)
{
	for (uint32_t i = 0; i < copy->poke_count; i++)
		if (copy->pokes[i].header == headers)
			put(memory, copy->pokes[i].offset % room, room, copy->pokes[i].value, copy->pokes[i].bytes);
}

static void seal_entries(const struct disk_image *image, unsigned char *header, const unsigned char *table)
{
	put(header, 88, HEADER_BYTES, crc32_update(0, table, table_bytes(image)), 4);
}

/* As many bytes as the header, which may have been poked, says. */
static void seal_header(const struct disk_image *image, unsigned char *header)
{
	uint32_t bytes;

	memcpy(&bytes, header + 12, sizeof(bytes));
	put(header, 16, HEADER_BYTES, 0, 4);
	put(header, 16, HEADER_BYTES, crc32_update(0, header, MIN(bytes, image->sector_bytes)), 4);
}

static void write_copy(const struct disk_image *image, unsigned char *disk, bool primary)
{
	const struct disk_copy *copy = &image->copies[primary ? 0 : 1];
	const uint64_t sector = primary ? 1 : image->sectors - 1;
	const uint64_t room = table_sectors(image) * image->sector_bytes;
	unsigned char *header = disk + sector * image->sector_bytes;
	unsigned char *table = disk + (primary ? 2 : sector - table_sectors(image)) * image->sector_bytes;

	write_entries(image, table, room);
	write_header(image, header, primary);
	seal_entries(image, header, table);
	seal_header(image, header);
	poke(copy, false, table, room);
	if (copy->seal == DISK_SEAL_BOTH)
		seal_entries(image, header, table);
	poke(copy, true, header, HEADER_BYTES);
	if (copy->seal != DISK_SEAL_NEITHER)
		seal_header(image, header);
}

void disk_image_write(const struct disk_image *image, unsigned char *disk)
{
	if (image->mbr == DISK_MBR_LEGACY)
		write_links(image, disk);
	write_mbr(image, disk);
	for (unsigned i = 0; i < 2 && has_room(image); i++)
		if (!image->copies[i].missing)
			write_copy(image, disk, i == 0);
}

/* What should be read -------------------------------------------------------------------------- */

bool disk_image_is_good(const struct disk_image *image)
{
	const struct disk_copy *primary = &image->copies[0], *backup = &image->copies[1];

	if (image->mbr > DISK_MBR_HYBRID || image->pokes_mbr || image->bad_sectors > 0 || !has_room(image))
		return false;
	return primary->missing ? !backup->missing && backup->poke_count == 0 : primary->poke_count == 0;
}

/* The entry that lies in this place of the table: the last one that was written there. */
static const struct disk_entry *entry_at(const struct disk_image *image, uint32_t index)
{
	const struct disk_entry *found = NULL;

	for (uint32_t i = 0; i < image->entry_count; i++) {
		const struct disk_entry *entry = &image->entries[i];

		if (entry->index == index)
			found = entry;
	}
	if (!found || found->first < first_usable(image) || found->last > last_usable(image) || found->first > found->last)
		return NULL;
	return found;
}

static bool overlaps_another(const struct disk_image *image, const struct disk_entry *entry, uint32_t indices)
{
	for (uint32_t index = 0; index < indices; index++) {
		const struct disk_entry *other = entry_at(image, index);

		if (other && other != entry && other->first <= entry->last && entry->first <= other->last)
			return true;
	}
	return false;
}

uint32_t disk_image_partitions(const struct disk_image *image, struct partition *partitions)
{
	uint32_t count = 0;

	for (uint32_t index = 0; index < image->table_entries; index++) {
		const struct disk_entry *entry = entry_at(image, index);

		if (entry && !overlaps_another(image, entry, image->table_entries))
			partitions[count++] = (struct partition){
				.number = index + 1,
				.start_bytes = entry->first * image->sector_bytes,
				.bytes = (entry->last - entry->first + 1) * image->sector_bytes,
			};
	}
	return count;
}
