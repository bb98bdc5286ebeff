// SPDX-License-Identifier: BSD-2-Clause
/*
 * The time of day, UTC. Firmware tells it at start-up, or else the CMOS clock; from then on it goes
 * with clock_now_ns, and never jumps. It is right to about a second, as far as the machine's own
 * clock is.
 */
#pragma once

#include "runtime/base/types.h"

struct boot_info;
struct command_table;

/* Once, after clock_init. */
void clock_wall_init(const struct boot_info *boot);

/*
 * Nanoseconds since 1970-01-01 00:00 UTC; 0: the machine does not tell. calendar.h makes a date of
 * it. Any context.
 */
uint64_t clock_wall_now_ns(void);

/*
 * What the CMOS clock says now, in the same unit; 0: there is none, or it says nonsense. One caller
 * at a time.
 */
uint64_t clock_wall_read_cmos(void);

/* The monitor command `date`. */
void clock_wall_commands_register(struct command_table *table);
