// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory of a machine: block heap, cleaners and general heap put together, with watermarks and
 * reclaim.
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
 * takes what they give: a round. Blocks that are being reclaimed are pending (claimed_blocks):
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

#include "block_heap.h"
#include "bookkeeping.h"
#include "cleaner.h"
#include "fair_mutex.h"
#include "general_heap.h"
#include "guarantee.h"
#include "owned_heap.h"
#include "runtime/base/command.h"
#include "runtime/base/worker.h"
#include "trace.h"

struct memory_config {
	uint64_t min_bytes;            /* free memory that only kernel objects may take */
	uint64_t low_bytes;            /* free memory above which caches may grow; at least min_bytes */
	uint64_t high_bytes;           /* what the background cleaner frees up to, once below low; 0: low_bytes */
	unsigned atomic_percent;       /* of min_bytes: for callers that may not sleep */
	uint64_t general_retain_bytes; /* free bytes that a drain leaves in the general heap */
	struct guard_config guard;     /* of objects of the general heap */
	uint64_t dma_retain_bytes;     /* the same for small DMA memory, for each address mask in use */
	struct guarantee_config guarantee;
	uint64_t trace_events; /* of reclaim that are kept; 0 or a power of two, see trace.h */
};

#define MEMORY_FAILURE_NAME_BYTES 32

enum memory_wait {
	MEMORY_WAIT_NEVER,
	MEMORY_WAIT_DEADLINE,
	MEMORY_WAIT_FOREVER,
};

struct memory_request {
	uint64_t blocks;      /* of one run */
	uint64_t last_blocks; /* of the last run, if it is shorter; or 0 */
	struct block_constraints constraints;
	struct owner *owner;
	bool below_min; /* a kernel object: may use the blocks below min */
	enum memory_wait wait;
	uint64_t deadline_ns; /* platform_now_ns, for MEMORY_WAIT_DEADLINE */
};

static inline uint64_t memory_request_last_blocks(const struct memory_request *request)
{
	return request->last_blocks != 0 ? request->last_blocks : request->blocks;
}

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
	struct memory *memory;
	struct memory_request request; /* of each take, but for the arguments of the take */
};

/* DMA memory, for dma*.c (dma_state.h). */
struct dma {
	struct list buffers; /* [E] all of them, in the order in which they were made */
	struct list clients; /* [E] */
	struct list zones;   /* [E] */
	_Atomic uint64_t allocs, failures;
};

/* The request that is to be reported next (failure_report.h). [F]: lock, a leaf. */
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

struct memory {
	struct block_heap blocks;
	struct bookkeeping bookkeeping;
	struct cleaner_registry cleaners;
	struct memory_config config;    /* [I] */
	struct fair_mutex reclaim_lock; /* [turn]: members that its holder alone uses */
	uint64_t patience_again_ns;     /* [turn] no request waits for windows until then */
	_Atomic uint32_t frees;         /* changes with each free; requests sleep on it */
	_Atomic uint32_t waiters;
	_Atomic uint64_t claimed_blocks;    /* being reclaimed for requests under way */
	struct worker background;           /* the background cleaner */
	struct memory_source kernel_source; /* [I] reclaims, may use the blocks below min */
	struct memory_source large_source;  /* [I] the same, not below min: for large objects */
	struct memory_source cache_source;  /* [I] for caches: never reclaims, and takes nothing below low */
	struct general_heap general;
	uint64_t own_bytes;       /* [I] bytes of the general heap that serve this structure */
	struct owned_heaps owned; /* parts of the general heap by owner */
	struct guarantee guarantee;
	struct dma dma;
	struct memory_statistics statistics;
	struct memory_failure failure;
	struct event_trace trace;
};

/* Bytes of metadata (aligned to 64) for these ranges; 0 when no whole block lies within them. */
uint64_t memory_metadata_bytes(const struct phys_range *ranges, uint32_t count);

/*
 * At start-up, on one CPU, before tasks run; interrupts may be off. Arguments as block_heap_init. STATUS_INVALID: no block, or
 * the config contradicts itself.
 */
status_t memory_init(struct memory *memory, const struct memory_config *config, const struct phys_range *ranges, uint32_t count,
		     void *metadata) MUST_CHECK;

