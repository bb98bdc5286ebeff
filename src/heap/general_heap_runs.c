/*
 * Runs of whole blocks, for what is larger than any class. Those that handlers free wait in a list, since the block heap's lock
 * may be held by whom the handler interrupted.
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

static void give(struct general_heap *heap, struct phys_addr run)
{
	heap->config.runs->give(heap->config.runs, run);
}

static void give_later(struct general_heap *heap, struct block *block, const void *memory)
{
	const uint64_t state = spinlock_lock_interrupts(&heap->freed_lock);

	if (block->run_blocks == 0 || !is_aligned((uintptr_t)memory, BLOCK_BYTES))
		platform_panic("heap %s: %p is not the start of a run", heap->config.name, memory);
	block->holder = &heap->freed_runs;
	list_insert_last(&heap->freed_runs, &block->link);
	atomic_store_explicit(&heap->has_freed_runs, true, memory_order_relaxed);
	spinlock_unlock_interrupts(&heap->freed_lock, state);
}

static struct block *freed_take(struct general_heap *heap)
{
	const uint64_t state = spinlock_lock_interrupts(&heap->freed_lock);
	struct list *link = list_take_first(&heap->freed_runs);

	atomic_store_explicit(&heap->has_freed_runs, !list_is_empty(&heap->freed_runs), memory_order_relaxed);
	spinlock_unlock_interrupts(&heap->freed_lock, state);
	return link ? container_of(link, struct block, link) : NULL;
}

void general_heap_freed_runs_give(struct general_heap *heap)
{
	while (atomic_load_explicit(&heap->has_freed_runs, memory_order_relaxed)) {
		struct block *block = freed_take(heap);

		if (!block)
			break;
		block->holder = NULL;
		give(heap, block_address(heap->heap, block));
	}
}

void general_heap_run_free(struct general_heap *heap, void *memory)
{
	struct block *block = general_heap_run_of(heap, memory);

	if (platform_in_handler()) {
		give_later(heap, block, memory);
		return;
	}
	general_heap_freed_runs_give(heap);
	give(heap, platform_phys(memory));
}

void *general_heap_run_alloc(struct general_heap *heap, size_t bytes, size_t alignment)
{
	struct run_source *source = heap->config.runs;
	struct phys_addr run;

	if (platform_in_handler())
		return NULL;
	general_heap_freed_runs_give(heap);
	if (source->take(source, &heap->runs, divide_round_up(bytes, BLOCK_BYTES), alignment, &run) != STATUS_OK)
		return NULL;
	return platform_virt(run);
}

void general_heap_runs_init(struct general_heap *heap)
{
	owner_init(&heap->runs, heap->config.name, false);
	spinlock_init(&heap->freed_lock, "freed runs");
	list_init(&heap->freed_runs);
}
