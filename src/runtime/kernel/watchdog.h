// SPDX-License-Identifier: BSD-2-Clause
/*
 * The watchdog: reports, once for each occasion and with a backtrace, a CPU that stays with
 * preemption off, or with interrupts off (in a handler, say), for longer than a limit.
 *
 * Time is counted in looks that the suspect itself takes part in: its own timer ticks for
 * preemption, NMIs that it has answered for interrupts. An emulator that does not run a CPU for a
 * while therefore raises no alarm. With a single CPU, interrupts that are off are not noticed.
 */
#pragma once

#include "runtime/base/types.h"

struct interrupt_frame;

/* `limit_ns` 0: no watchdog. Once, before watchdog_start_cpu. */
void watchdog_init(uint64_t limit_ns);

/* On each CPU, interrupts off. */
void watchdog_start_cpu(void);

/* An NMI was taken. False: it is not one that a neighbour's watchdog has sent. */
bool watchdog_handle_nmi(const struct interrupt_frame *frame);

/* Reports so far, for tests. */
unsigned watchdog_reports(void);
