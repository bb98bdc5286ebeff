/* Objects summed up by who allocated them, for reports: the few with most bytes by name, the others as one. */
#pragma once

#include "runtime/base/types.h"

#define SITE_TALLY_MAX 24

struct site_tally {
	struct site_sum {
		const void *site; /* NULL: not known */
		uint64_t objects;
		uint64_t bytes;
	} sums[SITE_TALLY_MAX];
	unsigned count;
	struct site_sum others; /* for which there was no room */
};

void site_tally_add(struct site_tally *tally, const void *site, uint64_t objects, uint64_t bytes);

/* One line for each, those with most bytes first: `prefix`, then "3 objects, 288 bytes, allocated by edu_probe+0x1c". */
void site_tally_write(struct site_tally *tally, const char *prefix, void (*line)(const char *text));

/* What `line` may be. */
void site_tally_print(const char *text);     /* to the console */
void site_tally_log_error(const char *text); /* to the log */
