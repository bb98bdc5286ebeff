// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor commands for objcaches and heaps, as `run` of commands whose context is the memory;
 * see memory_commands.c.
 */
#pragma once

#include "runtime/base/command.h"

/*
 * One line for each cache: objects used, in magazines, and free in blocks; then one for each
 * general heap.
 */
status_t heaps_run(struct command *self, int argc, char **argv);

/*
 * What is allocated, and the code that allocated it as far as that is known: by owners, by caches,
 * and by call sites of guarded objects.
 */
status_t heaps_leaks_run(struct command *self, int argc, char **argv);
