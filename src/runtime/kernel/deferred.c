// SPDX-License-Identifier: BSD-2-Clause
/*
 * One queue of work and one task for each CPU. Only the queue's own CPU touches it, with
 * interrupts off, so it needs no lock. The task announces that it sleeps in the same step in which
 * it finds the queue empty, so no work is left behind.
 */
#include "deferred.h"

#include "cpu.h"
#include "runtime/base/format.h"
#include "task.h"

/* Used by its own CPU alone, with interrupts off. */
struct deferred_queue {
	struct list work;
	_Atomic uint32_t waiting; /* 1: the task sleeps, or is about to */
} __attribute__((aligned(64)));

static struct deferred_queue queues[PLATFORM_CPUS_MAX];

void deferred_init(struct deferred *deferred, void (*run)(struct deferred *self))
{
	list_init(&deferred->link);
	atomic_init(&deferred->queued, false);
	atomic_init(&deferred->calls, 0);
	deferred->run = run;
}

bool deferred_queue(struct deferred *deferred)
{
	struct deferred_queue *queue;
	uint64_t state;

	if (atomic_exchange(&deferred->queued, true))
		return false;
	atomic_fetch_add(&deferred->calls, 1);
	state = platform_interrupts_save();
	queue = &queues[cpu_current_id()];
	list_insert_last(&queue->work, &deferred->link);
	if (atomic_exchange(&queue->waiting, 0) == 1)
		platform_wake(&queue->waiting);
	platform_interrupts_restore(state);
	return true;
}

/* The next piece of work, or NULL after announcing that the task is going to sleep. */
static struct deferred *take(struct deferred_queue *queue)
{
	uint64_t state = platform_interrupts_save();
	struct list *link = list_take_first(&queue->work);

	if (!link)
		atomic_store(&queue->waiting, 1);
	platform_interrupts_restore(state);
	return link ? container_of(link, struct deferred, link) : NULL;
}

static void deferred_task(void *context)
{
	struct deferred_queue *queue = context;

	for (;;) {
		struct deferred *deferred = take(queue);

		if (!deferred) {
			platform_wait(&queue->waiting, 1, PLATFORM_FOREVER);
			continue;
		}
		atomic_store(&deferred->queued, false);
		deferred->run(deferred);
		/* The last access: deferred_flush may be waiting to free it. */
		if (atomic_fetch_sub(&deferred->calls, 1) == 1)
			platform_wake(&deferred->calls);
	}
}

void deferred_flush(struct deferred *deferred)
{
	uint32_t calls;

	while ((calls = atomic_load(&deferred->calls)) != 0)
		platform_wait(&deferred->calls, calls, PLATFORM_FOREVER);
}

void deferred_prepare(void)
{
	for (unsigned cpu = 0; cpu < PLATFORM_CPUS_MAX; cpu++)
		list_init(&queues[cpu].work);
}

status_t deferred_start(void)
{
	for (unsigned cpu = 0; cpu < platform_cpu_count(); cpu++) {
		char name[TASK_NAME_BYTES];
		struct task_options options = { .name = name, .priority = TASK_DEFERRED, .cpu = (int)cpu };
		status_t status;

		format_text(name, sizeof(name), "deferred %u", cpu);
		status = task_spawn(&options, deferred_task, &queues[cpu], NULL);
		if (status != STATUS_OK)
			return status;
	}
	return STATUS_OK;
}
