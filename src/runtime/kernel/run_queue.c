// SPDX-License-Identifier: BSD-2-Clause
/*
 * A list of ready tasks for each priority, and a word with a bit for each list that is not empty:
 * the best task is found by one search for a bit. The count of tasks that may leave the CPU is
 * read by other CPUs without the lock.
 */
#include "run_queue.h"

#include "runtime/base/bits.h"

void run_queue_init(struct run_queue *queue)
{
	spinlock_init(&queue->lock, "run queue");
	for (unsigned i = 0; i < TASK_PRIORITIES; i++)
		list_init(&queue->ready[i]);
}

void run_queue_insert(struct run_queue *queue, struct task *task, bool first)
{
	struct list *list = &queue->ready[task->priority];

	task->state = TASK_READY;
	if (first)
		list_insert_first(list, &task->queue_link);
	else
		list_insert_last(list, &task->queue_link);
	queue->filled |= 1u << task->priority;
	if (!task->pinned)
		atomic_fetch_add(&queue->movable, 1);
}

void run_queue_remove(struct run_queue *queue, struct task *task)
{
	list_remove(&task->queue_link);
	if (list_is_empty(&queue->ready[task->priority]))
		queue->filled &= ~(1u << task->priority);
	if (!task->pinned)
		atomic_fetch_sub(&queue->movable, 1);
}

struct task *run_queue_take(struct run_queue *queue)
{
	struct task *task;

	if (!queue->filled)
		return queue->idle;
	task = container_of(list_first(&queue->ready[log2_floor(queue->filled)]), struct task, queue_link);
	run_queue_remove(queue, task);
	return task;
}

struct task *run_queue_take_movable(struct run_queue *queue)
{
	for (int priority = TASK_PRIORITIES - 1; priority >= 0; priority--) {
		list_for_each (link, &queue->ready[priority]) {
			struct task *task = container_of(link, struct task, queue_link);

			if (!task->pinned) {
				run_queue_remove(queue, task);
				return task;
			}
		}
	}
	return NULL;
}

bool run_queue_has_rival(const struct run_queue *queue, const struct task *running, bool equal)
{
	if (!queue->filled)
		return false;
	if (running->idle)
		return true;
	return log2_floor(queue->filled) + (equal ? 1 : 0) > (unsigned)running->priority;
}
