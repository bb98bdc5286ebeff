// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs of whole blocks, for allocations that are larger than any class. Runs that handlers free
 * wait, since the task that the handler interrupted may hold the block heap's lock; a drain gives
 * them back block by block, from their ends.
 */
#include "general_heap_internal.h"
#include "runtime/base/bits.h"

struct block *general_heap_run_of(struct general_heap *heap, const void *memory)
{
	struct block *block = block_heap_find(heap->heap, platform_phys(memory));

	if (!block || block->owner != &heap->runs)
		platform_panic("heap %s: %p is no memory of this heap", heap->config.name, memory);
	if (block->holder)
		platform_panic("heap %s: %p is free already", heap->config.name, memory);
	return block;
}

static void give_later(struct general_heap *heap, struct block *run)
{
	struct list *first = atomic_load_explicit(&heap->freed_runs, memory_order_relaxed);

	run->holder = &heap->freed_runs;
	do
		run->link.next = first;
	while (!atomic_compare_exchange_weak_explicit(&heap->freed_runs, &first, &run->link, memory_order_release,
						      memory_order_relaxed));
}

/* Whether the last block of the run is to go: the target wants more, and wants that block. */
static bool is_wanted(const struct general_heap *heap, const struct block *run, const struct reclaim_target *target,
		      uint64_t given)
{
	return given < target->bytes && platform_now_ns() < target->deadline_ns &&
	       reclaim_target_has(target, block_address(heap->heap, run + run->run_blocks - 1));
}

uint64_t general_heap_freed_runs_give(struct general_heap *heap, const struct reclaim_target *target)
{
	struct block_source *source = heap->config.runs;
	struct list *next = NULL;
	uint64_t given = 0;

	if (atomic_load_explicit(&heap->freed_runs, memory_order_relaxed) != NULL)
		next = atomic_exchange_explicit(&heap->freed_runs, NULL, memory_order_acquire);
	while (next) {
		struct block *run = container_of(next, struct block, link);
		uint32_t blocks = run->run_blocks;

		next = next->next;
		for (; blocks > 0 && is_wanted(heap, run, target, given); blocks--, given += BLOCK_BYTES) {
			if (blocks == 1)
				run->holder = NULL;
			source->give(source, block_heap_cut_last(heap->heap, run));
		}
		if (blocks > 0)
			give_later(heap, run);
	}
	return given;
}

void general_heap_run_free(struct general_heap *heap, void *memory)
{
	struct block *block = general_heap_run_of(heap, memory);

	if (platform_in_handler()) {
		if (block->run_blocks == 0 || !is_aligned((uintptr_t)memory, BLOCK_BYTES))
			platform_panic("heap %s: %p is not the start of a run", heap->config.name, memory);
		give_later(heap, block);
		return;
	}
	(void)general_heap_freed_runs_give(heap, &reclaim_all);
	heap->config.runs->give(heap->config.runs, platform_phys(memory));
}

void *general_heap_run_alloc(struct general_heap *heap, size_t bytes, size_t alignment)
{
	struct block_source *source = heap->config.runs;
	struct phys_addr run;

	if (platform_in_handler())
		return NULL;
	(void)general_heap_freed_runs_give(heap, &reclaim_all);
	if (source->take(source, &heap->runs, divide_round_up(bytes, BLOCK_BYTES), alignment, &run) != STATUS_OK)
		return NULL;
	return platform_virt(run);
}
