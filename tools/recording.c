// SPDX-License-Identifier: BSD-2-Clause
/*
 * recording: reads recordings (examples/recorder/format.h) from a disk or an image, on any PC.
 *
 *	recording list DISK [OFFSET]
 *	recording extract NUMBER DISK [OFFSET]        the samples to standard output; gaps and times to standard error
 *
 * OFFSET is where the volume begins on DISK, in bytes, or with K, M or G. Exit status 0: all is
 * there; 1: something is wrong, which is said; 2: it was called wrongly.
 */
#define _FILE_OFFSET_BITS 64
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/recorder/format.h"
#include "runtime/base/crc32.h"

struct disk {
	const char *name;
	int file;
	uint64_t offset; /* of the volume */
	uint64_t bytes;  /* of the volume */
};

static _Noreturn void fail(const char *what, const char *why)
{
	fprintf(stderr, "recording: %s: %s\n", what, why);
	exit(1);
}

static void read_at(const struct disk *disk, void *buffer, uint64_t bytes, uint64_t offset)
{
	char *next = buffer;

	while (bytes > 0) {
		const ssize_t count = pread(disk->file, next, bytes, (off_t)(disk->offset + offset));

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			fail(disk->name, count < 0 ? strerror(errno) : "it ends too early");
		next += count;
		offset += (uint64_t)count;
		bytes -= (uint64_t)count;
	}
}

static uint64_t parse_offset(const char *text)
{
	static const char units[] = "KMG";
	char *end;
	const uint64_t number = strtoull(text, &end, 0);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (end == text || *text == '-' || (*end && (!unit || end[1]))) {
		fprintf(stderr, "recording: \"%s\" is not an offset like 1048576 or 1M\n", text);
		exit(2);
	}
	return unit ? number << (10 * (unit - units + 1)) : number;
}

static struct disk disk_open(const char *name, const char *offset)
{
	struct disk disk = { .name = name, .file = open(name, O_RDONLY), .offset = offset ? parse_offset(offset) : 0 };
	const off_t end = disk.file < 0 ? -1 : lseek(disk.file, 0, SEEK_END);

	if (end < 0)
		fail(name, strerror(errno));
	if ((uint64_t)end < disk.offset || (uint64_t)end - disk.offset < FORMAT_DATA_START)
		fail(name, "it is too small to have recordings there");
	disk.bytes = (uint64_t)end - disk.offset;
	return disk;
}

static bool is_valid(const struct disk *disk, const struct format_entry *entry)
{
	struct format_entry copy = *entry;

	copy.checksum = 0;
	return entry->magic == FORMAT_MAGIC && entry->checksum == crc32c_update(0, &copy, sizeof(copy)) &&
	       entry->state > FORMAT_FREE && entry->state < FORMAT_STATES && entry->chunk_bytes > FORMAT_PAGE_BYTES &&
	       entry->start_bytes <= disk->bytes && entry->chunks <= (disk->bytes - entry->start_bytes) / entry->chunk_bytes;
}

/* The better copy of entry `index`; false: there is none. */
static bool entry_read(const struct disk *disk, unsigned index, struct format_entry *entry)
{
	struct format_entry copy;

	entry->generation = 0;
	for (unsigned i = 0; i < 2; i++) {
		read_at(disk, &copy, sizeof(copy), (2 * index + i) * FORMAT_PAGE_BYTES);
		if (is_valid(disk, &copy) && copy.generation > entry->generation)
			*entry = copy;
	}
	entry->name[FORMAT_NAME_BYTES - 1] = 0;
	return entry->generation > 0;
}

static int list(const struct disk *disk)
{
	static const char *const states[FORMAT_STATES] = { "", "not ended", "complete", "complete, volume full",
							   "ended by an error" };
	struct format_entry entry;
	int status = 1;

	printf("%-6s %-24s %10s %14s %14s  %s\n", "number", "name", "MB", "samples/s", "samples lost", "state");
	for (unsigned i = 0; i < FORMAT_ENTRIES; i++) {
		if (!entry_read(disk, i, &entry))
			continue;
		status = 0;
		printf("%-6" PRIu64 " %-24s %10" PRIu64 " %14" PRIu64 " %14" PRIu64 "  %s\n", entry.number, entry.name,
		       entry.chunks * (entry.chunk_bytes - FORMAT_PAGE_BYTES) >> 20, entry.rate, entry.lost,
		       states[entry.state]);
	}
	if (status != 0)
		fprintf(stderr, "recording: %s has none; does the volume begin elsewhere (OFFSET)?\n", disk->name);
	return status;
}

/*
 * One chunk to standard output; `expected` is the sample that it begins with if nothing was lost.
 */
static uint64_t chunk_extract(const struct disk *disk, const struct format_entry *entry, uint64_t sequence, uint64_t expected,
			      char *buffer)
{
	struct format_chunk chunk;

	read_at(disk, buffer, entry->chunk_bytes, entry->start_bytes + sequence * entry->chunk_bytes);
	memcpy(&chunk, buffer, sizeof(chunk));
	if (chunk.magic != FORMAT_CHUNK_MAGIC || chunk.recording != entry->number || chunk.sequence != sequence ||
	    chunk.bytes > entry->chunk_bytes - FORMAT_PAGE_BYTES)
		fail(disk->name, "a chunk has no valid header; the recording is damaged");
	if (sequence == 0)
		fprintf(stderr, "first sample %" PRIu64 "\n", chunk.sample);
	else if (chunk.sample != expected)
		fprintf(stderr, "lost samples %" PRIu64 " to %" PRIu64 "\n", expected, chunk.sample - 1);
	if (chunk.trigger != FORMAT_NO_TRIGGER)
		fprintf(stderr, "trigger at sample %" PRIu64 "\n", chunk.trigger);
	if (fwrite(buffer + FORMAT_PAGE_BYTES, 1, chunk.bytes, stdout) != chunk.bytes)
		fail("standard output", strerror(errno));
	return chunk.sample + chunk.bytes / sizeof(uint64_t);
}

static int extract(const struct disk *disk, uint64_t number)
{
	struct format_entry entry;
	unsigned index = 0;
	uint64_t sample = 0;

	while (index < FORMAT_ENTRIES && !(entry_read(disk, index, &entry) && entry.number == number))
		index++;
	if (index == FORMAT_ENTRIES)
		fail(disk->name, "it has no such recording; `recording list` shows them");
	char *buffer = malloc(entry.chunk_bytes);

	if (!buffer)
		fail(disk->name, "its chunks are too large for the memory");
	for (uint64_t i = 0; i < entry.chunks; i++)
		sample = chunk_extract(disk, &entry, i, sample, buffer);
	free(buffer);
	if (fflush(stdout) != 0)
		fail("standard output", strerror(errno));
	fprintf(stderr, "%" PRIu64 " chunks\n", entry.chunks);
	return 0;
}

int main(int argc, char **argv)
{
	if ((argc == 3 || argc == 4) && strcmp(argv[1], "list") == 0) {
		const struct disk disk = disk_open(argv[2], argv[3]);

		return list(&disk);
	}
	if ((argc == 4 || argc == 5) && strcmp(argv[1], "extract") == 0) {
		const struct disk disk = disk_open(argv[3], argv[4]);
		char *end;
		const uint64_t number = strtoull(argv[2], &end, 10);

		if (*argv[2] && !*end)
			return extract(&disk, number);
	}
	fprintf(stderr, "usage: recording list DISK [OFFSET]\n       recording extract NUMBER DISK [OFFSET]\n");
	return 2;
}
