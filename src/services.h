// SPDX-License-Identifier: BSD-2-Clause
/* What serves the program while it runs: the memory runtime's tasks, the log on a volume, and an orderly end. */
#pragma once

#include "runtime/base/types.h"

struct command_table;
struct memory;
struct pagecache;

/* Starts the tasks of both, which run as long as the machine does. Panics if one cannot start. */
void services_start(struct memory *memory, struct pagecache *pagecache);

/*
 * The option log=VOLUME: that volume, which must not be read-only, is the log's alone then, and detached. Before any program
 * uses volumes. What fails is logged, and costs the log alone.
 */
void log_on_volume_start(struct memory *memory, struct pagecache *pagecache, struct command_table *commands,
			 const char *command_line);

/* After services_start: power-off flushes for so long at most, and names what is lost; then it stops the drivers. */
void services_stop_at_power_off(uint64_t wait_ns);
