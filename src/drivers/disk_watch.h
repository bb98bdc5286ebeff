// SPDX-License-Identifier: BSD-2-Clause
/*
 * The task that watches over a disk. It looks at the disk once in each period, and at once after
 * disk_watch_alarm. All that takes long, such as a reset, is done in this task alone, so that it
 * needs no lock against itself.
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct task;

struct disk_watch {
	struct task *task;                     /* [I] NULL: not started */
	_Atomic uint32_t events;               /* [a] */
	uint64_t period_ns;                    /* [I] */
	void (*look)(struct disk_watch *self); /* [I] */
};

/* Where platform_may_sleep(). */
status_t disk_watch_start(struct disk_watch *watch, const char *name, uint64_t period_ns,
			  void (*look)(struct disk_watch *self)) MUST_CHECK;

/* Any context. */
void disk_watch_alarm(struct disk_watch *watch);

/* When it returns, `look` does not run any more. Harmless when not started. Where platform_may_sleep(). */
void disk_watch_stop(struct disk_watch *watch);
