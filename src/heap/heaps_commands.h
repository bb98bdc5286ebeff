/* What the monitor says of objcaches and heaps, as `run` of commands whose context is the memory; see memory_commands.c. */
#pragma once

#include "runtime/base/command.h"

/* One line for each cache: objects used, in magazines, and free in blocks; then one for each general heap. */
status_t heaps_run(struct command *self, int argc, char **argv);

/* What is allocated, and by whom as far as is known: by owners, by caches, and who allocated what happens to be guarded. */
status_t heaps_leaks_run(struct command *self, int argc, char **argv);
