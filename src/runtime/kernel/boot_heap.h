// SPDX-License-Identifier: BSD-2-Clause
/*
 * The heap that everything starts from: first the loader's pool, and, once the firmware's page
 * tables are out of use, the RAM that the firmware let go. It serves what is needed before there is
 * a block heap (tables, stacks, the block heap's own metadata), and hands the free 2 MB blocks over
 * to that. From then on it serves pages out of the fragments that are left, for
 * page tables and stacks. When those are used up, it asks its parent.
 *
 * It hands out whole pages from the fragment that fits best, and breaks a block only when no
 * fragment fits, so that as much as possible remains whole. RAM below 1 MB is kept for code that
 * needs it there. Takes a spinlock; not for interrupt handlers.
 */
#pragma once

#include "runtime/base/heap.h"
#include "runtime/base/types.h"

struct boot_info;

/*
 * How large the pool has to be: for the heap's own tables and for the page tables of all usable
 * memory. Enough, too, if the map has some more ranges when boot services are left. For the loader.
 */
uint64_t boot_heap_pool_bytes(const struct boot_info *boot);

/* Once: a heap with the pool's memory. Writes nowhere else. Panics when the pool is too small. */
void boot_heap_init(const struct boot_info *boot);

/* Once, when all usable memory is mapped and no page table of the firmware is in use. */
void boot_heap_add_usable(const struct boot_info *boot);

/*
 * alloc rounds up to pages; alignments up to 2 MB. What it returns is mapped at its physical
 * address.
 */
struct heap *boot_heap(void);

/*
 * Hands over, for good, all free blocks, at most `max` runs of them (the largest), sorted by
 * address. Returns the number of runs. With `ranges` NULL: only how many there are.
 */
size_t boot_heap_take_blocks(struct phys_range *ranges, size_t max);

/* From now on, `parent` serves what the fragments cannot. */
void boot_heap_set_parent(struct heap *parent);

/* A free page below 1 MB (never page 0), or NULL; heap_free gives it back. */
void *boot_heap_take_low_page(void);

struct boot_heap_report {
	uint64_t total_bytes;     /* usable RAM of the memory map, and what is left of the pool */
	uint64_t handed_bytes;    /* given away by boot_heap_take_blocks */
	uint64_t free_bytes;      /* fragments and blocks, without low memory */
	uint64_t allocated_bytes; /* without what came from the parent */
};

void boot_heap_report(struct boot_heap_report *report);
