// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory is kept in two forms: runs of whole free blocks, and fragments, which are blocks of which
 * not all is ours or free. An allocation takes from the fragment that fits best, and breaks a
 * block only if none fits. Both tables are made at the start and cannot overflow.
 */
#include "boot_heap.h"

#include "runtime/base/bits.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/inject.h"
#include "runtime/base/spinlock.h"
#include "runtime/base/string.h"

#include "fragment.h"

#define LOW_BYTES  MIB
#define LOW_PAGES  (LOW_BYTES / PAGE_BYTES)
#define LARGE_MAX  16 /* allocations of more than a block: the block heap's metadata and the like */
#define BROKEN_MAX 64 /* blocks that may be broken into fragments */

#define RANGES_MORE 64 /* that the map may have when boot services are left */
#define ROOT_TABLES 16 /* the root, and what maps the framebuffer */
#define ENDS_TABLES 8  /* at two ends, of 2 MB, 1 GB, 512 GB and 256 TB */

/* Whole blocks. */
struct run {
	uint64_t start;
	uint64_t blocks;
};

/* The pointers are set at start-up; all else: [lock]. */
static struct {
	struct spinlock lock;
	struct heap *parent;
	struct fragment *fragments; /* both tables lie in memory that was cut off at the start, and cannot overflow: */
	struct run *runs; /* there are as many free runs as ranges in the memory map, and large allocations, at most */
	size_t fragments_max;
	size_t runs_max;
	size_t fragment_count;
	size_t run_count;
	struct run large[LARGE_MAX]; /* allocations; 0 blocks: not in use */
	uint64_t low_free[LOW_PAGES / 64];
	struct boot_heap_report report;
} state = { .lock = { .name = "boot heap" } };

static struct fragment *fragment_find(uint64_t block)
{
	for (size_t i = 0; i < state.fragment_count; i++) {
		if (state.fragments[i].block == block)
			return &state.fragments[i];
	}
	return NULL;
}

/* Makes pages within one block ours, and free. */
static void fragments_add(uint64_t start, uint64_t bytes)
{
	uint64_t block = align_down(start, BLOCK_BYTES);
	struct fragment *fragment = fragment_find(block);

	if (bytes == 0)
		return;
	if (!fragment) {
		assert(state.fragment_count < state.fragments_max);
		fragment = &state.fragments[state.fragment_count++];
		fragment_init(fragment, block);
	}
	fragment_add(fragment, (start - block) / PAGE_BYTES, bytes / PAGE_BYTES);
	state.report.free_bytes += bytes;
}

static void runs_add(uint64_t start, uint64_t blocks)
{
	if (blocks == 0)
		return;
	assert(state.run_count < state.runs_max);
	state.runs[state.run_count++] = (struct run){ start, blocks };
	state.report.free_bytes += blocks * BLOCK_BYTES;
}

/*
 * The end of the smallest run that is long enough, so that long runs stay long; 0: there is none.
 */
static uint64_t runs_take(uint64_t blocks)
{
	struct run *best = NULL;
	uint64_t start;

	for (size_t i = 0; i < state.run_count; i++) {
		if (state.runs[i].blocks >= blocks && (!best || state.runs[i].blocks < best->blocks))
			best = &state.runs[i];
	}
	if (!best)
		return 0;
	best->blocks -= blocks;
	start = best->start + best->blocks * BLOCK_BYTES;
	if (best->blocks == 0)
		*best = state.runs[--state.run_count];
	state.report.free_bytes -= blocks * BLOCK_BYTES;
	return start;
}

/* Out of the fragment with the least free memory that can serve it. */
static void *pages_alloc_locked(uint64_t pages, uint64_t alignment_pages)
{
	struct fragment *best = NULL;
	uint64_t best_page = 0, page;

	for (size_t i = 0; i < state.fragment_count; i++) {
		struct fragment *fragment = &state.fragments[i];
		if (best && fragment->free_pages >= best->free_pages)
			continue;
		if (fragment_search(fragment, pages, alignment_pages, &page)) {
			best = fragment;
			best_page = page;
		}
	}
	if (!best)
		return NULL;
	fragment_take(best, best_page, pages);
	state.report.free_bytes -= pages * PAGE_BYTES;
	state.report.allocated_bytes += pages * PAGE_BYTES;
	return (void *)(uintptr_t)(best->block + best_page * PAGE_BYTES);
}

static bool block_break_locked(void)
{
	uint64_t block;

	if (state.fragment_count == state.fragments_max)
		return false;
	block = runs_take(1);
	if (block)
		fragments_add(block, BLOCK_BYTES);
	return block != 0;
}

