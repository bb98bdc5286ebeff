// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the scenarios that take memory have in common: memory full of cached pages, the loads at work, and at the end a look
 * whether anything was lost.
 *
 *	trial_begin(&trial, scenario, largest_request_bytes);
 *	... take memory, trial_refill, take memory ...; trial_fail, trial_expect_share where something was not as promised
 *	trial_end(&trial);                   the loads have stopped, all that was written has been compared
 *	trial_expect_hits(&trial, 1);
 *	scenario_result(..., trial_format(...));
 *	return trial_status(&trial);
 *
 * Options: data=NAME and digitizer=NAME (see disks.h), hot_reads=100000 (to measure the hit ratio, before and after).
 */
#pragma once

#include "disks.h"
#include "fill.h"
#include "ledger.h"
#include "load.h"

#define TRIAL_PATIENCE_NS (60 * NS_PER_S) /* without any progress */
#define TRIAL_TAKE_NS     (30 * NS_PER_S) /* for each buffer; far beyond what any may need */

/* What some requests got, and what that cost. */
struct books {
	uint64_t gained_bytes, evicted_bytes, moved_pages;
	int64_t lost_bytes;
};

struct trial {
	struct scenario *scenario;
	const struct app_environment *environment;
	struct disks disks;
	struct loads loads;
	struct fill_goal goal;
	uint64_t cached_bytes;                     /* when full */
	uint64_t hot_reads, hot_before, hot_after; /* reads, and hits among them */
	struct books books;                        /* of all requests */
	_Atomic uint64_t failures;                 /* of anything that was promised */
	uint64_t missed;                           /* figures worse than they may be */
	uint64_t bad_pages;                        /* known after trial_end */
};

/*
 * Returns when the cache is full and the loads have made it theirs: hits have been measured in the state in which the requests
 * find it, and the loads run. What went wrong there counts as a failure of the trial; on any other status there is nothing to
 * end, and a message was printed.
 */
status_t trial_begin(struct trial *trial, struct scenario *scenario, uint64_t request_bytes) MUST_CHECK;

/*
 * Lets the hot reader read alone until it hits no more often than before, and takes that for what was before: only a hot set
 * that is warm has something to lose. After trial_begin.
 */
void trial_warm(struct trial *trial);

/* Stops the loads, compares what they wrote, and frees them. */
void trial_end(struct trial *trial);

/* STATUS_CORRUPT: something failed. Figures that were missed are only reported: they want a machine of some
 * size. */
status_t trial_status(const struct trial *trial) MUST_CHECK;

/* "failures=0 missed=0 ... hot_hit_after=0.9" of an ended trial, the books of all requests included; returns `buffer`. */
#define TRIAL_TEXT_BYTES 384
const char *trial_format(char buffer[TRIAL_TEXT_BYTES], const struct trial *trial);

/* "gained_bytes=... copied_pages=..."; returns `buffer`. */
#define BOOKS_TEXT_BYTES 192
const char *books_format(char buffer[BOOKS_TEXT_BYTES], const struct books *books);

/* Adds a balance, and what was gained, to the books. */
void books_add(struct books *books, uint64_t gained_bytes, const struct balance *balance);

/* Counts a failure; prints it. Any task. */
void trial_fail(struct trial *trial, const char *what, status_t status);

/* Counts it if part / whole is above `limit_percent` in a hundred; prints it then. */
void trial_expect_share(struct trial *trial, const char *what, uint64_t part, uint64_t whole, uint64_t limit_percent);

/* The same for what was lost in all for each byte that was gained. */
void trial_expect_lost(struct trial *trial, const char *what, const struct books *books, uint64_t limit_percent);

/* The same for the hits of the hot reader, which may lose `points` in a hundred. After trial_end. */
void trial_expect_hits(struct trial *trial, uint64_t points);

/* Waits until the loads have filled the cache again. */
void trial_refill(struct trial *trial);

/* The same where others hold more memory than before, so that less counts as full from now on. */
void trial_refill_rest(struct trial *trial);

/* `wanted` bytes, or `parts` of 16 of the machine's RAM if that is less; a multiple of `grain_bytes`. */
uint64_t trial_scale(const struct app_environment *environment, uint64_t wanted, unsigned parts, uint64_t grain_bytes);
