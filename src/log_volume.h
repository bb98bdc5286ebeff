// SPDX-License-Identifier: BSD-2-Clause
/* The log on a volume, which survives the run (kernel/log_disk.h). */
#pragma once

struct memory;
struct pagecache;

/*
 * The option log=VOLUME: that volume, which must not be read-only, is the log's alone then, and
 * detached. Before any program uses volumes. What fails is logged, and costs the log alone.
 */
void log_on_volume_start(struct memory *memory, struct pagecache *pagecache, const char *command_line);
