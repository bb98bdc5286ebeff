// SPDX-License-Identifier: BSD-2-Clause
/*
 * The code below 1 MB at which other CPUs start, with page tables of its own: like the kernel's,
 * but with the first GB mapped executable, and the root below 4 GB, because the CPU loads it in
 * 32-bit mode. They have as many levels as the kernel's.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * Pages below 1 MB, given by the caller: code, and a table of each level above the lowest, up to
 * the root: three, or four where the CPU runs with five levels.
 */
#define TRAMPOLINE_TABLES_MAX 4
struct trampoline {
	void *code;
	uint64_t *tables[TRAMPOLINE_TABLES_MAX];
};

/* Fills the pages. */
void trampoline_init(const struct trampoline *trampoline);

/*
 * The next CPU to start there calls `entry(argument)` on the stack that ends at `stack_top`, with
 * interrupts off and on the trampoline's page tables, which know all that is mapped now. It must
 * leave them (paging_init_cpu) before the pages go.
 */
void trampoline_aim(const struct trampoline *trampoline, void *stack_top, void (*entry)(void *argument), void *argument);
