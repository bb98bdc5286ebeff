// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which task runs where. Each CPU switches to the best task of its own queue; a task that becomes
 * ready goes to its last CPU or to one that is idle; an idle CPU takes tasks from others. A
 * queue's lock is held across a switch, and the next task releases it: so a task is never seen
 * half saved.
 */
#include "scheduler.h"

#include "clock.h"
#include "cpu.h"
#include "run_queue.h"
#include "runtime/base/assert.h"
#include "runtime/base/bits.h"
#include "runtime/x86_64/context.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/fpu.h"

enum reason {
	REASON_PREEMPTED,
	REASON_YIELD,
	REASON_WAIT,
	REASON_END,
};

static struct run_queue queues[PLATFORM_CPUS_MAX];
static _Atomic uint64_t idle_cpus[PLATFORM_CPUS_MAX / 64]; /* bit n: CPU n is about to halt, or has */
static uint64_t slice_ns;

_Static_assert(PLATFORM_CPUS_MAX % 64 == 0, "idle_cpus and struct cpu_set have a bit for each CPU");

#define CPU_NONE PLATFORM_CPUS_MAX

/* A CPU that halts, or CPU_NONE. */
static unsigned idle_find(void)
{
	for (unsigned word = 0; word * 64 < cpu_count(); word++) {
		uint64_t idle = atomic_load(&idle_cpus[word]);

		if (idle)
			return word * 64 + (unsigned)__builtin_ctzll(idle);
	}
	return CPU_NONE;
}

static void idle_begin(unsigned cpu)
{
	atomic_fetch_or(&idle_cpus[cpu / 64], 1ull << (cpu % 64));
}

/* Whether it was idle. */
static bool idle_end(unsigned cpu)
{
	uint64_t bit = 1ull << (cpu % 64);

	return atomic_fetch_and(&idle_cpus[cpu / 64], ~bit) & bit;
}

/* Locks the queue that `task` belongs to. Interrupts are off. */
static struct run_queue *queue_lock(struct task *task)
{
	for (;;) {
		uint32_t cpu = atomic_load(&task->cpu);

		spinlock_lock(&queues[cpu].lock);
		if (atomic_load(&task->cpu) == cpu)
			return &queues[cpu];
		spinlock_unlock(&queues[cpu].lock);
	}
}

static void slice_end(struct timer *timer)
{
	(void)timer;
	atomic_store(&cpu_current()->reschedule, true);
}

/* Limits the running task's turn if an equal one waits. Interrupts off. */
static void slice_begin(struct run_queue *queue)
{
	if (!queue->slice.pending)
		timer_start(&queue->slice, clock_now_ns() + slice_ns);
}

/*
 * An idle CPU may take the task that was just put back into this queue. Not while deferred work
 * runs, which is soon over.
 */
static bool should_offer(const struct task *previous, const struct task *task)
{
	return previous != task && previous->state == TASK_READY && !previous->idle && !previous->pinned &&
	       task->priority != TASK_DEFERRED && idle_find() != CPU_NONE;
}

static void kick_idle(void)
{
	unsigned idle = idle_find();

	if (idle != CPU_NONE)
		cpu_kick(cpu_get(idle));
}

/*
 * The second half of a switch, on the stack of the task that runs now. Interrupts off, the queue
 * locked by the first half.
 */
static void switch_finish(void)
{
	struct cpu *cpu = cpu_current();
	struct run_queue *queue = &queues[cpu->id];
	struct task *previous = queue->previous, *task = atomic_load(&cpu->current);
	bool ended = previous->state == TASK_ENDED;
	bool rival = !task->idle && run_queue_has_rival(queue, task, true), offer = should_offer(previous, task);

	assert(task->canary == TASK_CANARY);
	if (task->vector_state && previous != task)
		fpu_load(task->vector_state);
	spinlock_unlock(&queue->lock);
	if (queue->slice.pending)
		timer_cancel(&queue->slice);
	if (rival)
		slice_begin(queue);
	if (offer)
		kick_idle();
	if (ended)
		task_finish(previous);
}

