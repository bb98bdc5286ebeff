// SPDX-License-Identifier: BSD-2-Clause
/* The monitor: reads commands from the console and runs them, one after the other, in the calling task. */
#pragma once

#include "runtime/base/command.h"

/* Adds the command `help`. Once per table. */
void monitor_commands_register(struct command_table *table);

/* Reads and runs commands for good. Where platform_may_sleep(). */
_Noreturn void monitor_run(struct command_table *table);
