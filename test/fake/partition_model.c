// SPDX-License-Identifier: BSD-2-Clause
#include "partition_model.h"

#include <string.h>

#define SECTORS_MAX 65536

/* One of the four entries of a boot record. */
struct entry {
	unsigned status, type;
	uint64_t first, count;
	bool used, extended;
};

struct disk {
	const unsigned char *bytes;
	uint64_t sectors;
	uint32_t sector_bytes;
	uint32_t room;                /* partitions and boot records that may still be noted */
	uint16_t claims[SECTORS_MAX]; /* to each sector; enough of them stay enough */
	bool is_record[SECTORS_MAX];  /* it is a boot record of a chain */
	uint64_t first[PARTITIONS_MAX];
	uint64_t end[PARTITIONS_MAX];
	uint32_t number[PARTITIONS_MAX];
	uint32_t noted;
};

static uint64_t number_at(const unsigned char *bytes, unsigned length)
{
	uint64_t number = 0;

	for (unsigned i = length; i-- > 0;)
		number = number << 8 | bytes[i];
	return number;
}

static struct entry entry_at(const unsigned char *record, unsigned i)
{
	const unsigned char *bytes = record + 446 + i * 16;
	struct entry entry = { bytes[0], bytes[4], number_at(bytes + 8, 4), number_at(bytes + 12, 4), false, false };

	entry.used = entry.type != 0 && entry.count != 0;
	entry.extended = entry.type == 5 || entry.type == 15 || entry.type == 133;
	return entry;
}

bool partition_model_protects(const unsigned char *disk)
{
	for (unsigned i = 0; i < 4; i++)
		if (entry_at(disk, i).type == 238 && entry_at(disk, i).first == 1)
			return true;
	return false;
}

static bool is_one_of_powers(unsigned value, unsigned smallest)
{
	for (unsigned power = smallest; power <= 32768; power *= 2)
		if (value == power)
			return true;
	return false;
}

bool partition_model_is_fat(const unsigned char *disk)
{
	const unsigned media = disk[21];

	return (disk[0] == 0xeb || disk[0] == 0xe9) && is_one_of_powers((unsigned)number_at(disk + 11, 2), 256) &&
	       is_one_of_powers(disk[13], 1) && number_at(disk + 14, 2) > 0 && disk[16] > 0 && (media == 0xf0 || media > 0xf7);
}

static void paint(struct disk *disk, uint64_t first, uint64_t end)
{
	for (uint64_t sector = first; sector < end; sector++)
		disk->claims[sector] += disk->claims[sector] < 2;
}

static void note(struct disk *disk, uint32_t number, uint64_t first, uint64_t end)
{
	paint(disk, first, end);
	if (disk->room == 0)
		return;
	disk->room--;
	disk->number[disk->noted] = number;
	disk->first[disk->noted] = first;
	disk->end[disk->noted++] = end;
}

/* Keeps of what is noted those that are alone on their sectors, and wipes the disk. */
static void settle(struct disk *disk)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < disk->noted; i++) {
		bool alone = true;

		for (uint64_t sector = disk->first[i]; sector < disk->end[i]; sector++)
			alone &= disk->claims[sector] == 1;
		if (!alone)
			continue;
		disk->number[kept] = disk->number[i];
		disk->first[kept] = disk->first[i];
		disk->end[kept++] = disk->end[i];
	}
	disk->noted = kept;
	disk->room = PARTITIONS_MAX - kept;
	memset(disk->claims, 0, sizeof(disk->claims));
}

static bool is_boot_code(const struct disk *disk)
{
	bool strange = false;

	for (unsigned i = 0; i < 4; i++) {
		const struct entry entry = entry_at(disk->bytes, i);

		if (!entry.used)
			continue;
		if (entry.status != 0 && entry.status != 128)
			return true;
		strange |= entry.first == 0 || entry.first + entry.count > disk->sectors;
	}
	return strange && partition_model_is_fat(disk->bytes);
}

static void note_primaries(struct disk *disk)
{
	for (unsigned i = 0; i < 4; i++) {
		const struct entry entry = entry_at(disk->bytes, i);
		uint64_t end = entry.first + entry.count;

		if (entry.extended && end > disk->sectors)
			end = disk->sectors;
		if (entry.used && entry.type != 238 && entry.first > 0 && entry.first < end && end <= disk->sectors)
			note(disk, i + 1, entry.first, end);
	}
}

/* One boot record of a chain. Returns where the next one is; 0: there is none. */
static uint64_t note_record(struct disk *disk, uint64_t sector, uint64_t first, uint64_t end, uint32_t *number)
{
	const unsigned char *record = disk->bytes + sector * disk->sector_bytes;
	uint64_t next = 0;

	disk->is_record[sector] = true;
	disk->room--;
	paint(disk, sector, sector + 1);
	for (unsigned i = 0; i < 4; i++) {
		const struct entry entry = entry_at(record, i);

		if (entry.used && entry.extended && next == 0)
			next = first + entry.first;
		if (!entry.used || entry.extended)
			continue;
		++*number;
		if (entry.first > 0 && sector + entry.first + entry.count <= end)
			note(disk, *number, sector + entry.first, sector + entry.first + entry.count);
	}
	return next;
}

static void note_chain(struct disk *disk, uint64_t first, uint64_t end, uint32_t *number)
{
	uint64_t sector = first;

	while (sector >= first && sector < end && !disk->is_record[sector] && disk->room > 0 &&
	       disk->bytes[sector * disk->sector_bytes + 510] == 0x55 && disk->bytes[sector * disk->sector_bytes + 511] == 0xaa)
		sector = note_record(disk, sector, first, end, number);
}

static void note_logical(struct disk *disk)
{
	const uint32_t primaries = disk->noted;
	uint32_t number = 4;

	for (uint32_t i = 0; i < primaries; i++) {
		const uint64_t first = disk->first[i], end = disk->end[i];

		if (entry_at(disk->bytes, disk->number[i] - 1).extended) {
			disk->end[i] = 0; /* it claims nothing any more, and is left out of the result */
			note_chain(disk, first, end, &number);
		} else {
			paint(disk, first, end);
		}
	}
}

void partition_model_read(struct partition_model *model, const unsigned char *bytes, uint64_t sectors, uint32_t sector_bytes)
{
	static struct disk disk;

	disk = (struct disk){ .bytes = bytes, .sectors = sectors, .sector_bytes = sector_bytes, .room = PARTITIONS_MAX };
	model->count = 0;
	if (is_boot_code(&disk))
		return;
	note_primaries(&disk);
	settle(&disk);
	note_logical(&disk);
	settle(&disk);
	for (uint32_t i = 0; i < disk.noted; i++)
		if (disk.end[i] != 0)
			model->partitions[model->count++] = (struct partition){
				.number = disk.number[i],
				.start_bytes = disk.first[i] * sector_bytes,
				.bytes = (disk.end[i] - disk.first[i]) * sector_bytes,
			};
}
