// SPDX-License-Identifier: BSD-2-Clause
/*
 * Disks of any speed on the test's clock (HOST_CLOCK_ALONE), each with a volume of its own: they
 * work while the test's one thread waits, and beside each stands which of its pages are dirty. Some
 * are silent, some have a bad part.
 */
#pragma once

#include "fake/cache_fixture.h"

#define DISKS        4
#define DISK_PAGES   (8 * PAGES_PER_BLOCK)
#define BAD_PAGES    100
#define PERIOD_PAGES 8192

struct disk {
	struct fake_block fake;
	struct volume volume;
	uint64_t ns_per_page;
	bool silent;
	struct list queue;      /* requests; driver[0]: since when */
	uint64_t idle_since_ns; /* when it completed the last one */
	bool dirty[DISK_PAGES];
	bool in_flight[DISK_PAGES];
	uint64_t dirty_count;
	double recent; /* pages written, half as many after each period */
};

extern struct disk disks[DISKS];

/* Attaches all, and has the clock run for them. Unless they are `all_healthy`, some are silent. */
void disks_start(struct pagecache *pagecache, struct random *random, bool all_healthy);

/* Detaches all, which are healthy again. Returns how often writers waited for them. */
uint64_t disks_end(void);

/* The disks work for so long. */
void time_pass(uint64_t ns);
