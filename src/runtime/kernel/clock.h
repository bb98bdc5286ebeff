// SPDX-License-Identifier: BSD-2-Clause
/*
 * The clock: nanoseconds since start-up, monotonic, the same on all CPUs; and busy waiting. It
 * counts the time-stamp counter, calibrated at start-up against the HPET, the ACPI PM timer or the
 * PIT.
 */
#pragma once

#include "runtime/base/types.h"

/*
 * Calibrates. Once, on the first CPU, after acpi_init. Time 0 is `origin_tsc`, a reading of the
 * counter (boot_info has that of leaving boot services); until clock_init has run, it is always
 * time 0.
 */
void clock_init(uint64_t origin_tsc);

/* Any context. */
uint64_t clock_now_ns(void);

/*
 * Spins for at least `ns`. Any context; meant for some microseconds of a device's pace, else use
 * task_sleep.
 */
void clock_delay_ns(uint64_t ns);

/* A value or interval of the time-stamp counter in ns; for early times like boot_info's. */
uint64_t clock_ns_from_ticks(uint64_t ticks);

/* The time-stamp counter's value for `ns` on the clock, on this CPU; for the deadline timer. */
uint64_t clock_ticks_at(uint64_t ns);

/*
 * Brings the counter of a CPU that starts into step: `before` and `after` are readings of the first
 * CPU around `reading`, that of the new one. Logs when it was out of step.
 */
void clock_adopt_cpu(unsigned cpu, uint64_t before, uint64_t reading, uint64_t after);
