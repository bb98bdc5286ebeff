// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `holds`: for how long locks, preemption off and interrupts off were held.
 * Only in debug builds.
 */
#pragma once

#include "runtime/base/command.h"

#ifdef WEIR_HOLDS
void holds_commands_register(struct command_table *table);
#else
static inline void holds_commands_register(struct command_table *table)
{
	(void)table;
}
#endif
