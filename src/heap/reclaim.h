/* Reclaim: what memory.c turns to when a request does not fit. */
#pragma once

#include "memory.h"

/* A request on its way: `count` runs, of which `got` have been taken into `runs`. A drain has `bytes` instead. */
struct reclaim {
	struct memory *memory;
	const struct memory_request *request;
	struct phys_addr *runs;
	uint32_t count;
	uint32_t got;
	uint64_t bytes;
	enum urgency urgency;
	uint64_t deadline_ns; /* PLATFORM_FOREVER: none */
	bool has_turn;
	bool passes;              /* the turn on, as soon as it has taken what is free */
	bool placed;              /* each run only in its place (block_heap.h), if that can be emptied */
	bool displaced;           /* that of the next run cannot be */
	struct phys_addr place;   /* where that is, if it is in use */
	uint32_t obstacles;       /* what is in the way of the window that it empties */
	bool claims;              /* what has not been taken yet counts in memory->claimed_blocks */
	bool may_write;           /* in this round */
	bool under_way;           /* cleaners have started writes */
	uint64_t gained;          /* bytes that cleaners gave, so far */
	uint64_t complaint_ns;    /* when it is reported that it still waits */
	bool is_patient;          /* the last round left heavy windows alone, for one that weighs little (reclaim_runs.c) */
	uint64_t patience_end_ns; /* 0: it has not begun */
};

/* Blocks of the run that is taken next. */
static inline uint64_t reclaim_run_blocks(const struct reclaim *reclaim)
{
	const struct memory_request *request = reclaim->request;

	return reclaim->got + 1 == reclaim->count ? memory_request_last_blocks(request) : request->blocks;
}

/* Takes runs that are free; returns true when all have been taken. Any task context. */
bool reclaim_take_free(struct reclaim *reclaim);

/* Frees all runs that have been taken, but wakes no task that waits for memory. */
void reclaim_give_back(struct reclaim *reclaim);

/*
 * Goes through rounds of cleaning until all runs have been taken; what was taken on failure stays in `runs`. Where
 * platform_may_sleep(), not from inside of a cleaner. STATUS_NO_MEMORY, STATUS_TIMEOUT.
 */
status_t reclaim_run(struct reclaim *reclaim) MUST_CHECK;

/*
 * Takes a turn and asks all cleaners in order, until `gained` has come to `bytes` or the deadline has passed. After each block
 * the turn is passed on to requests that wait for it. The caller fills in memory, bytes, urgency, deadline_ns and may_write.
 */
void reclaim_drain(struct reclaim *reclaim);