/* Puts the running task where it belongs when it leaves the CPU. The queue is locked. */
static void put_away(struct run_queue *queue, struct task *task, enum reason reason)
{
	if (task->idle) {
		task->state = TASK_READY;
	} else if (reason == REASON_END) {
		task->state = TASK_ENDED;
	} else if (reason == REASON_WAIT && task->blocking) {
		task->state = TASK_WAITING;
	} else {
		/* A task that a better one pushes aside has not had its turn. */
		bool first = reason == REASON_PREEMPTED && run_queue_has_rival(queue, task, false);

		run_queue_insert(queue, task, first);
	}
}

/*
 * Goes on with the best ready task. Interrupts off, preemption count 0; returns when the running
 * task is chosen again.
 */
static void reschedule(enum reason reason)
{
	struct cpu *cpu = cpu_current();
	struct run_queue *queue = &queues[cpu->id];
	struct task *task = atomic_load(&cpu->current), *next;
	uint64_t now = clock_now_ns();

	spinlock_lock(&queue->lock);
	assert(cpu->preempt_count == 1 && task->canary == TASK_CANARY && task->state == TASK_RUNNING);
	atomic_store(&cpu->reschedule, false);
	put_away(queue, task, reason);
	next = run_queue_take(queue);
	task->runtime_ns += now - task->since_ns;
	next->since_ns = now;
	next->state = TASK_RUNNING;
	queue->previous = task;
	if (next != task) {
		next->switches++;
		atomic_store(&cpu->current, next);
		if (task->vector_state)
			fpu_save(task->vector_state);
		context_switch(&task->context, next->context);
	}
	switch_finish();
}

void scheduler_begin(void)
{
	switch_finish();
	interrupts_enable();
}

void scheduler_preempt(void)
{
	uint64_t state = platform_interrupts_save();
	struct cpu *cpu = cpu_current();

	if (cpu->preempt_count == 0 && cpu->interrupt_depth == 0 && atomic_load(&cpu->reschedule))
		reschedule(REASON_PREEMPTED);
	if (state & RFLAGS_INTERRUPT)
		interrupts_enable();
}

void scheduler_prepare_wait(void)
{
	struct task *task = task_current();
	struct run_queue *queue = queue_lock(task);

	task->blocking = true;
	spinlock_unlock(&queue->lock);
}

void scheduler_wait(void)
{
	reschedule(REASON_WAIT);
}

void scheduler_yield(void)
{
	uint64_t state = platform_interrupts_save();

	reschedule(REASON_YIELD);
	platform_interrupts_restore(state);
}

_Noreturn void scheduler_end(void)
{
	interrupts_disable();
	reschedule(REASON_END);
	platform_panic("task %s runs after its end", task_name(task_current()));
}

static bool is_idle(unsigned cpu)
{
	return atomic_load(&cpu_get(cpu)->current) == queues[cpu].idle;
}

/*
 * Where a task that becomes ready runs soonest: on its last CPU, if that is idle or on its way to
 * idle, since it need not be woken and still has the task's data in its cache; else on a CPU that
 * halts. Ending its idleness claims a CPU for the task.
 */
static unsigned place(const struct task *task)
{
	unsigned last = atomic_load(&task->cpu), idle;

	if (task->pinned || idle_end(last) || is_idle(last))
		return last;
	while ((idle = idle_find()) != CPU_NONE) {
		if (idle_end(idle))
			return idle;
	}
	return last;
}

/*
 * Puts a ready task that no queue has into its CPU's, and sees that it is noticed there. Interrupts
 * off. Adds the CPU to be kicked, if any, to `kicks`.
 */
static void hand_over(struct task *task, struct cpu_set *kicks)
{
	struct run_queue *queue = queue_lock(task);
	struct cpu *cpu = cpu_get(atomic_load(&task->cpu));
	struct task *running;
	bool better, equal, self = cpu == cpu_current();

	run_queue_insert(queue, task, false);
	running = atomic_load(&cpu->current);
	better = run_queue_has_rival(queue, running, false);
	equal = !better && run_queue_has_rival(queue, running, true);
	if (better)
		atomic_store(&cpu->reschedule, true);
	spinlock_unlock(&queue->lock);
	if (equal && self)
		slice_begin(queue);
	if (!self && (better || equal))
		bitmap_set(kicks->words, cpu->id);
}

void scheduler_kick(const struct cpu_set *cpus)
{
	const unsigned count = cpu_count();

	for (unsigned cpu = 0; (cpu = (unsigned)bitmap_find_set(cpus->words, cpu, count)) < count; cpu++)
		cpu_kick(cpu_get(cpu));
}

