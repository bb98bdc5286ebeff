// SPDX-License-Identifier: BSD-2-Clause
/*
 * make_pattern FILE BYTES SEED: makes a disk of numbered pages (app/testbed/pattern.h) for the
 * image. BYTES are rounded up to a page and may end in K, M, G or T. A file that is there already,
 * whole and of the same seed, is left as it is. The file appears under its name only when it is
 * complete.
 */
#define _FILE_OFFSET_BITS 64
#define _POSIX_C_SOURCE   200809L

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/testbed/pattern.h"

#define BUFFER_PAGES 2048

static uint64_t buffer[BUFFER_PAGES * PATTERN_PAGE_WORDS];

static bool parse_size(const char *text, uint64_t *value)
{
	static const char suffixes[] = "KMGT";
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (end == text || errno != 0 || text[0] == '-')
		return false;
	if (*end != '\0') {
		const char *suffix = strchr(suffixes, *end & ~0x20);
		const unsigned shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 0;

		if (shift == 0 || *value > UINT64_MAX >> shift)
			return false;
		*value <<= shift;
		end++;
	}
	return *end == '\0';
}

static bool has_page(int file, uint64_t seed, uint64_t number)
{
	const off_t offset = (off_t)(number * PATTERN_PAGE_BYTES);

	return pread(file, buffer, PATTERN_PAGE_BYTES, offset) == (ssize_t)PATTERN_PAGE_BYTES &&
	       pattern_verify_version(buffer, seed, number, 0);
}

static bool is_made(const char *name, uint64_t pages, uint64_t seed)
{
	const int file = open(name, O_RDONLY);
	struct stat status;
	bool made;

	if (file < 0)
		return false;
	made = fstat(file, &status) == 0 && (uint64_t)status.st_size == pages * PATTERN_PAGE_BYTES && has_page(file, seed, 0) &&
	       has_page(file, seed, pages - 1);
	close(file);
	return made;
}

static bool write_all(int file, const char *data, size_t bytes)
{
	while (bytes > 0) {
		const ssize_t written = write(file, data, bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		data += written;
		bytes -= (size_t)written;
	}
	return true;
}

static bool write_pages(int file, uint64_t pages, uint64_t seed)
{
	for (uint64_t number = 0; number < pages;) {
		size_t count = 0;

		for (; count < BUFFER_PAGES && number < pages; count++, number++)
			pattern_fill(&buffer[count * PATTERN_PAGE_WORDS], seed, number, 0);
		if (!write_all(file, (const char *)buffer, count * PATTERN_PAGE_BYTES))
			return false;
	}
	return true;
}

static bool make(const char *name, uint64_t pages, uint64_t seed)
{
	char temporary[PATH_MAX];
	int file;
	bool made;

	if (snprintf(temporary, sizeof(temporary), "%s.%ld", name, (long)getpid()) >= (int)sizeof(temporary)) {
		errno = ENAMETOOLONG;
		return false;
	}
	file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (file < 0)
		return false;
	made = write_pages(file, pages, seed);
	if (close(file) != 0)
		made = false;
	if (made && rename(temporary, name) == 0)
		return true;
	const int reason = errno;
	unlink(temporary);
	errno = reason;
	return false;
}

int main(int argc, char **argv)
{
	uint64_t bytes, seed;

	if (argc != 4 || !parse_size(argv[2], &bytes) || !parse_size(argv[3], &seed) || bytes == 0 || bytes > INT64_MAX) {
		fprintf(stderr, "usage: make_pattern FILE BYTES SEED\n");
		return EXIT_FAILURE;
	}
	const uint64_t pages = (bytes + PATTERN_PAGE_BYTES - 1) / PATTERN_PAGE_BYTES;
	if (is_made(argv[1], pages, seed) || make(argv[1], pages, seed))
		return EXIT_SUCCESS;
	fprintf(stderr, "make_pattern: %s: %s\n", argv[1], strerror(errno));
	return EXIT_FAILURE;
}
