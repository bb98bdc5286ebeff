// SPDX-License-Identifier: BSD-2-Clause
/*
 * The code below 1 MB at which other CPUs start, with page tables of its own: like the kernel's,
 * but with the first GB mapped executable, and the root below 4 GB, because the CPU loads it in
 * 32-bit mode.
 */
#pragma once

#include "runtime/base/types.h"

struct trampoline {
	void *code; /* four pages below 1 MB, given by the caller */
	uint64_t *root;
	uint64_t *level3;
	uint64_t *level2;
};

/* Fills the pages. */
void trampoline_init(const struct trampoline *trampoline);

/*
 * The next CPU to start there calls `entry(argument)` on the stack that ends at `stack_top`, with
 * interrupts off and on the trampoline's page tables, which know all that is mapped now. It must
 * leave them (paging_init_cpu) before the pages go.
 */
void trampoline_aim(const struct trampoline *trampoline, void *stack_top, void (*entry)(void *argument), void *argument);
