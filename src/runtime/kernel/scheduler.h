// SPDX-License-Identifier: BSD-2-Clause
/*
 * The scheduler: a run queue for each CPU, switching, waking, and taking work from others.
 *
 * A queue's lock is held across the switch from one task to the next: the next one releases it. So
 * a CPU that holds the lock of a task's queue sees the task either still running or with its
 * registers saved. Two queues are never locked at once. Order: wait bucket, then queue. Taken with
 * interrupts off; nothing is written to the APIC under them.
 */
#pragma once

#include "runtime/base/platform.h"
#include "runtime/base/types.h"
#include "task.h"

struct cpu;

/* Sets the length of a turn. Once, before scheduler_init_cpu. */
void scheduler_init(uint64_t slice_ns);

/* Makes the running code `idle`, the idle task of this CPU. */
void scheduler_init_cpu(struct task *idle);

/*
 * The idle task's body: runs what there is, takes from others, halts. Preemption is off once when
 * called; it turns it on.
 */
_Noreturn void scheduler_idle(void);

/* Makes a new task ready for the first time. */
void scheduler_add(struct task *task);

/*
 * The running task prepares to wait; from now until scheduler_wait, scheduler_wake is not lost.
 * Interrupts are off.
 */
void scheduler_prepare_wait(void);

/*
 * Gives up the CPU until woken; returns at once if that has happened already. Interrupts off,
 * preemption count 0.
 */
void scheduler_wait(void);

/*
 * Makes `task` ready if it waits or prepares to. Any context. Adds the CPU to be kicked, if any, to
 * `kicks`: the caller does that with scheduler_kick once it holds no lock, because it is slow,
 * above all in an emulator.
 */
struct cpu_set {
	uint64_t words[PLATFORM_CPUS_MAX / 64];
};
void scheduler_wake(struct task *task, struct cpu_set *kicks);
void scheduler_kick(const struct cpu_set *cpus);

/* Behind the equals. Interrupts on, preemption count 0. */
void scheduler_yield(void);

/* Ends the running task. */
_Noreturn void scheduler_end(void);

/* First thing on a new task's stack. */
void scheduler_begin(void);

/* Sets task->own or task->lent, whichever `part` points to. Task context. */
void scheduler_set_priority(struct task *task, enum task_priority *part, enum task_priority priority);

/* CPU_VECTOR_RESCHEDULE: another CPU queued a task here. */
void scheduler_handle_kick(struct cpu *cpu);

/*
 * Switches if that is due and allowed: the end of an interrupt (interrupts off), or of a time
 * without preemption.
 */
void scheduler_preempt(void);
