// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tasks: threads of control with a stack of their own, preempted by the timer.
 *
 * 1. A ready task of higher priority runs before one of lower priority, always; equals share a CPU
 *    in turns of a slice (5 ms), which is only cut while another one of the same priority waits.
 *    Nothing ages: a task that never sleeps starves those below it on its CPU.
 * 2. Each CPU has a run queue. A wake-up puts a task on its last CPU, or on an idle one; an idle
 *    CPU takes waiting tasks from others. A task with `cpu` >= 0 stays on that CPU.
 * 3. A stack lies above an unmapped guard page: running over its end is reported as an overflow
 *    with the task's name.
 * 4. All code is built to use general registers only, except files whose names end in _vector.c:
 *    there the compiler uses SSE, and there are `float` and `double`. Their functions run only in
 *    tasks that were spawned with `vector`, whose registers are kept across switches. In any other
 *    task, in an interrupt handler and in a timer callback, whatever it interrupts, a vector
 *    instruction ends in a panic that names the function. app_main's task has `vector`.
 * 5. The structure belongs to task.c and friends; others see it as opaque.
 */
#pragma once

#include "runtime/base/status.h"
#include "runtime/base/types.h"

struct task;
struct command_table;

enum task_priority {
	TASK_IDLE, /* when nothing else wants the CPU */
	TASK_LOW,
	TASK_NORMAL,
	TASK_HIGH,
	TASK_DEFERRED, /* deferred work of interrupt handlers; not for others */
	TASK_PRIORITIES,
};

#define TASK_STACK_BYTES (32 * KIB) /* default; interrupt handlers run on the stack of the task that they interrupt */
#define TASK_NAME_BYTES  24         /* NUL included; longer names are cut */

struct task_options {
	const char *name; /* copied */
	enum task_priority priority;
	bool vector;        /* may run the code of *_vector.c */
	int cpu;            /* pinned to this CPU; -1: any */
	size_t stack_bytes; /* 0: TASK_STACK_BYTES; rounded up to pages */
};

/*
 * Starts a task that runs `run(context)` and ends when that returns. With `task` not NULL the
 * caller gets a reference and must task_join it, once; with NULL the task frees itself. Where
 * platform_may_sleep(). STATUS_NO_MEMORY; STATUS_INVALID: bad CPU, priority or name.
 */
status_t task_spawn(const struct task_options *options, void (*run)(void *context), void *context,
		    struct task **task) MUST_CHECK;

/* Waits until `task` has ended and frees it. Where platform_may_sleep(). */
void task_join(struct task *task);

/* Lets other ready tasks of the same priority run first. Where platform_may_sleep(). */
void task_yield(void);

/* Sleeps until clock_now_ns() reaches `deadline_ns`, or for `ns`. Where platform_may_sleep(). */
void task_sleep_until(uint64_t deadline_ns);
void task_sleep(uint64_t ns);

/* The running task; in an interrupt handler, the interrupted one. Never NULL. */
struct task *task_current(void);
const char *task_name(const struct task *task);

/* Changes the running task's priority. Where platform_may_sleep(). */
void task_set_priority(enum task_priority priority);

enum task_run_state {
	TASK_RUNNING,
	TASK_READY,
	TASK_WAITING,
	TASK_ENDED,
};

/* A snapshot of one task, for lists. */
struct task_report {
	char name[TASK_NAME_BYTES];
	uint64_t id;
	enum task_run_state state;
	enum task_priority priority;
	unsigned cpu; /* where it runs or ran last */
	bool pinned;
	bool vector;
	uint64_t runtime_ns;
	uint64_t switches;
	size_t stack_bytes;
	size_t stack_used_bytes; /* most that was ever used */
};

/*
 * Fills `report` with the living task of the lowest id above `after_id` (start with 0; idle tasks
 * are included). False: there are no more. Any task context.
 */
bool task_report_next(uint64_t after_id, struct task_report *report);

/* The monitor command `tasks`. */
void task_commands_register(struct command_table *table);
