// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor: reads commands from the console and runs them, one after the other, in the calling
 * task.
 */
#pragma once

#include "runtime/base/command.h"

/* Adds the command `help`. Once per table. */
void monitor_commands_register(struct command_table *table);

/*
 * Lines of the user's terminal: what a command writes stops after a page (pager.h). 0, as at first:
 * as many as the screen has for what is typed at the keyboard, and no pages for what comes over the
 * serial port, which may be a script.
 */
void monitor_set_page(unsigned lines);

/*
 * For platform_print and the history: text of the command that the monitor runs goes through the
 * pager; false: it is none.
 */
bool monitor_takes(const char *text, size_t bytes);

/* As console_replay, through the pager. Only in a command. */
void monitor_replay(const char *text, size_t bytes);

/* Reads and runs commands for good. Where platform_may_sleep(). */
_Noreturn void monitor_run(struct command_table *table);
