// SPDX-License-Identifier: BSD-2-Clause
/* The monitor's commands `log` and `log last`. */
#pragma once

#include "runtime/base/command.h"

void log_commands_register(struct command_table *table);

/*
 * What `log last` runs from now on, where a volume keeps the log; until then the command says what
 * it takes.
 */
void log_command_set_last(status_t (*run)(struct command *self, int argc, char **argv));
