// SPDX-License-Identifier: BSD-2-Clause
/* Reclaim: makes cached memory free for a request that does not fit (memory.c). */
#pragma once

#include "memory.h"

/*
 * A request that is being reclaimed for: `count` runs, of which `got` have been taken into `runs`.
 * A drain has `bytes` instead.
 */
struct reclaim_job {
	struct memory *memory;
	const struct memory_request *request;
	struct phys_addr *runs;
	uint32_t count;
	uint32_t got;
	uint64_t bytes;
	enum urgency urgency;
	uint64_t deadline_ns; /* PLATFORM_FOREVER: none */
	bool has_turn;
	bool passes;              /* the turn on, after it has taken what is free */
	bool placed;              /* each run only in its place (block_heap.h), if that can be emptied */
	bool displaced;           /* the place of the next run cannot be emptied */
	struct phys_addr place;   /* that place, if it is in use; 0: none */
	uint32_t obstacles;       /* blocks in the way of the window that it empties */
	bool claims;              /* its missing blocks count in memory->claimed_blocks */
	bool may_write;           /* cleaners may write in this round */
	bool under_way;           /* cleaners have started writes */
	uint64_t gained;          /* bytes that cleaners gave, so far */
	uint64_t complaint_ns;    /* when a report says that it still waits */
	bool is_patient;          /* it waits for a cheaper window (reclaim_runs.c) */
	uint64_t patience_end_ns; /* 0: not begun */
};

/* Blocks of the run that is taken next. */
static inline uint64_t reclaim_run_blocks(const struct reclaim_job *job)
{
	const struct memory_request *request = job->request;

	return job->got + 1 == job->count ? memory_request_last_blocks(request) : request->blocks;
}

/* Takes free runs; returns true when all have been taken. Any task context. */
bool reclaim_take_free(struct reclaim_job *job);

/* Frees all runs that have been taken, but wakes no task that waits for memory. */
void reclaim_give_back(struct reclaim_job *job);

/*
 * Goes through rounds of cleaning until all runs have been taken; on failure the runs that were
 * taken stay in `runs`. Where platform_may_sleep(), not from inside of a cleaner. STATUS_NO_MEMORY,
 * STATUS_TIMEOUT.
 */
status_t reclaim_run(struct reclaim_job *job) MUST_CHECK;

/*
 * Takes a turn and asks all cleaners in order, until `gained` has come to `bytes` or the deadline
 * has passed. After each block it passes the turn on to requests that wait for it. The caller fills
 * in memory, bytes, urgency, deadline_ns and may_write.
 */
void reclaim_drain(struct reclaim_job *job);
