// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a request for memory cost: what the page cache lost while it was served, and which cleaners
 * gave.
 *
 *	reclaim_stats_open(&stats, environment);
 *	... the request ...
 *	reclaim_stats_close(&stats, &delta);
 *
 * Lost is what was evicted minus what was inserted, by all tasks, from the request until reclaim is
 * idle.
 */
#pragma once

#include "app/app.h"

#define RECLAIM_GIVERS_MAX 32

struct cleaner;

struct reclaim_giver {
	const struct cleaner *cleaner; /* only to tell it from others */
	const char *name;
	const char *what; /* it gives, in a word */
	uint64_t given_bytes;
};

struct reclaim_stats {
	const struct app_environment *environment;
	uint64_t evicted_bytes;
	uint64_t inserted_bytes;
	uint64_t moved_pages;
	struct reclaim_giver cleaners[RECLAIM_GIVERS_MAX];
	unsigned cleaner_count;
};

struct reclaim_delta {
	int64_t lost_bytes;
	uint64_t evicted_bytes;
	uint64_t moved_pages;                            /* copied to other frames */
	struct reclaim_giver givers[RECLAIM_GIVERS_MAX]; /* those that gave something */
	unsigned giver_count;
};

/* Both where platform_may_sleep(). */
void reclaim_stats_open(struct reclaim_stats *stats, const struct app_environment *environment);
void reclaim_stats_close(const struct reclaim_stats *stats, struct reclaim_delta *delta);

/* "1 GB clean of vda, ..."; returns `buffer`. */
#define RECLAIM_GIVERS_BYTES 160
const char *reclaim_delta_format_givers(char buffer[RECLAIM_GIVERS_BYTES], const struct reclaim_delta *delta);
