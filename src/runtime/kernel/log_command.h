// SPDX-License-Identifier: BSD-2-Clause
/* The monitor's command `log`. */
#pragma once

#include "runtime/base/command.h"

void log_commands_register(struct command_table *table);
