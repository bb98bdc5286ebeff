// SPDX-License-Identifier: BSD-2-Clause
/*
 * Call sites in reports: of one object, and of many, summed up by call site: the few sites with
 * most bytes by name, the others as one.
 */
#pragma once

#include "runtime/base/types.h"

#define CODE_SITE_BYTES 96

/*
 * "; allocated by edu_probe+0x1c" for what = "allocated by", or nothing if `site` is NULL. Returns
 * `text`.
 */
const char *code_site_format(char text[CODE_SITE_BYTES], const char *what, const void *site);

#define CALL_SITES_MAX 24

/* All zero at first. */
struct call_sites {
	struct site_sum {
		const void *site; /* NULL: not known */
		uint64_t objects; /* 0: not in use */
		uint64_t bytes;
	} sums[CALL_SITES_MAX + 1]; /* the last one: all sites for which there was no room */
	struct site_sum all;
};

void call_sites_add(struct call_sites *sites, const void *site, uint64_t objects, uint64_t bytes);

/*
 * One line for each site, the largest first: `prefix`, then "3 objects, 288 bytes, allocated by
 * edu_probe+0x1c". Empties it.
 */
void call_sites_write(struct call_sites *sites, const char *prefix, void (*line)(const char *text));

/* Two functions for `line`. */
void call_sites_print(const char *text);     /* to the console */
void call_sites_log_error(const char *text); /* to the log */
