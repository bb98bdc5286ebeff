// SPDX-License-Identifier: BSD-2-Clause
/* What the parts of reclaim share: reclaim.c (requests, rounds, waiting) and reclaim_runs.c (runs of blocks). */
#pragma once

#include "reclaim.h"

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
bool reclaim_take_one(struct reclaim_job *job, const struct block_constraints *constraints, bool inside_fence);

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
uint64_t reclaim_keep_blocks(const struct reclaim_job *job);

static inline bool reclaim_is_late(const struct reclaim_job *job)
{
	return job->deadline_ns != PLATFORM_FOREVER && platform_now_ns() >= job->deadline_ns;
}

/*
 * One round for a request that needs windows. It takes what it can, but may leave costly windows
 * for a later round (is_patient), and returns the bytes gained. The caller has the turn.
 */
uint64_t reclaim_round_of_runs(struct reclaim_job *job);

/* Sleeps until memory->frees is not `seen` any more, or the clock shows `deadline_ns`; may end early. */
void memory_wait_for_frees(struct memory *memory, uint32_t seen, uint64_t deadline_ns);

static inline uint64_t reclaim_lacking(uint64_t want, uint64_t have)
{
	return want > have ? want - have : 0;
}