static void *blocks_alloc_locked(uint64_t blocks)
{
	struct run *large = state.large;

	while (large->blocks != 0) {
		if (++large == state.large + LARGE_MAX)
			return NULL;
	}
	large->start = runs_take(blocks);
	if (!large->start)
		return NULL;
	large->blocks = blocks;
	state.report.allocated_bytes += blocks * BLOCK_BYTES;
	return (void *)(uintptr_t)large->start;
}

static void *boot_alloc(struct heap *heap, size_t bytes, size_t alignment)
{
	uint64_t pages = divide_round_up(MAX(bytes, 1), PAGE_BYTES);
	uint64_t alignment_pages = divide_round_up(MAX(alignment, 1), PAGE_BYTES);
	void *memory = NULL;

	(void)heap;
	if (alignment > BLOCK_BYTES)
		return NULL;
	spinlock_lock(&state.lock);
	if (pages > PAGES_PER_BLOCK)
		memory = blocks_alloc_locked(divide_round_up(pages, PAGES_PER_BLOCK));
	else
		memory = pages_alloc_locked(pages, alignment_pages);
	if (!memory && pages <= PAGES_PER_BLOCK && block_break_locked())
		memory = pages_alloc_locked(pages, alignment_pages);
	spinlock_unlock(&state.lock);
	if (!memory && state.parent)
		memory = heap_alloc(state.parent, pages * PAGE_BYTES, MAX(alignment, PAGE_BYTES));
	return memory;
}

static bool large_free_locked(uint64_t address)
{
	for (size_t i = 0; i < LARGE_MAX; i++) {
		struct run *large = &state.large[i];
		if (large->blocks != 0 && large->start == address) {
			runs_add(large->start, large->blocks);
			state.report.allocated_bytes -= large->blocks * BLOCK_BYTES;
			large->blocks = 0;
			return true;
		}
	}
	return false;
}

/* False: the memory is not ours. */
static bool boot_free_locked(uint64_t address)
{
	struct fragment *fragment = fragment_find(align_down(address, BLOCK_BYTES));
	uint64_t bytes;

	if (address < LOW_BYTES) {
		assert(!bitmap_test(state.low_free, address / PAGE_BYTES));
		bitmap_set(state.low_free, address / PAGE_BYTES);
		return true;
	}
	if (!fragment)
		return large_free_locked(address);
	bytes = fragment_free(fragment, address % BLOCK_BYTES / PAGE_BYTES) * PAGE_BYTES;
	state.report.free_bytes += bytes;
	state.report.allocated_bytes -= bytes;
	return true;
}

static void boot_free(struct heap *heap, void *memory)
{
	bool ours;

	(void)heap;
	if (!memory)
		return;
	spinlock_lock(&state.lock);
	ours = boot_free_locked((uintptr_t)memory);
	spinlock_unlock(&state.lock);
	if (!ours) {
		assert(state.parent);
		heap_free(state.parent, memory);
	}
}

struct heap *boot_heap(void)
{
	static struct heap heap = { .name = "boot", .alloc = boot_alloc, .free = boot_free };

	return &heap;
}

void boot_heap_set_parent(struct heap *parent)
{
	state.parent = parent;
}

void *boot_heap_take_low_page(void)
{
	void *memory = NULL;

	spinlock_lock(&state.lock);
	for (uint64_t page = 1; page < LOW_PAGES && !memory; page++) {
		if (bitmap_test(state.low_free, page)) {
			bitmap_clear(state.low_free, page);
			memory = (void *)(uintptr_t)(page * PAGE_BYTES);
		}
	}
	spinlock_unlock(&state.lock);
	return memory;
}

/* Fragments all of whose pages are free become runs again. */
static void fragments_make_whole_locked(void)
{
	for (size_t i = state.fragment_count; i-- > 0;) {
		struct fragment *fragment = &state.fragments[i];
		if (fragment->free_pages == PAGES_PER_BLOCK && state.run_count < state.runs_max) {
			state.report.free_bytes -= BLOCK_BYTES;
			runs_add(fragment->block, 1);
			*fragment = state.fragments[--state.fragment_count];
		}
	}
}

/* The longest run to the front, then the next one, and so on for `count` runs. */
static void runs_select_longest_locked(size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = i + 1; j < state.run_count; j++) {
			if (state.runs[j].blocks > state.runs[i].blocks) {
				struct run run = state.runs[i];
				state.runs[i] = state.runs[j];
				state.runs[j] = run;
			}
		}
	}
}

static void range_insert(struct phys_range *ranges, size_t count, struct run run)
{
	for (; count > 0 && ranges[count - 1].start.value > run.start; count--)
		ranges[count] = ranges[count - 1];
	ranges[count] = (struct phys_range){ { run.start }, run.blocks * BLOCK_BYTES };
}

