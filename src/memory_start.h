// SPDX-License-Identifier: BSD-2-Clause
/*
 * The start of the memory runtime on a machine: between the first heap of the kernel and
 * memory_init.
 */
#pragma once

#include "runtime/base/types.h"

struct config_share;
struct config_table;
struct memory;
struct memory_config;

/* What config.h asks for, to be held against the machine. */
struct memory_limits {
	struct config_table *table; /* of what is in force */
	const struct config_share *shares;
	size_t share_count;
};

/*
 * Takes all whole blocks from the first heap, which allocates from `memory` afterwards. `config`
 * gets what depends on the machine: watermarks that are 0, and the guarantee, which the command
 * line may choose; the table learns of it. Panics if a value is beyond its share of the memory, or
 * if no block is left.
 */
void memory_start(struct memory *memory, struct memory_config *config, const struct memory_limits *limits,
		  const char *command_line);
