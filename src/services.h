// SPDX-License-Identifier: BSD-2-Clause
/*
 * What serves the program while it runs: the tasks of the memory runtime, and an orderly end of
 * all.
 */
#pragma once

#include "runtime/base/types.h"

struct memory;
struct pagecache;

/* Starts the tasks of both, which run as long as the machine does. Panics if one cannot start. */
void services_start(struct memory *memory, struct pagecache *pagecache);

/*
 * After services_start: power-off flushes for so long at most, and names what is lost; then it
 * stops the drivers.
 */
void services_stop_at_power_off(uint64_t wait_ns);