size_t boot_heap_take_blocks(struct phys_range *ranges, size_t max)
{
	size_t count;

	spinlock_lock(&state.lock);
	fragments_make_whole_locked();
	count = ranges ? MIN(state.run_count, max) : state.run_count;
	if (ranges) {
		runs_select_longest_locked(count);
		for (size_t i = 0; i < count; i++) {
			range_insert(ranges, i, state.runs[i]);
			state.report.handed_bytes += state.runs[i].blocks * BLOCK_BYTES;
			state.report.free_bytes -= state.runs[i].blocks * BLOCK_BYTES;
		}
		state.run_count -= count;
		memmove(state.runs, state.runs + count, state.run_count * sizeof(*state.runs));
	}
	spinlock_unlock(&state.lock);
	return count;
}

void boot_heap_report(struct boot_heap_report *report)
{
	spinlock_lock(&state.lock);
	*report = state.report;
	spinlock_unlock(&state.lock);
}

/* What is below 1 MB is kept apart. */
static uint64_t low_add(uint64_t start, uint64_t end)
{
	for (; start < end && start < LOW_BYTES; start += PAGE_BYTES)
		bitmap_set(state.low_free, start / PAGE_BYTES);
	return start;
}

static void range_add(uint64_t start, uint64_t end)
{
	uint64_t blocks_start, blocks_end;

	if (start >= end)
		return;
	blocks_start = MIN(align_up(start, BLOCK_BYTES), end);
	blocks_end = MAX(align_down(end, BLOCK_BYTES), blocks_start);
	fragments_add(start, blocks_start - start);
	runs_add(blocks_start, (blocks_end - blocks_start) / BLOCK_BYTES);
	fragments_add(blocks_end, end - blocks_end);
}

/* A range may begin and end within a block. */
static uint64_t fragments_for(uint64_t ranges)
{
	return 2 * ranges + BROKEN_MAX;
}

static uint64_t runs_for(uint64_t ranges)
{
	return ranges + LARGE_MAX + BROKEN_MAX;
}

static uint64_t tables_bytes(uint64_t ranges)
{
	return align_up(fragments_for(ranges) * sizeof(struct fragment) + runs_for(ranges) * sizeof(struct run), PAGE_BYTES);
}

/*
 * Page tables that map the ranges: at each end of one a table at each level but the root, and one
 * for each GB and each 512 GB between; for the image, which has no large pages, one for each 2 MB.
 */
static uint64_t page_tables_max(const struct boot_info *boot)
{
	uint64_t tables = ROOT_TABLES + ENDS_TABLES * RANGES_MORE + boot->image.bytes / BLOCK_BYTES;

	for (uint32_t i = 0; i < boot->memory_ranges; i++) {
		const uint64_t bytes = boot->memory[i].range.bytes;

		if (boot->memory[i].type == BOOT_MEMORY_USABLE || boot->memory[i].type == BOOT_MEMORY_KERNEL)
			tables += ENDS_TABLES + bytes / GIB + bytes / (512 * GIB);
	}
	return tables;
}

uint64_t boot_heap_pool_bytes(const struct boot_info *boot)
{
	const uint64_t page_tables = page_tables_max(boot) * PAGE_BYTES;

	/* The second set forbids writing: paging.c. */
	return tables_bytes(boot->memory_ranges + RANGES_MORE) + (INJECTED("write-protected") ? 2 : 1) * page_tables;
}

void boot_heap_init(const struct boot_info *boot)
{
	const uint64_t start = boot->pool.start.value, bytes = tables_bytes(boot->memory_ranges + 1ull);

	if (boot->pool.bytes < bytes)
		platform_panic("boot heap: a pool of %llu KB has no room for %u ranges of memory",
			       (unsigned long long)(boot->pool.bytes / KIB), boot->memory_ranges);
	state.fragments_max = fragments_for(boot->memory_ranges + 1ull);
	state.runs_max = runs_for(boot->memory_ranges + 1ull);
	state.fragments = (struct fragment *)(uintptr_t)start;
	state.runs = (struct run *)(state.fragments + state.fragments_max);
	state.report.total_bytes = boot->pool.bytes - bytes;
	range_add(start + bytes, start + boot->pool.bytes);
}

void boot_heap_add_usable(const struct boot_info *boot)
{
	spinlock_lock(&state.lock);
	for (uint32_t i = 0; i < boot->memory_ranges; i++) {
		const uint64_t start = boot->memory[i].range.start.value, end = start + boot->memory[i].range.bytes;

		if (boot->memory[i].type != BOOT_MEMORY_USABLE)
			continue;
		state.report.total_bytes += end - start;
		range_add(low_add(start, end), end);
	}
	spinlock_unlock(&state.lock);
}
