// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the parts of reclaim share: reclaim.c (requests, rounds, waiting) and reclaim_runs.c (runs
 * of blocks).
 */
#pragma once

#include "heap/block/window.h"
#include "reclaim.h"

/*
 * A request that is being reclaimed for: `count` runs, of which `got` have been taken into `runs`.
 * A drain has `bytes` instead.
 */
struct reclaim_job {
	struct reclaim *reclaim;
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
	struct window place;      /* what is left of that place, without the free blocks at its start */
	uint32_t unmovable;       /* blocks in the way of the window that it empties */
	bool claims;              /* its missing blocks count in reclaim->pending_blocks */
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
 * in reclaim, bytes, urgency, deadline_ns and may_write.
 */
void reclaim_drain_turn(struct reclaim_job *job);

/* What the cleaners are asked for. */
struct reclaim_question {
	struct reclaim_target target;   /* addresses and window; the rest is filled in */
	enum cleaner_cost highest_cost; /* no cleaner of a higher cost is asked */
	bool together;                  /* all that is missing is asked for at once */
	uint64_t (*missing)(struct reclaim_job *job, const struct reclaim_target *target); /* blocks; 0: no more */
};

/*
 * Asks the cleaners in order, each as long as it gives, until `missing` says 0 or the deadline has
 * passed. After each block `missing` is called anew, and takes what the request can have; then
 * other requests have their turn. Returns the bytes gained. The caller has the turn, before and
 * afterwards.
 */
uint64_t reclaim_ask_cleaners(struct reclaim_job *job, const struct reclaim_question *question);

/* The same, for memory at any address. */
uint64_t reclaim_ask_anywhere(struct reclaim_job *job, enum cleaner_cost highest_cost,
			      uint64_t (*missing)(struct reclaim_job *job, const struct reclaim_target *target));

/* Takes one run under these constraints, if it is free. */
bool reclaim_take_one(struct reclaim_job *job, const struct block_constraints *constraints, bool inside_isolated);

/*
 * Takes the run of a placed request whose place is in use: empties the place, or the next one if
 * something is in the way. If no place can be emptied, the run may lie anywhere. The caller has the
 * turn.
 */
bool reclaim_take_place(struct reclaim_job *job, const struct run_request *request);

/*
 * Gives one turn to each request in line that is as urgent. Another window may be isolated
 * afterwards.
 */
void reclaim_pass_turn_on(struct reclaim_job *job);

/* Blocks that the request has to leave free. */
uint64_t reclaim_leave_free(const struct reclaim_job *job);

static inline bool reclaim_is_late(const struct reclaim_job *job)
{
	return job->deadline_ns != PLATFORM_FOREVER && platform_now_ns() >= job->deadline_ns;
}

/*
 * One round for a request that needs windows. It takes what it can, but may leave costly windows
 * for a later round (is_patient), and returns the bytes gained. The caller has the turn.
 */
uint64_t reclaim_round_of_runs(struct reclaim_job *job);

/*
 * Sleeps until reclaim->frees is not `seen` any more, or the clock shows `deadline_ns`; may end
 * early.
 */
void reclaim_wait_for_frees(struct reclaim *reclaim, uint32_t seen, uint64_t deadline_ns);

static inline uint64_t reclaim_lacking(uint64_t want, uint64_t have)
{
	return want > have ? want - have : 0;
}