/*
 * For tests. STATUS_BUSY: an object of the general heap, DMA memory or a piece of the guarantee is
 * still allocated, or a cache is a donor; then nothing was done. The owners of other blocks and
 * objcaches have freed them before: memory_fini does not check them.
 */
status_t memory_fini(struct memory *memory) MUST_CHECK;

/* The general heap; reclaims where platform_may_sleep(). Serves kernel, drivers and app. */
struct heap *memory_general_heap(struct memory *memory);

/* The general heap for one owner, see owned_heap.h. */
void memory_owned_heap_init(struct memory *memory, struct owned_heap *owned, const char *owner);

/* `config->source`, `bookkeeping` and `cleaners` are filled in: it reclaims where platform_may_sleep(). */
status_t memory_objcache_init(struct memory *memory, struct objcache *cache, struct objcache_config config) MUST_CHECK;

/*
 * A source of blocks under constraints, which takes nothing below min. It reclaims where platform_may_sleep(), and waits as
 * source->request.wait says (at first MEMORY_WAIT_NEVER).
 */
void memory_source_init(struct memory_source *source, struct memory *memory, const struct block_constraints *constraints);

/*
 * Whether the machine could give `count` runs if all of its memory but min and the guarantee were
 * free. Answers in a few steps, for any request. Any context.
 */
bool memory_could_give(const struct memory *memory, const struct memory_request *request, uint32_t count);

/*
 * Takes `count` runs, reclaimed for together; all or nothing. STATUS_RANGE, before anything is
 * cleaned or waited for: memory_could_give says no. STATUS_NO_MEMORY: not to be had now, reported
 * in the log; STATUS_TIMEOUT: deadline passed; STATUS_INVALID.
 *
 * A request that sleeps holds none of the runs meanwhile, so that requests which together want more
 * than there is all end. Each run is taken where its eviction cost is lowest; where that leaves no
 * room for the last ones, they are packed. A last run that is shorter may then find no room if the
 * alignment is more than a block.
 */
status_t memory_blocks_alloc_many(struct memory *memory, const struct memory_request *request, uint32_t count,
				  struct phys_addr *runs) MUST_CHECK;

static inline status_t memory_blocks_alloc(struct memory *memory, const struct memory_request *request, struct phys_addr *run)
{
	return memory_blocks_alloc_many(memory, request, 1, run);
}

/* Frees one run. */
void memory_blocks_free(struct memory *memory, struct phys_addr run);

/*
 * Asks the cleaners for `bytes`, however much is free, and returns the bytes that reached the block
 * heap: at most `bytes` rounded up to a block. UINT64_MAX: all that may go. `may_wait`: has dirty
 * memory written, and waits as long as there is progress. Where platform_may_sleep(), not while
 * cleaning.
 */
uint64_t memory_drain(struct memory *memory, uint64_t bytes, bool may_wait);

/* The same until the clock shows `deadline_ns`. */
uint64_t memory_drain_until(struct memory *memory, uint64_t bytes, bool may_wait, uint64_t deadline_ns);

/* Called by cleaners: I/O of theirs has ended, and they may have more to give. Any context. */
void memory_notice(struct memory *memory);

/* True while a cache may take a fresh block. */
bool memory_may_grow(struct memory *memory);

uint64_t memory_free_bytes(struct memory *memory);
uint64_t memory_total_bytes(struct memory *memory);

/* NULL: none. The injector lives until another one is set and no allocation is under way. */
void memory_set_fault_injector(struct memory *memory, struct fault_injector *fault);

/* Logs which owners hold the memory and what each cleaner answered last. */
void memory_report(struct memory *memory);

/* Prints the owners of blocks, the largest first. */
void memory_print_owners(struct memory *memory);

/*
 * Writes, in lines, what is allocated of the heaps and by which code: by owners and call sites
 * (owned_heap.h), by caches, and by call sites of guarded objects. Task context.
 */
void memory_leaks_write(struct memory *memory, void (*line)(const char *text));

/* mem, mem owners, mem map, heaps, heaps leaks, cleaners, dma, drain, trace. */
void memory_commands_register(struct memory *memory, struct command_table *table);
