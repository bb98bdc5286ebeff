// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the scenarios that take memory have in common: memory full of cached pages, the loads at
 * work, and at the end a look whether anything was lost.
 *
 *	testbed_begin(&testbed, scenario, largest_request_bytes);
 *	... take memory, testbed_refill, take memory ...; testbed_fail, testbed_expect_share where something was not as promised
 *	testbed_end(&testbed);                   the loads have stopped, all that was written has been compared
 *	testbed_expect_hits(&testbed, 1);
 *	scenario_result(..., testbed_format(...));
 *	return testbed_status(&testbed);
 *
 * Options: data=NAME and digitizer=NAME (see disks.h), hot_reads=100000 (to measure the hit ratio,
 * before and after).
 */
#pragma once

#include "disks.h"
#include "fill.h"
#include "load.h"
#include "reclaim_stats.h"

#define TESTBED_PATIENCE_NS (60 * NS_PER_S) /* without any progress */
#define TESTBED_TAKE_NS     (30 * NS_PER_S) /* for each buffer; far beyond what any may need */

/* What some requests got, and what that cost. */
struct reclaim_totals {
	uint64_t gained_bytes, evicted_bytes, moved_pages;
	int64_t lost_bytes;
};

struct testbed {
	struct scenario *scenario;
	const struct app_environment *environment;
	struct disks disks;
	struct loads loads;
	struct fill_goal goal;
	uint64_t cached_bytes;                     /* when full */
	uint64_t hot_reads, hot_before, hot_after; /* reads, and hits among them */
	struct reclaim_totals totals;              /* of all requests */
	_Atomic uint64_t failures;                 /* of anything that was promised */
	uint64_t missed;                           /* figures worse than they may be */
	uint64_t bad_pages;                        /* known after testbed_end */
};

/*
 * Returns when the cache is full and the loads have made it theirs: hits have been measured in the
 * state in which the requests find it, and the loads run. What went wrong there counts as a failure
 * of the testbed; on any other status there is nothing to end, and a message was printed.
 */
status_t testbed_begin(struct testbed *testbed, struct scenario *scenario, uint64_t request_bytes) MUST_CHECK;

/*
 * Lets the hot reader read alone until it hits no more often than before, and takes that for what
 * was before: only a hot set that is warm has something to lose. After testbed_begin.
 */
void testbed_warm(struct testbed *testbed);

/* Stops the loads, compares what they wrote, and frees them. */
void testbed_end(struct testbed *testbed);

/*
 * STATUS_CORRUPT: something failed. Figures that were missed are only reported: they want a machine
 * of some size.
 */
status_t testbed_status(const struct testbed *testbed) MUST_CHECK;

/*
 * "failures=0 missed=0 ... hot_hit_after=0.9" of a testbed that has ended, the totals of all
 * requests included; returns `buffer`.
 */
#define TESTBED_TEXT_BYTES 384
const char *testbed_format(char buffer[TESTBED_TEXT_BYTES], const struct testbed *testbed);

/* "gained_bytes=... copied_pages=..."; returns `buffer`. */
#define RECLAIM_TOTALS_BYTES 192
const char *reclaim_totals_format(char buffer[RECLAIM_TOTALS_BYTES], const struct reclaim_totals *totals);

/* Adds a delta, and what was gained, to the totals. */
void reclaim_totals_add(struct reclaim_totals *totals, uint64_t gained_bytes, const struct reclaim_delta *delta);

/* Counts a failure; prints it. Any task. */
void testbed_fail(struct testbed *testbed, const char *what, status_t status);

/* Counts it if part / whole is above `limit_percent` in a hundred; prints it then. */
void testbed_expect_share(struct testbed *testbed, const char *what, uint64_t part, uint64_t whole, uint64_t limit_percent);

/* The same for what was lost in all for each byte that was gained. */
void testbed_expect_lost(struct testbed *testbed, const char *what, const struct reclaim_totals *totals,
			 uint64_t limit_percent);

/*
 * The same for the hits of the hot reader, which may lose `points` in a hundred. After testbed_end.
 */
void testbed_expect_hits(struct testbed *testbed, uint64_t points);

/* Waits until the loads have filled the cache again. */
void testbed_refill(struct testbed *testbed);

/* The same where others hold more memory than before, so that less counts as full from now on. */
void testbed_refill_rest(struct testbed *testbed);

/*
 * `wanted` bytes, or `parts` of 16 of the machine's RAM if that is less; a multiple of
 * `grain_bytes`.
 */
uint64_t testbed_scale(const struct app_environment *environment, uint64_t wanted, unsigned parts, uint64_t grain_bytes);
