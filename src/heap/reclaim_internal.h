/* What the parts of reclaim share: reclaim.c (requests, rounds, waiting) and reclaim_runs.c (runs of blocks). */
#pragma once

#include "reclaim.h"

/* What the cleaners are asked for. */
struct reclaim_question {
	struct reclaim_target target;   /* where, and what of a window; the rest is the request's, or by what is missing */
	enum cleaner_cost highest_cost; /* nobody who costs more is asked */
	bool together;                  /* all that is missing is asked for at once */
	uint64_t (*missing)(struct reclaim *reclaim, const struct reclaim_target *target); /* blocks; 0: no more */
};

/*
 * Asks the cleaners in order, each as long as it gives, until `missing` says 0 or the deadline has passed. `missing` is
 * computed anew after each block; it takes what the request can have. Then others have their turn. Returns the bytes gained.
 * The caller has the turn, before and afterwards.
 */
uint64_t reclaim_ask_cleaners(struct reclaim *reclaim, const struct reclaim_question *question);

/* The same, wherever the memory is. */
uint64_t reclaim_ask_anywhere(struct reclaim *reclaim, enum cleaner_cost highest_cost,
			      uint64_t (*missing)(struct reclaim *reclaim, const struct reclaim_target *target));

/* Takes one run under these constraints, if it is free. */
bool reclaim_take_one(struct reclaim *reclaim, const struct block_constraints *constraints, bool inside_fence);

/*
 * Takes the run of a placed request, whose place is in use: has that emptied, or the next one if something is in the way. Where
 * nothing helps, the run may lie anywhere. The caller has the turn.
 */
bool reclaim_take_place(struct reclaim *reclaim, const struct run_request *request);

/* One turn for each of those in line who are as urgent. Another window may be fenced afterwards. */
void reclaim_pass_turn_on(struct reclaim *reclaim);

/* Blocks that the request has to leave free. */
uint64_t reclaim_keep_blocks(const struct reclaim *reclaim);

static inline bool reclaim_is_late(const struct reclaim *reclaim)
{
	return reclaim->deadline_ns != PLATFORM_FOREVER && platform_now_ns() >= reclaim->deadline_ns;
}

/*
 * One round for a request that needs windows; takes what it can, but may leave heavy ones for a later round (is_patient), and
 * returns the bytes gained. The caller has the turn.
 */
uint64_t reclaim_round_of_runs(struct reclaim *reclaim);

/* Sleeps until memory->frees is not `seen` any more, or the clock shows `deadline_ns`; may end early. */
void memory_wait_for_frees(struct memory *memory, uint32_t seen, uint64_t deadline_ns);

static inline uint64_t reclaim_lacking(uint64_t want, uint64_t have)
{
	return want > have ? want - have : 0;
}
