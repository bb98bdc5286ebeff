// SPDX-License-Identifier: BSD-2-Clause
/*
 * make_trace FILE NAME: reads a trace of page references on standard input, a line "R <page>" or "W
 * <page>" each, and writes it to FILE as the disk that the scenario replay reads
 * (app/testbed/trace_format.h). Prints how many pages a data disk needs to have all pages of the
 * trace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/testbed/trace_format.h"

static uint64_t chunk[TRACE_CHUNK_WORDS];

static bool parse_line(const char *line, uint64_t *word)
{
	unsigned long long page;
	char operation, newline = '\n';
	const int count = sscanf(line, "%c %20llu%c", &operation, &page, &newline);

	if (count < 2 || (newline != '\n' && newline != '\r') || page >= TRACE_PAGE_MAX)
		return false;
	*word = trace_word(page, operation == 'W');
	return operation == 'R' || operation == 'W';
}

static bool write_chunk(FILE *file)
{
	const bool written = fwrite(chunk, sizeof(chunk), 1, file) == 1;

	memset(chunk, 0, sizeof(chunk));
	return written;
}

/* False: a line makes no sense, or the file cannot be written; a message says which. */
static bool convert(FILE *file, struct trace_header *header)
{
	char line[128];
	uint64_t word;

	while (fgets(line, sizeof(line), stdin)) {
		if (!parse_line(line, &word)) {
			line[strcspn(line, "\r\n")] = '\0';
			fprintf(stderr, "make_trace: line %llu, \"%.40s\", is not \"R <page>\" or \"W <page>\"\n",
				(unsigned long long)header->references + 1, line);
			return false;
		}
		chunk[header->references++ % TRACE_CHUNK_WORDS] = word;
		if (trace_page(word) >= header->pages)
			header->pages = trace_page(word) + 1;
		if (header->references % TRACE_CHUNK_WORDS == 0 && !write_chunk(file))
			break;
	}
	if (header->references % TRACE_CHUNK_WORDS != 0)
		(void)write_chunk(file);
	if (ferror(stdin) || ferror(file) || header->references == 0) {
		fprintf(stderr, "make_trace: %s\n", ferror(file) ? "the file cannot be written" : "there is nothing to read");
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static union {
		struct trace_header header;
		char bytes[TRACE_HEADER_BYTES];
	} first;
	FILE *file = argc == 3 ? fopen(argv[1], "wb") : NULL;
	bool good;

	if (!file) {
		fprintf(stderr, "usage: make_trace FILE NAME < text\n");
		return EXIT_FAILURE;
	}
	good = fwrite(&first, sizeof(first), 1, file) == 1 && convert(file, &first.header);
	first.header.magic = TRACE_MAGIC;
	(void)snprintf(first.header.name, sizeof(first.header.name), "%s", argv[2]);
	good = good && fseek(file, 0, SEEK_SET) == 0 && fwrite(&first, sizeof(first), 1, file) == 1;
	if (fclose(file) != 0 || !good) {
		(void)remove(argv[1]);
		return EXIT_FAILURE;
	}
	printf("%llu\n", (unsigned long long)first.header.pages);
	return EXIT_SUCCESS;
}
