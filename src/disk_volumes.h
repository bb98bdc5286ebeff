// SPDX-License-Identifier: BSD-2-Clause
/*
 * The volumes that the image makes of its disks: each partition is one ("nvme0n1p2"); a disk
 * without a partition table that can be used is one as a whole ("nvme0n1"), and so is a disk for
 * which a rule says whole=1. A disk as a whole and its partitions are never attached together.
 *
 * Each volume has the defaults, changed by the rules that fit it (volume_rules.h): those of
 * config.h first, then those of the command line, then what the monitor's `volumes set` says at run
 * time. Rules that are wrong, or fit nothing, are logged.
 */
#pragma once

#include "runtime/base/command.h"
#include "volume_rules.h"

#define VOLUME_RULES_BYTES 512 /* of the command line's option */

struct volumes {
	struct memory *memory;            /* [I] */
	struct pagecache *pagecache;      /* [I] */
	struct volume_config defaults;    /* [I] */
	const char *table;                /* [I] rules of config.h */
	char options[VOLUME_RULES_BYTES]; /* [I] rules of the command line */
	struct list attached;             /* [I] */
	struct command commands[2];
};

/*
 * Attaches volumes for all disks of the table; what cannot be attached is logged. `table` and the
 * volumes live for good. Where platform_may_sleep().
 */
void volumes_start(struct volumes *volumes, struct memory *memory, struct pagecache *pagecache,
		   struct block_device_table *disks, const struct volume_config *defaults, const char *table,
		   const char *command_line);

/* volumes set, volumes names */
void volumes_commands_register(struct volumes *volumes, struct command_table *table);