void scheduler_add(struct task *task)
{
	uint64_t state = platform_interrupts_save();
	struct cpu_set kicks = { 0 };

	task->state = TASK_READY;
	atomic_store(&task->cpu, place(task));
	hand_over(task, &kicks);
	scheduler_kick(&kicks);
	platform_interrupts_restore(state);
}

void scheduler_wake(struct task *task, struct cpu_set *kicks)
{
	uint64_t state = platform_interrupts_save();
	struct run_queue *queue = queue_lock(task);
	bool waited = task->state == TASK_WAITING;

	task->blocking = false;
	if (waited) {
		/* Ready, but in no queue: until hand_over no other CPU touches it. */
		task->state = TASK_READY;
		atomic_store(&task->cpu, place(task));
	}
	spinlock_unlock(&queue->lock);
	if (waited)
		hand_over(task, kicks);
	platform_interrupts_restore(state);
}

/*
 * A task on its way from one queue to another is in none; the CPU that queues it looks at its
 * priority then.
 */
void scheduler_set_priority(struct task *task, enum task_priority *part, enum task_priority priority)
{
	uint64_t state = platform_interrupts_save();
	struct run_queue *queue = queue_lock(task);
	struct cpu_set kicks = { 0 };
	struct cpu *cpu = cpu_get(atomic_load(&task->cpu));
	bool queued = !list_is_empty(&task->queue_link);

	if (queued)
		run_queue_remove(queue, task);
	*part = priority;
	task->priority = task->own > task->lent ? task->own : task->lent;
	if (queued)
		run_queue_insert(queue, task, false);
	if (run_queue_has_rival(queue, atomic_load(&cpu->current), false)) {
		atomic_store(&cpu->reschedule, true);
		if (cpu != cpu_current())
			bitmap_set(kicks.words, cpu->id);
	}
	spinlock_unlock(&queue->lock);
	scheduler_kick(&kicks);
	platform_interrupts_restore(state);
}

void scheduler_handle_kick(struct cpu *cpu)
{
	struct run_queue *queue = &queues[cpu->id];
	struct task *task = atomic_load(&cpu->current);
	bool better, equal;

	spinlock_lock(&queue->lock);
	better = run_queue_has_rival(queue, task, false);
	equal = !better && run_queue_has_rival(queue, task, true);
	spinlock_unlock(&queue->lock);
	if (better)
		atomic_store(&cpu->reschedule, true);
	if (equal)
		slice_begin(queue);
}

/* Fetches a task that waits on another CPU. Interrupts off. */
static bool steal(unsigned self)
{
	unsigned count = cpu_count();

	for (unsigned i = 1; i < count; i++) {
		struct run_queue *queue = &queues[(self + i) % count];
		struct task *task;

		if (atomic_load(&queue->movable) == 0)
			continue;
		spinlock_lock(&queue->lock);
		task = run_queue_take_movable(queue);
		if (task)
			atomic_store(&task->cpu, self);
		spinlock_unlock(&queue->lock);
		if (task) {
			struct cpu_set kicks = { 0 };

			hand_over(task, &kicks); /* kicks no CPU: the task is for this one */
			return true;
		}
	}
	return false;
}

_Noreturn void scheduler_idle(void)
{
	struct cpu *cpu = cpu_current();

	platform_preempt_enable();
	for (;;) {
		interrupts_disable();
		/* A CPU that queues work from here on sees the bit, and its kick ends the halt. */
		idle_begin(cpu->id);
		if (!atomic_load(&cpu->reschedule) && !steal(cpu->id)) {
			cpu_enable_and_halt();
			interrupts_disable();
		}
		(void)idle_end(cpu->id);
		if (atomic_load(&cpu->reschedule))
			reschedule(REASON_YIELD);
		interrupts_enable();
	}
}

void scheduler_init(uint64_t slice)
{
	slice_ns = slice;
	for (unsigned cpu = 0; cpu < PLATFORM_CPUS_MAX; cpu++) {
		run_queue_init(&queues[cpu]);
		timer_init(&queues[cpu].slice, slice_end);
	}
}

void scheduler_init_cpu(struct task *idle)
{
	struct cpu *cpu = cpu_current();

	idle->since_ns = clock_now_ns();
	atomic_store(&idle->cpu, cpu->id);
	queues[cpu->id].idle = idle;
	atomic_store(&cpu->current, idle);
}
