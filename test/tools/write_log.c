// SPDX-License-Identifier: BSD-2-Clause
#include "write_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC   0x6a736677736872ull
#define VERSION 1

struct super {
	uint64_t magic;
	uint64_t version;
	uint64_t entries;
	uint32_t sector_bytes;
} __attribute__((packed));

struct entry {
	uint64_t sector;
	uint64_t sectors;
	uint64_t flags;
	uint64_t data_bytes; /* of a mark */
} __attribute__((packed));

static const uint8_t *map_file(const char *path, size_t *bytes)
{
	const int file = open(path, O_RDONLY);
	struct stat stat;
	void *map;

	if (file < 0 || fstat(file, &stat) != 0) {
		perror(path);
		return NULL;
	}
	*bytes = (size_t)stat.st_size;
	map = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	return map == MAP_FAILED ? NULL : map;
}

/*
 * Returns where the next entry begins; 0: this one is not whole, or something that no machine
 * should have done.
 */
static size_t entry_read(struct write_log_entry *result, const uint8_t *map, size_t bytes, size_t at, uint32_t sector_bytes)
{
	struct entry entry;

	if (at + sector_bytes > bytes)
		return 0;
	memcpy(&entry, map + at, sizeof(entry));
	if ((entry.flags & ~(uint64_t)(WRITE_LOG_FLUSH | WRITE_LOG_FUA)) != 0 ||
	    entry.sectors > (bytes - at - sector_bytes) / sector_bytes)
		return 0;
	*result = (struct write_log_entry){
		.offset_bytes = entry.sector * sector_bytes,
		.bytes = entry.sectors * sector_bytes,
		.data = map + at + sector_bytes,
		.flags = (unsigned)entry.flags,
	};
	return at + sector_bytes + result->bytes;
}

bool write_log_read(struct write_log *log, const char *path)
{
	struct super super;
	size_t bytes, at;
	const uint8_t *map = map_file(path, &bytes);

	if (!map)
		return false;
	if (bytes < sizeof(super) || (memcpy(&super, map, sizeof(super)), super.magic != MAGIC) || super.version != VERSION ||
	    super.sector_bytes < sizeof(struct entry) || super.entries > bytes / super.sector_bytes) {
		fprintf(stderr, "%s: no log of writes\n", path);
		return false;
	}
	*log = (struct write_log){ .sector_bytes = super.sector_bytes, .count = super.entries };
	log->entries = calloc(log->count + 1, sizeof(*log->entries));
	at = super.sector_bytes;
	for (size_t i = 0; log->entries && i < log->count; i++) {
		at = entry_read(&log->entries[i], map, bytes, at, super.sector_bytes);
		if (at == 0) {
			fprintf(stderr, "%s: entry %zu is cut off, or a discard or a mark\n", path, i);
			return false;
		}
	}
	return log->entries != NULL;
}
