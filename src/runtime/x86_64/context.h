// SPDX-License-Identifier: BSD-2-Clause
/*
 * Switching between stacks. A context is a stack pointer, below which the registers lie that a
 * function call preserves; all else is saved by the caller by the rules of the call. Interrupts are
 * off at a switch; the flags are the caller's business.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * Saves the running context in `*save` and goes on with `load`. Returns when another context
 * switches back.
 */
void context_switch(void **save, void *load);

/*
 * A context that, when switched to, calls `entry` on the empty stack that ends at `stack_top`;
 * entry never returns.
 */
void *context_prepare(void *stack_top, void (*entry)(void));
