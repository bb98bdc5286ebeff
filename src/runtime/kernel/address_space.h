/*
 * Virtual addresses beyond the direct map. RAM is mapped at its physical address for good (x86_64/paging.h); here are fresh
 * ranges from 64 TB upwards, for buffers that are contiguous only virtually and for stacks with guard pages, and the mapping of
 * device registers. Unmapping reaches all CPUs before the range is used again.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct heap;

#define ADDRESS_SPACE_START 0x400000000000ull /* 64 TB */
#define ADDRESS_SPACE_END   0x600000000000ull /* 96 TB */

/* Once, before tasks run. `heap` gives bookkeeping and stacks. */
void address_space_init(struct heap *heap);

/*
 * Maps device registers at their physical address, uncached; whole pages, so that neighbours in a page share the mapping.
 * Returns their virtual address, or NULL when page tables cannot be had or the address is beyond the CPU's. What is mapped
 * already stays so; nothing is ever unmapped. Task context, or start-up.
 */
void *mmio_map(struct phys_addr address, uint64_t bytes);

/* platform_map and platform_unmap, see platform.h. */
status_t address_space_map(const struct phys_range *pieces, uint32_t count, void **mapped) MUST_CHECK;
void address_space_unmap(void *mapped, uint64_t bytes);

/*
 * A stack of `bytes` (multiple of 4 KB) with a guard page below. `owner` names it when the guard page is hit; it lives as long
 * as the stack. Freed stacks are kept for reuse, some per size. NULL: no memory. Where platform_may_sleep() or at start-up.
 */
struct stack {
	void *bottom; /* lowest usable byte; the guard page lies below */
	size_t bytes;
};

status_t stack_alloc(struct stack *stack, size_t bytes, const char *owner) MUST_CHECK;
void stack_free(struct stack *stack);

/*
 * For the report of a fault: when `address` lies in the guard page of a stack, the name of its owner, else NULL. Takes no lock.
 */
const char *address_space_guard_owner(uint64_t address);
