// SPDX-License-Identifier: BSD-2-Clause
/*
 * Virtual addresses beyond the direct map. RAM is mapped at its physical address for good (x86_64/paging.h); here are fresh
 * ranges from 64 TB upwards, for buffers that are contiguous only virtually and for stacks with guard pages, and the mapping of
 * device registers. Unmapping reaches all CPUs before the range is used again.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct heap;

/* Both once, before tasks run. `heap` gives records and the memory of stacks. */
void stack_init(struct heap *heap);
status_t address_space_init(struct heap *heap) MUST_CHECK;

/*
 * Maps a device's memory at its physical address, for good; whole pages, so that neighbours in a page share the mapping, and
 * the type of the first of them. STATUS_RANGE: no bytes, or beyond the CPU's addresses; STATUS_BUSY: some of it is mapped
 * already as the other type; STATUS_NO_MEMORY: no page tables. Then some pages may stay mapped. Task context, or start-up.
 */
enum mmio_type {
	MMIO_REGISTERS,       /* uncached: each access reaches the device, in program order */
	MMIO_WRITE_COMBINING, /* the CPU collects writes and sends them in bursts, in any order: registers.h */
};
status_t mmio_map_as(struct phys_addr address, uint64_t bytes, enum mmio_type type, void **mapped) MUST_CHECK;

/* The same for registers, where the kernel itself needs them; NULL: not possible. */
void *mmio_map(struct phys_addr address, uint64_t bytes);

/* The same for memory that firmware filled, to read: cached, and only where it is not RAM that is mapped already. */
const void *firmware_map(struct phys_addr address, uint64_t bytes);

/* platform_map and platform_unmap, see platform.h. */
status_t address_space_map(const struct phys_range *pieces, uint32_t count, void **mapped) MUST_CHECK;
void address_space_unmap(void *mapped, uint64_t bytes);

/*
 * A stack with an unmapped guard page below. `owner` names it when the guard page is hit, and lives as long as the stack.
 * `bytes` is at most STACK_BYTES_MAX, and rounded up to pages. Some freed stacks are kept for reuse. STATUS_NO_MEMORY: no
 * memory, or all of STACKS_MAX are in use. Where platform_may_sleep(), or at start-up.
 */
#define STACKS_MAX       4096
#define STACK_SLOT_BYTES (256 * KIB)
#define STACK_BYTES_MAX  (STACK_SLOT_BYTES - PAGE_BYTES)

struct stack {
	void *bottom; /* lowest usable byte */
	size_t bytes;
};

status_t stack_alloc(struct stack *stack, size_t bytes, const char *owner) MUST_CHECK;
void stack_free(struct stack *stack);

/*
 * For the report of a fault: when `address` lies below a stack, where nothing is mapped, the name of the stack's owner, else
 * NULL. Takes no lock; any context.
 */
const char *address_space_guard_owner(uint64_t address);
