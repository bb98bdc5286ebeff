// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tasks: their start, their end, and the list of all. A task cannot free the stack that it runs
 * on: the next task on its CPU marks it as gone, and then its joiner, or the reaper task, frees
 * it.
 */
#include "task.h"

#include "clock.h"
#include "cpu.h"
#include "runtime/base/assert.h"
#include "runtime/base/format.h"
#include "runtime/base/heap.h"
#include "runtime/base/string.h"
#include "runtime/x86_64/context.h"
#include "runtime/x86_64/fpu.h"
#include "scheduler.h"
#include "task_internal.h"

#define STACK_FILL 0x6bu /* what was never overwritten was never used */

static struct heap *memory;

static struct spinlock all_lock = { .name = "all tasks" };
static struct list all = { &all, &all }; /* [all_lock] by id */
static uint64_t last_id;                 /* [all_lock] */

/* Tasks that are not joined, on their way out. Filled where nothing may be freed. */
static struct spinlock dead_lock = { .name = "dead tasks" };
static struct list dead = { &dead, &dead }; /* [dead_lock] */
static _Atomic uint32_t dead_count;

struct task *task_current(void)
{
	return cpu_current_task();
}

const char *task_name(const struct task *task)
{
	return task->name;
}

static void name_set(struct task *task, const char *name)
{
	size_t length = strnlen(name, TASK_NAME_BYTES - 1);

	memcpy(task->name, name, length);
	task->name[length] = '\0';
}

void task_register(struct task *task)
{
	spinlock_lock(&all_lock);
	task->id = ++last_id;
	list_insert_last(&all, &task->all_link);
	spinlock_unlock(&all_lock);
}

static void task_free(struct task *task)
{
	spinlock_lock(&all_lock);
	list_remove(&task->all_link);
	spinlock_unlock(&all_lock);
	assert(task->canary == TASK_CANARY);
	task->canary = 0;
	stack_free(&task->stack);
	heap_free(memory, task->vector_state);
	heap_free(memory, task);
}

static struct task *task_create(const struct task_options *options)
{
	struct task *task = heap_alloc_zeroed(memory, sizeof(*task), 64);

	if (!task)
		return NULL;
	task->canary = TASK_CANARY;
	task->priority = task->own = options->priority;
	task->pinned = options->cpu >= 0;
	atomic_store(&task->cpu, task->pinned ? (uint32_t)options->cpu : cpu_current_id());
	list_init(&task->queue_link);
	list_init(&task->all_link);
	list_init(&task->dead_link);
	name_set(task, options->name);
	if (options->vector)
		task->vector_state = heap_alloc(memory, fpu_state_bytes(), FPU_ALIGNMENT);
	if ((options->vector && !task->vector_state) ||
	    stack_alloc(&task->stack, options->stack_bytes ? options->stack_bytes : TASK_STACK_BYTES, task->name) !=
		    STATUS_OK) {
		heap_free(memory, task->vector_state);
		heap_free(memory, task);
		return NULL;
	}
	if (options->vector)
		fpu_state_init(task->vector_state);
	memset(task->stack.bottom, STACK_FILL, task->stack.bytes);
	task->context = context_prepare((char *)task->stack.bottom + task->stack.bytes, task_begin);
	return task;
}

status_t task_spawn(const struct task_options *options, void (*run)(void *context), void *context, struct task **out)
{
	struct task *task;

	if (!options->name || options->priority < TASK_IDLE || options->priority > TASK_DEFERRED ||
	    options->cpu >= (int)cpu_count() || options->stack_bytes > STACK_BYTES_MAX)
		return STATUS_INVALID;
	assert(platform_may_sleep() || task_current()->idle); /* start-up begins in an idle task */
	task = task_create(options);
	if (!task)
		return STATUS_NO_MEMORY;
	task->run = run;
	task->run_context = context;
	task->detached = !out;
	task_register(task);
	if (out)
		*out = task;
	scheduler_add(task);
	return STATUS_OK;
}

void task_begin(void)
{
	struct task *task;

	scheduler_begin();
	task = task_current();
	task->run(task->run_context);
	assert(platform_may_sleep());
	scheduler_end();
}

