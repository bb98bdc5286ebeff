// SPDX-License-Identifier: BSD-2-Clause
/*
 * The loads beside a capture: two readers and a writer on the data disk, each a task, through the
 * page cache.
 *
 *	hot reader   single pages, Zipf 0.9 over a hot set of 30% of RAM, scattered over the set
 *	scanner      the whole disk in order, 256 KB to 1 MB at a time, again and again
 *	writer       runs of pages and single ones in a region of its own, each with a new version
 *
 * The writer writes at full speed while less than its goal of the RAM is dirty, and slowly above.
 *
 * Every page that is read is verified: number, content, and that content and version belong
 * together.
 *
 *	loads_init -> loads_start -> loads_stop -> ... loads_start -> loads_stop -> loads_compare -> loads_fini
 *
 * Where they are stopped they go on when they are started again.
 */
#pragma once

#include "app/app.h"
#include "runtime/base/random.h"
#include "runtime/base/status.h"
#include "zipf.h"

struct task;
struct volume;

#define LOADS 3

struct loads {
	const struct app_environment *environment;
	struct volume *volume;
	uint64_t seed; /* of the pattern on it */
	bool only_writer;
	uint64_t pages; /* of the volume; all of the regions lie within */
	uint64_t hot_first, hot_pages;
	uint64_t write_first, write_pages;
	uint64_t dirty_goal_pages;
	struct zipf zipf;
	uint32_t *versions; /* of the pages of the writer's region, as written last; 0: not by this writer */
	uint32_t version;   /* what this writer begins with: none writes what another one did */
	uint32_t *stamps;   /* of all pages, as used last; NULL: no stamps are kept */

	struct task *tasks[LOADS];
	void *buffers[LOADS];
	struct random random[LOADS + 1];
	uint64_t scan_page, write_page;

	_Atomic bool stop;
	_Atomic uint32_t clock; /* of the stamps */
	_Atomic uint64_t hot_reads, scanned_pages, written_pages;
	_Atomic uint64_t bad_pages; /* wrong content; the first few are logged */
	_Atomic uint64_t errors;    /* calls that failed */
};

/* `stamped`: keep a stamp of the last use of each page. STATUS_NO_MEMORY. */
status_t loads_init(struct loads *loads, const struct app_environment *environment, struct volume *volume,
		    bool stamped) MUST_CHECK;
void loads_fini(struct loads *loads);

/*
 * The writer alone, for a disk that does few requests a second: in order, over the whole volume; at
 * full speed while less than `dirty_bytes` are dirty.
 */
status_t loads_init_writer(struct loads *loads, const struct app_environment *environment, struct volume *volume, uint64_t seed,
			   uint64_t dirty_bytes) MUST_CHECK;

/* STATUS_NO_MEMORY: none of them runs. */
status_t loads_start(struct loads *loads) MUST_CHECK;

/* Returns when all have ended. Harmless when none runs. */
void loads_stop(struct loads *loads);

/* Reads `count` whole pages into `buffer`, through the cache, and verifies them. */
void loads_read(struct loads *loads, uint64_t first, uint64_t count, void *buffer);

/*
 * The share of `reads` reads like the hot reader's that hit the cache, while no other load reads;
 * in hits.
 */
uint64_t loads_measure_hits(struct loads *loads, uint64_t reads);

/*
 * Reads the writer's region from the device itself, past the cache, and compares every page with
 * what was written last; the volume has been flushed. Wrong pages count in bad_pages.
 */
status_t loads_compare(struct loads *loads) MUST_CHECK;
