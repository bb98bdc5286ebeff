// SPDX-License-Identifier: BSD-2-Clause
/*
 * Lays out the stack of a new context as context_switch would have left it, with `entry` as the
 * return address: so the first switch to it needs no case of its own.
 */
#include "context.h"

/* What context_switch leaves on the stack, from the stack pointer up. */
struct saved {
	uint64_t r15, r14, r13, r12, rbx, rbp;
	void (*resume)(void);
	uint64_t caller; /* `entry` finds its return address here: 0 ends a backtrace */
};

void *context_prepare(void *stack_top, void (*entry)(void))
{
	/*
	 * At the entry of a function the stack pointer is 8 below a multiple of 16, and points to
	 * the return address.
	 */
	struct saved *saved = (struct saved *)stack_top - 1;

	*saved = (struct saved){ .resume = entry };
	return saved;
}
