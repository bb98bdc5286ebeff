// SPDX-License-Identifier: BSD-2-Clause
/*
 * The end: prints what went wrong, registers and a backtrace to every console, stops the other
 * CPUs, and ends the machine with a failing status (power_exit). A failure inside of the report
 * does not start another one. platform_panic is panic() without a frame.
 */
#pragma once

#include "runtime/base/platform.h"

struct interrupt_frame;

/* Status that QEMU's isa-debug-exit gets; its process ends with (status << 1 | 1). */
#define PANIC_EXIT_STATUS 1

/* `frame`: where it happened, with its registers; NULL: here. Any context. */
_Noreturn void panic(const struct interrupt_frame *frame, const char *format, ...) PRINTF_LIKE(2, 3);

/* True once a panic has begun on any CPU. */
bool panic_is_active(void);

/*
 * What runs once the report is printed, with interrupts off and all other CPUs stopped: it keeps
 * the report. It must not sleep, and what it waits for has a deadline. At start-up, once.
 */
void panic_set_writer(void (*write)(void));

/* What runs after that, under the same rules: devices hear that power may go. At start-up, once. */
void panic_set_end(void (*end)(void));
