// SPDX-License-Identifier: BSD-2-Clause
/*
 * A machine's memory for the tests of the heap: an arena, its metadata, and a small cache that
 * gives way like a page cache.
 */
#pragma once

#include "fake/memory_check.h"
#include "heap/dma/dma.h"
#include "heap/memory.h"
#include "host/platform_host.h"
#include "runtime/base/bits.h"

struct machine {
	struct host_arena *arena;
	void *metadata;
	struct memory memory;
};

#define MACHINE_START (4 * GIB)

/* What a drain of so many bytes gives at most. */
static inline uint64_t block_round_up(uint64_t bytes)
{
	return MIN(divide_round_up(bytes, BLOCK_BYTES), UINT64_MAX >> BLOCK_SHIFT) << BLOCK_SHIFT;
}

/* `blocks` blocks from `start`; watermarks in blocks. */
void machine_init(struct machine *machine, uint64_t start, uint64_t blocks, uint64_t min_blocks, uint64_t low_blocks);

/* The same with a configuration of one's own. */
void machine_init_with(struct machine *machine, uint64_t start, uint64_t blocks, const struct memory_config *config);

/* Everything must have been freed. */
void machine_fini(struct machine *machine);

/* Whether the buffer is mapped elsewhere than in the direct map. */
static inline bool dma_buffer_is_mapped(const struct dma_buffer *buffer)
{
	return buffer->memory != platform_virt(buffer->pieces[0].start);
}

/* Lets one allocation fail: the first one after `left` others. For memory_set_fault_injector. */
struct nth_fault {
	struct fault_injector injector;
	unsigned left;
};

void nth_fault_init(struct nth_fault *fault, unsigned left);

/*
 * A cache of 4 KB pages: blocks in order of entry, filled in address order; when it cannot grow,
 * the oldest block is refilled in place. Pages can be made dirty: then they are only given when the
 * cleaner may wait, which takes `write_ns` a block on the test's clock.
 */
struct test_cache {
	struct memory *memory;
	struct owner owner;
	struct cleaner cleaner;
	struct mutex lock;
	uint64_t start;  /* physical address of frames[0] */
	uint8_t *frames; /* enum frame_state, by frame number */
	uint64_t frame_count;
	uint64_t *queue; /* blocks by number, oldest first; the last one is being filled */
	uint64_t blocks;
	uint32_t position; /* next frame of the last block */
	uint64_t evicted;
	uint64_t cleaned_blocks;
	uint64_t write_ns;
};

enum frame_state {
	FRAME_NONE,
	FRAME_CLEAN,
	FRAME_DIRTY,
	FRAME_PINNED,
};

void test_cache_init(struct test_cache *cache, struct machine *machine, const char *name, unsigned preference);
void test_cache_fini(struct test_cache *cache);

/* Adds one page; NULL: none to be had. */
void *test_cache_add(struct test_cache *cache, enum frame_state state);

/* Adds pages until the cache does not grow any more; returns how many blocks it has. */
uint64_t test_cache_fill(struct test_cache *cache, enum frame_state state);

void test_cache_set(struct test_cache *cache, void *page, enum frame_state state);
