// SPDX-License-Identifier: BSD-2-Clause
/*
 * The task waits on one word of events: an alarm and the end each set a bit in it and wake the
 * task, and a period without either is a look, too. So a device that says nothing at all is looked
 * at.
 */
#include "disk_watch.h"

#include "runtime/base/platform.h"

#define EVENT_ALARM 1u
#define EVENT_END   2u

void disk_watch_run(struct disk_watch *watch)
{
	for (;;) {
		const uint64_t deadline_ns = platform_now_ns() + watch->period_ns;
		status_t status = STATUS_OK;
		uint32_t events = 0;

		/* A wait may end early, by the late wake of an alarm that was seen already, too. */
		while (events == 0 && status == STATUS_OK) {
			status = platform_wait(&watch->events, 0, deadline_ns);
			events = atomic_exchange(&watch->events, 0);
		}
		if (events & EVENT_END)
			return;
		watch->look(watch);
	}
}

void disk_watch_init(struct disk_watch *watch, uint64_t period_ns, void (*look)(struct disk_watch *self))
{
	atomic_init(&watch->events, 0);
	watch->period_ns = period_ns;
	watch->look = look;
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

void disk_watch_end(struct disk_watch *watch)
{
	event_raise(watch, EVENT_END);
}
