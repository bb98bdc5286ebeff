// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reclaim: what a request for blocks takes, and how cached memory is made free for a request that
 * does not fit.
 *
 *	free bytes   0 ........ min ................ low ......... high .......... all
 *	             only kernel  DMA and big runs,    caches grow
 *	             objects      caches do not grow
 *
 * The watermarks count free blocks wherever they are. The blocks below min wait for kernel objects,
 * which take any block. So a request for certain addresses takes a block there as soon as it is
 * free; if fewer than min blocks would stay free, it has others cleaned, anywhere, and fails only
 * if none can be cleaned.
 *
 * Reclaim. A request that does not fit asks the cleaners for what is missing, in their order, and
 * takes what they give: a round. Blocks that are being reclaimed are pending (pending_blocks):
 * caches do not grow into them. Requests take turns by the reclaim lock (fair_mutex.h); no turn
 * waits for I/O or for the console. A request asks for single blocks one at a time, and after each
 * block it passes its turn on to requests in line that are as urgent.
 *
 * A request for a run chooses the window with the lowest eviction cost, isolates it and has it
 * emptied, then the next best one. Before it empties a window that costs much more than one with
 * something in the way, a request that may wait does so for a while (reclaim_runs.c). Only one
 * window is isolated at a time: the isolation lasts while other requests have a turn, unless one of
 * them isolates a window of its own; then caches may take what was emptied so far. A request that
 * still empties its window isolates it anew when its turn comes again; if blocks of it are gone at
 * the end, it takes the next best window. Between its rounds a request sleeps until something has
 * been freed or written.
 *
 * When free memory falls below low, or a request fails, the background cleaner
 * (background_cleaner.h) brings it up to high.
 *
 * Waiting. MEMORY_WAIT_NEVER: takes free memory, and where platform_may_sleep() has memory cleaned
 * as far as that goes without I/O. It is more urgent than requests that may wait: those do at most
 * one block's work before it has its turn. MEMORY_WAIT_DEADLINE and MEMORY_WAIT_FOREVER: also have
 * dirty memory written, and wait in rounds for that and for memory that others free. Without
 * platform_may_sleep() all three take only free memory. No request waits for what the machine can
 * never give.
 *
 * A task that cleans must not allocate: its request ends in a panic.
 *
 * Lock order: reclaim lock -> (locks of the cleaners' owners) -> registry lock | objcache lock |
 * metadata heap -> block heap lock -> guarantee lock.
 */
#pragma once

#include "cleaner.h"
#include "fair_mutex.h"
#include "heap/block/metadata_heap.h"
#include "heap/block/trace.h"
#include "memory_request.h"
#include "runtime/base/worker.h"

/* Free memory, in whole blocks. */
struct watermarks {
	uint64_t min_bytes, low_bytes, high_bytes; /* see above */
	unsigned atomic_percent;                   /* of min_bytes: for callers that may not sleep */
};

#define MEMORY_FAILURE_NAME_BYTES 32

struct memory_statistics {
	_Atomic uint64_t requests;
	_Atomic uint64_t reclaims; /* requests that did not fit at once */
	_Atomic uint64_t failures;
	_Atomic uint64_t cleaned_bytes;    /* reached the block heap through cleaners */
	_Atomic uint64_t windows;          /* windows tried for runs */
	_Atomic uint64_t timeouts;         /* failures whose deadline had passed */
	_Atomic uint64_t late_ns_max;      /* how long after its deadline a request returned, at most */
	_Atomic uint64_t background_bytes; /* of cleaned_bytes, for the background cleaner */
};

/* The memory behind the interface that objcaches and general heaps take blocks from. */
struct memory_source {
	struct block_source blocks;
	struct reclaim *reclaim;
	struct memory_request request; /* of each take, but for the arguments of the take */
};

/* The request that is to be reported next (oom_report.h). [F]: lock, a leaf. */
struct memory_failure {
	struct spinlock lock;
	struct worker worker;
	_Atomic bool has_task;
	uint64_t reported_ns; /* [F] time of the last report */
	struct failure_note { /* [F] */
		bool is_due;
		char owner[MEMORY_FAILURE_NAME_BYTES];
		uint32_t missing, count; /* runs */
		uint64_t blocks;         /* of each run */
		struct block_constraints constraints;
		status_t status;
	} note;
};

/* Logs what owners without a cleaner have in [lowest, highest], for reports. Any task context. */
struct reclaim_explainer {
	void (*explain)(struct reclaim_explainer *self, struct phys_addr lowest, struct phys_addr highest);
};

struct reclaim {
	struct block_heap *blocks;      /* [I] */
	struct metadata_heap *metadata; /* [I] */
	struct watermarks watermarks;   /* [I] */
	uint64_t guaranteed_blocks;     /* [I] of the guarantee: no other request gets these */
	struct cleaner_registry cleaners;
	struct fair_mutex lock;     /* [turn]: members that its holder alone uses */
	uint64_t patience_again_ns; /* [turn] no request waits for windows until then */
	_Atomic uint32_t frees;     /* changes with each free; requests sleep on it */
	_Atomic uint32_t waiters;
	_Atomic uint64_t pending_blocks;    /* being reclaimed for requests under way */
	struct worker background;           /* the background cleaner */
	struct memory_source kernel_source; /* [I] reclaims, may use the blocks below min */
	struct memory_source large_source;  /* [I] the same, not below min: for large objects */
	struct memory_statistics statistics;
	struct memory_failure failure;
	struct event_trace trace;
	struct reclaim_explainer *explainer; /* [I] or NULL */
};

/*
 * At start-up; all zero before. `trace_events`: trace_init. The heap and the metadata heap stay as
 * long as reclaim does.
 */
status_t reclaim_init(struct reclaim *reclaim, struct block_heap *blocks, struct metadata_heap *metadata,
		      const struct watermarks *watermarks, uint64_t trace_events) MUST_CHECK;

/*
 * A source of blocks under constraints, which takes nothing below min. It reclaims where
 * platform_may_sleep(), and waits as source->request.wait says (at first MEMORY_WAIT_NEVER).
 */
void memory_source_init(struct memory_source *source, struct reclaim *reclaim, const struct block_constraints *constraints);

/*
 * Whether the machine could give `count` runs if all of its memory but min and the guarantee were
 * free. Answers in a few steps, for any request. Any context.
 */
bool reclaim_could_give(const struct reclaim *reclaim, const struct memory_request *request, uint32_t count);

/*
 * Takes `count` runs, reclaimed for together; all or nothing. STATUS_RANGE, before anything is
 * cleaned or waited for: reclaim_could_give says no. STATUS_NO_MEMORY: not to be had now, reported
 * in the log; STATUS_TIMEOUT: deadline passed; STATUS_INVALID.
 *
 * A request that sleeps holds none of the runs meanwhile, so that requests which together want more
 * than there is all end. Each run is taken where its eviction cost is lowest; where that leaves no
 * room for the last ones, they are packed. A last run that is shorter may then find no room if the
 * alignment is more than a block.
 */
status_t reclaim_blocks_alloc(struct reclaim *reclaim, const struct memory_request *request, uint32_t count,
			      struct phys_addr *runs) MUST_CHECK;

/* Frees one run. */
void reclaim_blocks_free(struct reclaim *reclaim, struct phys_addr run);

/*
 * Asks the cleaners for `bytes`, however much is free, until the clock shows `deadline_ns`, and
 * returns the bytes that reached the block heap: at most `bytes` rounded up to a block. UINT64_MAX:
 * all that may go. `may_wait`: has dirty memory written, and waits as long as there is progress.
 * Where platform_may_sleep(), not while cleaning.
 */
uint64_t reclaim_drain(struct reclaim *reclaim, uint64_t bytes, bool may_wait, uint64_t deadline_ns);

/* Called by cleaners: I/O of theirs has ended, and they may have more to give. Any context. */
void reclaim_notice(struct reclaim *reclaim);

/* True while a cache may take a fresh block. */
bool reclaim_may_grow(struct reclaim *reclaim);

/* Takes a fresh block for a cache: never reclaims, and takes nothing below low. */
status_t reclaim_cache_take(struct reclaim *reclaim, struct owner *owner, struct phys_addr *block) MUST_CHECK;

/* Its holder has a turn, in line with requests: no cleaner runs meanwhile. */
static inline struct fair_mutex *reclaim_turn(struct reclaim *reclaim)
{
	return &reclaim->lock;
}

static inline struct cleaner_registry *reclaim_cleaners(struct reclaim *reclaim)
{
	return &reclaim->cleaners;
}

static inline struct event_trace *reclaim_trace(struct reclaim *reclaim)
{
	return &reclaim->trace;
}

static inline const struct watermarks *reclaim_watermarks(const struct reclaim *reclaim)
{
	return &reclaim->watermarks;
}

/* Logs which owners hold the memory and what each cleaner answered last. */
void reclaim_report(struct reclaim *reclaim);
