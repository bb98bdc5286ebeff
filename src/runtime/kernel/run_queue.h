// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ready tasks of a CPU: a list for each priority. The caller holds the lock.
 */
#pragma once

#include "runtime/base/spinlock.h"
#include "task_internal.h"
#include "timer.h"

struct run_queue {
	struct spinlock lock;
	struct list ready[TASK_PRIORITIES]; /* [lock] */
	uint32_t filled;                    /* [lock] bit n: ready[n] is not empty */
	_Atomic uint32_t movable;           /* [lock] ready tasks that are not pinned; other CPUs read it without */
	struct task *idle;                  /* [I] */
	struct task *previous;              /* [lock] across a switch: the task that left the CPU */
	struct timer slice;                 /* ends the turn of the running task; its CPU's alone */
} __attribute__((aligned(64)));

void run_queue_init(struct run_queue *queue);

/* Makes `task` ready, before (`first`) or behind its equals. */
void run_queue_insert(struct run_queue *queue, struct task *task, bool first);

/* Takes a task out that is ready here. */
void run_queue_remove(struct run_queue *queue, struct task *task);

/* Takes out the best task; the idle task where there is none. */
struct task *run_queue_take(struct run_queue *queue);

/* Takes out the best task that may go to another CPU; NULL: none. */
struct task *run_queue_take_movable(struct run_queue *queue);

/* Whether a ready task is better than `running`, or, with `equal`, at least as good. */
bool run_queue_has_rival(const struct run_queue *queue, const struct task *running, bool equal);
