// SPDX-License-Identifier: BSD-2-Clause
/* A driver's task is that of disk_device.c: it is never started, and its look is called instead. */
#include "fake_kernel.h"

#include "drivers/disk_device.h"
#include "host/platform_host.h"
#include "runtime/kernel/task.h"

struct task {
	struct disk_device *device;
	bool there, looking;
};

struct handler {
	void (*run)(void *context);
	void *context;
};

static struct task watch;
static struct handler handlers[PCI_VECTORS_MAX];
static struct list work;
static bool working;

void fake_kernel_begin(void)
{
	watch = (struct task){ 0 };
	working = false;
	list_init(&work);
	fake_handlers_forget();
}

void fake_handler_set(unsigned vector, void (*handler)(void *context), void *context)
{
	handlers[vector] = (struct handler){ handler, context };
}

void fake_handler_run(unsigned vector)
{
	if (vector < PCI_VECTORS_MAX && handlers[vector].run)
		host_handler_run(handlers[vector].run, handlers[vector].context);
}

void fake_handlers_forget(void)
{
	for (unsigned i = 0; i < PCI_VECTORS_MAX; i++)
		handlers[i] = (struct handler){ 0 };
}

void deferred_init(struct deferred *deferred, void (*run)(struct deferred *self))
{
	list_init(&deferred->link);
	atomic_init(&deferred->queued, false);
	deferred->run = run;
}

bool deferred_queue(struct deferred *deferred)
{
	if (atomic_exchange(&deferred->queued, true))
		return false;
	list_insert_last(&work, &deferred->link);
	return true;
}

void deferred_flush(struct deferred *deferred)
{
	if (!atomic_load(&deferred->queued))
		return;
	list_remove(&deferred->link);
	atomic_store(&deferred->queued, false);
	deferred->run(deferred);
}

void fake_work_run(void)
{
	struct list *link;

	if (working || !platform_may_sleep())
		return;
	working = true;
	while ((link = list_take_first(&work))) {
		struct deferred *deferred = container_of(link, struct deferred, link);

		atomic_store(&deferred->queued, false);
		deferred->run(deferred);
	}
	working = false;
}

status_t task_spawn(const struct task_options *options, void (*run)(void *context), void *context, struct task **task)
{
	(void)options, (void)run;
	if (watch.there)
		host_fail("two tasks of a driver");
	watch = (struct task){ .device = context, .there = true };
	*task = &watch;
	return STATUS_OK;
}

void task_join(struct task *task)
{
	if (task->looking)
		host_fail("the watch task waits for itself");
	task->there = false;
}

bool fake_task_is_there(void)
{
	return watch.there;
}

void fake_task_look(void)
{
	if (!watch.there || watch.looking || working || !platform_may_sleep())
		return;
	watch.looking = true;
	host_clock_turn(watch.device->watch.period_ns);
	watch.device->watch.look(&watch.device->watch);
	watch.looking = false;
}
