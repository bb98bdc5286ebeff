// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `tasks`: a line for each task, fetched one at a time by rising id. So no
 * lock is held while it prints, and tasks may come and go.
 */
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "task.h"

static const char *const states[] = {
	[TASK_RUNNING] = "running",
	[TASK_READY] = "ready",
	[TASK_WAITING] = "waiting",
	[TASK_ENDED] = "ended",
};

static const char *const priorities[] = {
	[TASK_IDLE] = "idle", [TASK_LOW] = "low", [TASK_NORMAL] = "normal", [TASK_HIGH] = "high", [TASK_DEFERRED] = "deferred",
};

static void print_task(const struct task_report *task)
{
	char stack[FORMAT_BYTES_SIZE], used[FORMAT_BYTES_SIZE];

	print("%5llu  %-24s %-8s %-9s %3u%c %c  %6llu.%03llu  %9llu  %s of %s\n", (unsigned long long)task->id, task->name,
	      states[task->state], priorities[task->priority], task->cpu, task->pinned ? '!' : ' ', task->vector ? 'v' : ' ',
	      (unsigned long long)(task->runtime_ns / NS_PER_S), (unsigned long long)(task->runtime_ns / NS_PER_MS % 1000),
	      (unsigned long long)task->switches, format_bytes(used, task->stack_used_bytes),
	      format_bytes(stack, task->stack_bytes));
}

static status_t command_tasks(struct command *self, int argc, char **argv)
{
	struct task_report task = { 0 };

	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print("   id  name                     state    priority  cpu      seconds   switches  stack used\n");
	while (task_report_next(task.id, &task))
		print_task(&task);
	return STATUS_OK;
}

void task_commands_register(struct command_table *table)
{
	static struct command tasks = {
		.name = "tasks",
		.arguments = "",
		.help = "all tasks; ! pinned to its CPU, v may use vector registers",
		.run = command_tasks,
	};

	command_register(table, &tasks);
}
