// SPDX-License-Identifier: BSD-2-Clause
/* Stacks of tasks and handlers, in virtual addresses of their own. */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct heap;

/* Once, before tasks run. `heap` gives the memory of stacks. */
void stack_init(struct heap *heap);

/*
 * A stack with an unmapped guard page below. `owner` names it when the guard page is hit, and lives
 * as long as the stack. `bytes` is at most STACK_BYTES_MAX, and rounded up to pages. Some freed
 * stacks are kept for reuse. STATUS_NO_MEMORY: no memory, or all of STACKS_MAX are in use. Where
 * platform_may_sleep(), or at start-up.
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
 * For the report of a fault: when `address` lies below a stack, where nothing is mapped, the name
 * of the stack's owner, else NULL. Takes no lock; any context.
 */
const char *stack_guard_owner(uint64_t address);
