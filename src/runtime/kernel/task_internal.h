// SPDX-License-Identifier: BSD-2-Clause
/* What task.c, scheduler.c and wait.c share. Others use task.h. */
#pragma once

#include "stack.h"
#include "runtime/base/atomic.h"
#include "runtime/base/list.h"
#include "runtime/base/spinlock.h"
#include "task.h"

#define TASK_CANARY 0x5441534b20574552ull

/*
 * Locks: [RQ] the run queue of CPU `cpu`; [A] the list of all tasks; [r] the running task itself.
 *
 * A task is in one of these states:
 *   running   it is `current` of its CPU
 *   ready     it is in its CPU's run queue, or on the way from one queue to another
 *   waiting   in neither; scheduler_wake makes it ready
 *   ended     never runs again
 * `blocking` is set while a running task prepares to wait: a wake-up before it has left the CPU
 * clears it, and it goes on.
 */
struct task {
	uint64_t canary;             /* [I] TASK_CANARY until it is freed */
	void *context;               /* [RQ] its stack pointer while it does not run */
	enum task_run_state state;   /* [RQ] */
	enum task_priority priority; /* [RQ] the higher one of the next two */
	enum task_priority own;      /* [RQ] */
	enum task_priority lent;     /* [RQ] platform_lend_priority; TASK_IDLE: none */
	bool blocking;               /* [RQ] */
	bool pinned;                 /* [I] */
	bool idle;                   /* [I] the CPU's idle task: never in a queue */
	bool cleaning;               /* [r] it frees memory: see platform_set_cleaning */
	_Atomic uint32_t cpu;        /* [RQ], read without to find the lock */
	struct list queue_link;      /* [RQ] */

	void *vector_state;  /* [I] NULL: may not use vector registers */
	uint64_t since_ns;   /* [RQ] when it began to run */
	uint64_t runtime_ns; /* [RQ] before that */
	uint64_t switches;   /* [RQ] */

	void (*run)(void *context); /* [I] */
	void *run_context;          /* [I] */
	struct stack stack;         /* [I] */
	bool detached;              /* [I] */
	_Atomic uint32_t ended;     /* set when nothing of it is in use any more but the structure and the stack */

	uint64_t id;                /* [I] */
	struct list all_link;       /* [A] */
	struct list dead_link;      /* the reaper's lock */
	char name[TASK_NAME_BYTES]; /* [I] */
};

struct heap;

/* Once, before tasks are made. */
void task_init(struct heap *heap);

/*
 * Makes `task` the idle task of `cpu`, which will run on `stack`; no bytes: on the stack that is in
 * use now.
 */
void task_init_idle(struct task *task, unsigned cpu, const struct stack *stack);

/* Starts the reaper, the task that frees tasks which are not joined. Once. */
status_t task_start_reaper(void) MUST_CHECK;

/* Gives a task an id and adds it to the list of all. */
void task_register(struct task *task);

/* Where a new task's context starts; never returns. */
void task_begin(void);

/* Called by the next task when `task` has left its CPU for good. Interrupts are off. */
void task_finish(struct task *task);
