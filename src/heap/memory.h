// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory of a machine: its parts put together. Kernel, page cache, drivers and programs reach
 * the parts from here.
 *
 *	dma         buffers and coherent objects             dma.h
 *	guarantee   pieces for requests that cannot wait     guarantee.h
 *	general     objects of any size                      general_heap.h, tracked_heap.h
 *	reclaim     requests, watermarks and cleaners        reclaim.h
 *	blocks      blocks of 2 MB and their owners          block_heap.h
 *
 * A part knows only those below it, and gets pointers to them at start-up. None knows this header.
 */
#pragma once

#include "heap/dma/dma_state.h"
#include "heap/object/tracked_heap.h"
#include "runtime/base/command.h"

struct memory_config {
	struct watermarks watermarks; /* rounded up to whole blocks; low_bytes is at least min_bytes; high_bytes 0: low_bytes */
	uint64_t general_retain_bytes; /* free bytes that a drain leaves in the general heap */
	struct guard_config guard;     /* of objects of the general heap */
	uint64_t dma_retain_bytes;     /* the same for small DMA memory, for each address mask in use */
	struct guarantee_config guarantee;
	uint64_t trace_events; /* of reclaim that are kept; 0 or a power of two, see trace.h */
};

struct memory {
	struct block_heap blocks;
	struct metadata_heap metadata;
	struct reclaim reclaim;
	struct general_heap general;
	uint64_t own_bytes;           /* [I] bytes of the general heap that serve this structure */
	struct tracked_heaps tracked; /* parts of the general heap by owner */
	struct guarantee guarantee;
	struct dma dma;
};

/* Bytes of metadata (aligned to 64) for these ranges; 0 when no whole block lies within them. */
uint64_t memory_metadata_bytes(const struct phys_range *ranges, uint32_t count);

/*
 * At start-up, on one CPU, before tasks run; interrupts may be off. Arguments as block_heap_init.
 * STATUS_INVALID: no block, or the config contradicts itself.
 */
status_t memory_init(struct memory *memory, const struct memory_config *config, const struct phys_range *ranges, uint32_t count,
		     void *metadata) MUST_CHECK;

/*
 * For tests. STATUS_BUSY: an object of the general heap, DMA memory or a piece of the guarantee is
 * still allocated, or a cache is a donor; then nothing was done. The owners of other blocks and
 * objcaches have freed them before: memory_fini does not check them.
 */
status_t memory_fini(struct memory *memory) MUST_CHECK;

static inline struct dma *memory_dma(struct memory *memory)
{
	return &memory->dma;
}

static inline struct block_heap *memory_block_heap(struct memory *memory)
{
	return &memory->blocks;
}

static inline struct reclaim *memory_reclaim(struct memory *memory)
{
	return &memory->reclaim;
}

static inline struct guarantee *memory_guarantee(struct memory *memory)
{
	return &memory->guarantee;
}

/* The general heap; reclaims where platform_may_sleep(). Serves kernel, drivers and app. */
static inline struct heap *memory_general_heap(struct memory *memory)
{
	return &memory->general.caching.heap;
}

/* The general heap for one owner, see tracked_heap.h. */
void memory_tracked_heap_init(struct memory *memory, struct tracked_heap *tracked, const char *owner);

/*
 * `config->source`, `metadata` and `cleaners` are filled in: it reclaims where
 * platform_may_sleep().
 */
status_t memory_objcache_init(struct memory *memory, struct objcache *cache, struct objcache_config config) MUST_CHECK;

/* reclaim_blocks_alloc, for one run. */
static inline status_t memory_blocks_alloc(struct memory *memory, const struct memory_request *request, struct phys_addr *run)
{
	return reclaim_blocks_alloc(&memory->reclaim, request, 1, run);
}

static inline void memory_blocks_free(struct memory *memory, struct phys_addr run)
{
	reclaim_blocks_free(&memory->reclaim, run);
}

/* reclaim_drain, however long it takes. */
static inline uint64_t memory_drain(struct memory *memory, uint64_t bytes, bool may_wait)
{
	return reclaim_drain(&memory->reclaim, bytes, may_wait, PLATFORM_FOREVER);
}

static inline uint64_t memory_free_bytes(struct memory *memory)
{
	return block_heap_free_bytes(&memory->blocks);
}

static inline uint64_t memory_total_bytes(struct memory *memory)
{
	return memory->blocks.total_blocks << BLOCK_SHIFT;
}

/* NULL: none. The injector lives until another one is set and no allocation is under way. */
void memory_set_fault_injector(struct memory *memory, struct fault_injector *fault);

/* Whether no object lies in the block: it is free, or an objcache keeps it empty. */
bool memory_block_is_unused(struct memory *memory, struct phys_addr address);

/* Prints the owners of blocks, the largest first. */
void memory_print_owners(struct memory *memory);

/*
 * Writes, in lines, what is allocated of the heaps and by which code: by owners and call sites
 * (tracked_heap.h), by caches, and by call sites of guarded objects. Task context.
 */
void memory_leaks_write(struct memory *memory, void (*line)(const char *text));

/* Writes what owners of tracked heaps left behind when they ended (TRACKED_LEFT). Task context. */
static inline void memory_left_write(struct memory *memory, void (*line)(const char *text))
{
	tracked_heaps_write(&memory->tracked, TRACKED_LEFT, line);
}

/* mem, mem owners, mem map, heaps, heaps leaks, cleaners, dma, drain, trace. */
void memory_commands_register(struct memory *memory, struct command_table *table);
