// SPDX-License-Identifier: BSD-2-Clause
#include "trace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "pagecache/page/page.h"

#define LINE_BYTES 64

static void name_from(struct trace *trace, const char *file)
{
	const char *base = strrchr(file, '/');
	size_t length;

	base = base ? base + 1 : file;
	length = strcspn(base, "-.");
	if (length >= TRACE_NAME_BYTES)
		length = TRACE_NAME_BYTES - 1;
	memcpy(trace->name, base, length);
	trace->name[length] = '\0';
}

static bool append(struct trace *trace, size_t *room, uint64_t page, bool write)
{
	if (trace->count == *room) {
		struct reference *grown;

		*room = *room ? 2 * *room : 1 << 16;
		grown = realloc(trace->references, *room * sizeof(*grown));
		if (!grown)
			return false;
		trace->references = grown;
	}
	trace->references[trace->count++] = (struct reference){ .page = page, .write = write };
	if (page > trace->page_max)
		trace->page_max = page;
	return true;
}

/*
 * NULL: fine. The last line may lack its end; a line without one is else too long, or has a zero
 * byte.
 */
static const char *parse(const char *line, bool last, uint64_t *page, bool *write)
{
	char *end;

	if ((line[0] != 'R' && line[0] != 'W') || line[1] != ' ' || !isdigit((unsigned char)line[2]))
		return "is not `R <page>` or `W <page>`";
	*write = line[0] == 'W';
	*page = strtoull(line + 2, &end, 10);
	if (*end == '\r')
		end++;
	if (strcmp(end, "\n") != 0 && (*end != '\0' || !last))
		return "has more than a page number";
	return *page < PAGE_NUMBER_MAX ? NULL : "has a page number that is too large";
}

static bool read_lines(struct trace *trace, gzFile input, const char *file, char *error, size_t size)
{
	char line[LINE_BYTES];
	size_t room = 0, number = 0;
	int status;

	while (gzgets(input, line, sizeof(line))) {
		uint64_t page;
		bool write;
		const char *wrong = parse(line, gzeof(input), &page, &write);

		number++;
		if (!wrong && !append(trace, &room, page, write))
			wrong = "does not fit into memory";
		if (wrong) {
			snprintf(error, size, "%s: line %zu %s", file, number, wrong);
			return false;
		}
	}
	gzerror(input, &status);
	if (!gzeof(input) || status != Z_OK) {
		snprintf(error, size, "%s: cannot be read, or is a damaged gzip file", file);
		return false;
	}
	if (trace->count == 0) {
		snprintf(error, size, "%s: has no references", file);
		return false;
	}
	return true;
}

/* Dense numbers -------------------------------------------------------------------------------- */

static int by_page(const void *a, const void *b)
{
	const struct reference *const *x = a, *const *y = b;

	if ((*x)->page != (*y)->page)
		return (*x)->page < (*y)->page ? -1 : 1;
	return *x < *y ? -1 : *x > *y;
}

static bool number_densely(struct trace *trace)
{
	struct reference **sorted = malloc(trace->count * sizeof(struct reference *));

	if (!sorted)
		return false;
	for (size_t i = 0; i < trace->count; i++)
		sorted[i] = &trace->references[i];
	qsort(sorted, trace->count, sizeof(struct reference *), by_page);
	for (size_t i = 0; i < trace->count; i++) {
		if (i > 0 && sorted[i]->page != sorted[i - 1]->page)
			trace->unique++;
		sorted[i]->dense = trace->unique;
	}
	trace->unique++;
	free(sorted);
	return true;
}

bool trace_parse(struct trace *trace, const char *file, char *error, size_t size)
{
	gzFile input = gzopen(file, "rb");
	bool fine;

	*trace = (struct trace){ .count = 0 };
	name_from(trace, file);
	if (!input) {
		snprintf(error, size, "%s: cannot be opened", file);
		return false;
	}
	fine = read_lines(trace, input, file, error, size);
	gzclose(input);
	if (fine && !number_densely(trace)) {
		snprintf(error, size, "%s: does not fit into memory", file);
		fine = false;
	}
	if (!fine)
		trace_free(trace);
	return fine;
}

void trace_free(struct trace *trace)
{
	free(trace->references);
	*trace = (struct trace){ .count = 0 };
}
