// SPDX-License-Identifier: BSD-2-Clause
/*
 * A task that waits on one word of events: an alarm and a stop each set a bit in it and wake the
 * task, and a period without either is a look, too. So a device that says nothing at all is looked
 * at.
 */
#include "disk_watch.h"

#include "runtime/base/platform.h"
#include "runtime/kernel/task.h"

#define EVENT_ALARM 1u
#define EVENT_STOP  2u

static void watch_run(void *context)
{
	struct disk_watch *watch = context;

	for (;;) {
		(void)platform_wait(&watch->events, 0, platform_now_ns() + watch->period_ns);
		if (atomic_exchange(&watch->events, 0) & EVENT_STOP)
			return;
		watch->look(watch);
	}
}

status_t disk_watch_start(struct disk_watch *watch, const char *name, uint64_t period_ns, void (*look)(struct disk_watch *self))
{
	const struct task_options options = { .name = name, .priority = TASK_HIGH, .cpu = -1 };

	atomic_init(&watch->events, 0);
	watch->period_ns = period_ns;
	watch->look = look;
	return task_spawn(&options, watch_run, watch, &watch->task);
}

static void event_raise(struct disk_watch *watch, uint32_t event)
{
	atomic_fetch_or(&watch->events, event);
	platform_wake(&watch->events);
}

void disk_watch_alarm(struct disk_watch *watch)
{
	event_raise(watch, EVENT_ALARM);
}

void disk_watch_stop(struct disk_watch *watch)
{
	if (!watch->task)
		return;
	event_raise(watch, EVENT_STOP);
	task_join(watch->task);
	watch->task = NULL;
}
