// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the task does that watches over a disk. It looks at the disk once in each period, and at
 * once after disk_watch_alarm. All that takes long, such as a reset, is done in this task alone, so
 * that it needs no lock against itself.
 *
 *	disk_watch_init -> a task of the caller's: disk_watch_run -> disk_watch_end -> the caller joins the task
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/types.h"

struct disk_watch {
	_Atomic uint32_t events;               /* [a] */
	uint64_t period_ns;                    /* [I] */
	void (*look)(struct disk_watch *self); /* [I] */
};

void disk_watch_init(struct disk_watch *watch, uint64_t period_ns, void (*look)(struct disk_watch *self));

/* Returns after disk_watch_end. Where platform_may_sleep(). */
void disk_watch_run(struct disk_watch *watch);

/* Any context. */
void disk_watch_alarm(struct disk_watch *watch);

/* The task does not look again; it may be in the middle of it. Any context. */
void disk_watch_end(struct disk_watch *watch);