void task_finish(struct task *task)
{
	if (!task->detached) {
		atomic_store(&task->ended, 1);
		platform_wake(&task->ended);
		return;
	}
	spinlock_lock(&dead_lock);
	list_insert_last(&dead, &task->dead_link);
	spinlock_unlock(&dead_lock);
	atomic_fetch_add(&dead_count, 1);
	platform_wake(&dead_count);
}

void task_join(struct task *task)
{
	assert(task->canary == TASK_CANARY && !task->detached);
	while (atomic_load(&task->ended) == 0)
		platform_wait(&task->ended, 0, PLATFORM_FOREVER);
	task_free(task);
}

static struct task *dead_take(void)
{
	uint64_t state = spinlock_lock_interrupts(&dead_lock);
	struct list *link = list_take_first(&dead);

	spinlock_unlock_interrupts(&dead_lock, state);
	return link ? container_of(link, struct task, dead_link) : NULL;
}

static void reap(void *context)
{
	(void)context;
	for (;;) {
		uint32_t count = atomic_load(&dead_count);
		struct task *task;

		while ((task = dead_take()))
			task_free(task);
		platform_wait(&dead_count, count, PLATFORM_FOREVER);
	}
}

void task_init(struct heap *heap)
{
	memory = heap;
}

status_t task_start_reaper(void)
{
	struct task_options options = { .name = "reaper", .priority = TASK_HIGH, .cpu = -1 };

	return task_spawn(&options, reap, NULL, NULL);
}

void task_init_idle(struct task *task, unsigned cpu, const struct stack *stack)
{
	memset(task, 0, sizeof(*task));
	task->canary = TASK_CANARY;
	task->priority = TASK_IDLE;
	task->state = TASK_RUNNING;
	task->idle = true;
	task->pinned = true;
	task->stack = *stack;
	if (stack->bytes)
		memset(stack->bottom, STACK_FILL, stack->bytes);
	atomic_store(&task->cpu, cpu);
	list_init(&task->queue_link);
	list_init(&task->all_link);
	format_text(task->name, sizeof(task->name), "idle %u", cpu);
}

void task_yield(void)
{
	assert(platform_may_sleep());
	scheduler_yield();
}

void task_sleep_until(uint64_t deadline_ns)
{
	_Atomic uint32_t word = 0;

	while (clock_now_ns() < deadline_ns)
		platform_wait(&word, 0, deadline_ns);
}

void task_sleep(uint64_t ns)
{
	task_sleep_until(clock_now_ns() + ns);
}

void task_set_priority(enum task_priority priority)
{
	assert(platform_may_sleep());
	scheduler_set_priority(task_current(), &task_current()->own, priority);
}

static size_t stack_used(const struct stack *stack)
{
	const uint8_t *bottom = stack->bottom;
	size_t unused = 0;

	while (unused < stack->bytes && bottom[unused] == STACK_FILL)
		unused++;
	return stack->bytes - unused;
}

static void report_fill(struct task *task, struct task_report *report)
{
	enum task_run_state state = task->state;
	uint64_t since = task->since_ns, now = clock_now_ns();

	*report = (struct task_report){
		.id = task->id,
		.state = state,
		.priority = task->priority,
		.cpu = atomic_load(&task->cpu),
		.pinned = task->pinned,
		.vector = task->vector_state != NULL,
		.runtime_ns = task->runtime_ns + (state == TASK_RUNNING && now > since ? now - since : 0),
		.switches = task->switches,
		.stack_bytes = task->stack.bytes,
		.stack_used_bytes = task->stack.bytes ? stack_used(&task->stack) : 0,
	};
	memcpy(report->name, task->name, sizeof(report->name));
}

bool task_report_next(uint64_t after_id, struct task_report *report)
{
	bool found = false;

	spinlock_lock(&all_lock);
	list_for_each (link, &all) {
		struct task *task = container_of(link, struct task, all_link);

		if (task->id > after_id) {
			report_fill(task, report);
			found = true;
			break;
		}
	}
	spinlock_unlock(&all_lock);
	return found;
}
