/*
 * The memory of a machine: block heap, cleaners and general heap put together, with watermarks and reclaim.
 *
 *	free bytes   0 ........ min ................ low ...................... all
 *	             only kernel  DMA and big runs,    caches grow
 *	             objects      caches do not grow
 *
 * A request that does not fit takes the reclaim mutex, asks the cleaners for what is missing, in their order, and tries again
 * after each of them. Requests that come meanwhile queue up at the mutex; what is being reclaimed is claimed, so that caches do
 * not grow into it. A run of blocks is made by choosing the window with the least to clean and fencing it off, then the next
 * best one. A request from inside of a cleaner gets only what is free.
 *
 * Waiting. MEMORY_WAIT_NEVER: takes what is free, and where platform_may_sleep() what can be cleaned without I/O;
 * it starts no I/O, but may queue behind a round of somebody else that goes on to wait for I/O.
 * MEMORY_WAIT_DEADLINE and MEMORY_WAIT_FOREVER: also wait for I/O and for others to free, in rounds. Without
 * platform_may_sleep() all three take only what is free.
 *
 * Lock order: reclaim mutex -> (locks of the cleaners' owners) -> registry lock | objcache lock | bookkeeping -> block heap
 * lock.
 */
#pragma once

#include "block_heap.h"
#include "bookkeeping.h"
#include "cleaner.h"
#include "general_heap.h"
#include "guarantee.h"
#include "runtime/base/command.h"
#include "runtime/base/mutex.h"
#include "trace.h"

struct memory_config {
	uint64_t min_bytes;            /* free memory that only kernel objects may take */
	uint64_t low_bytes;            /* free memory above which caches may grow; at least min_bytes */
	uint64_t general_retain_bytes; /* free bytes that a drain leaves in the general heap */
	uint64_t dma_retain_bytes;     /* the same for small DMA memory, for each address mask in use */
	struct guarantee_config guarantee;
	uint64_t trace_events; /* that are kept of reclaim; 0 or a power of two, see trace.h */
};

enum memory_wait {
	MEMORY_WAIT_NEVER,
	MEMORY_WAIT_DEADLINE,
	MEMORY_WAIT_FOREVER,
};

struct memory_request {
	uint64_t blocks; /* of one run */
	struct block_constraints constraints;
	struct owner *owner;
	bool below_min; /* a kernel object: may use what lies below min */
	enum memory_wait wait;
	uint64_t deadline_ns; /* platform_now_ns, for MEMORY_WAIT_DEADLINE */
};

struct memory_statistics {
	uint64_t requests;
	uint64_t reclaims; /* requests that did not fit at once */
	uint64_t failures;
	uint64_t cleaned_bytes; /* reached the block heap through cleaners */
	uint64_t windows;       /* windows tried for runs */
};

/* The memory behind the interfaces that objcaches and general heaps take blocks from. */
struct memory_source {
	struct block_source blocks;
	struct run_source runs;
	struct memory *memory;
	struct block_constraints constraints;
	bool below_min;
	bool cache; /* never reclaims, and takes nothing below low */
	enum memory_wait wait;
	uint64_t deadline_ns;
};

struct dma;

struct memory {
	struct block_heap blocks;
	struct bookkeeping bookkeeping;
	struct cleaner_registry cleaners;
	struct memory_config config; /* [I] */
	struct mutex reclaim;
	_Atomic bool reclaim_waits; /* the holder of the mutex may wait for I/O */
	_Atomic uint32_t frees;     /* changes with each free; waiters sleep on it */
	_Atomic uint32_t waiters;
	_Atomic uint64_t claimed_blocks;    /* being reclaimed for requests under way */
	struct memory_source kernel_source; /* [I] reclaims, may use what lies below min */
	struct memory_source cache_source;  /* [I] for caches */
	struct general_heap general;
	struct guarantee guarantee;
	struct dma *dma; /* [I] */
	_Atomic uint64_t requests, reclaims, failures, cleaned_bytes, windows;
	_Atomic uint64_t report_ns; /* time of the last report of a failure */
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

/* For tests. STATUS_BUSY: memory is still allocated; then nothing was done. */
status_t memory_fini(struct memory *memory) MUST_CHECK;

/* The general heap; reclaims where platform_may_sleep(). Serves kernel, drivers and app. */
struct heap *memory_general_heap(struct memory *memory);

/* `config->source`, `bookkeeping` and `cleaners` are filled in: it reclaims where platform_may_sleep(). */
status_t memory_objcache_init(struct memory *memory, struct objcache *cache, struct objcache_config config) MUST_CHECK;

/*
 * A source of blocks under constraints, which takes nothing below min. It reclaims where platform_may_sleep(), and waits as
 * source->wait says (at first MEMORY_WAIT_NEVER).
 */
void memory_source_init(struct memory_source *source, struct memory *memory, const struct block_constraints *constraints);

/*
 * One run. STATUS_NO_MEMORY: not to be had now, reported in the log; STATUS_TIMEOUT: deadline passed; STATUS_RANGE: the machine
 * has no such memory at all; STATUS_INVALID.
 */
status_t memory_blocks_alloc(struct memory *memory, const struct memory_request *request, struct phys_addr *run) MUST_CHECK;

/* `count` runs of request->blocks each, reclaimed for together; all or nothing. */
status_t memory_blocks_alloc_many(struct memory *memory, const struct memory_request *request, uint32_t count,
				  struct phys_addr *runs) MUST_CHECK;

/* Frees one run. */
void memory_blocks_free(struct memory *memory, struct phys_addr run);

/* Asks the cleaners for `bytes`, whatever is free, and returns what reached the block heap. Where platform_may_sleep(). */
uint64_t memory_drain(struct memory *memory, uint64_t bytes, bool may_wait);

/* True while a cache may take a fresh block. */
bool memory_may_grow(struct memory *memory);

uint64_t memory_free_bytes(struct memory *memory);
uint64_t memory_total_bytes(struct memory *memory);
struct memory_statistics memory_statistics(struct memory *memory);

/* NULL: none. The injector lives until another one is set and nobody allocates. */
void memory_set_fault_injector(struct memory *memory, struct fault_injector *fault);

/* Logs who holds the memory and what each cleaner answered last. */
void memory_report(struct memory *memory);

/* Prints the owners of blocks, those with most first. */
void memory_print_owners(struct memory *memory);

/* mem, mem owners, mem map, heaps, caches, cleaners, dma, drain, trace. */
void memory_commands_register(struct memory *memory, struct command_table *table);

/* Checks every invariant of everything in it; for tests. No operation may be under way. */
bool memory_is_valid(struct memory *memory);
