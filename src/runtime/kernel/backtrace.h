// SPDX-License-Identifier: BSD-2-Clause
/*
 * Backtraces along the frame pointers. Each frame is looked up in the page tables before it is
 * read, so a broken chain ends the trace and does no harm. Any context.
 */
#pragma once

#include "runtime/base/types.h"

struct interrupt_frame;

#define BACKTRACE_FRAMES_MAX 32

/*
 * Return addresses of the callers, innermost first, from the frame at `frame_pointer`
 * (__builtin_frame_address(0): the caller's own, whose caller comes first). Returns how many.
 */
size_t backtrace_collect(uint64_t frame_pointer, uint64_t *addresses, size_t max);

/*
 * Prints "    0x... function+0x12", one line for each address, `first` (0: none) before those of
 * the chain.
 */
void backtrace_print(uint64_t first, uint64_t frame_pointer);

/*
 * The same for what was interrupted. If that was no code, as after a call through a bad pointer,
 * its caller is named, too.
 */
void backtrace_print_interrupted(const struct interrupt_frame *frame);
