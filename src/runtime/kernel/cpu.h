// SPDX-License-Identifier: BSD-2-Clause
/*
 * CPUs and what each has of its own, found through the GS base. Ids run from 0 (the one that
 * booted) to cpu_count() - 1.
 */
#pragma once

#include "runtime/base/atomic.h"
#include "runtime/base/platform.h"

struct heap;
struct interrupt;
struct interrupt_frame;
struct task;

/*
 * Vectors of a CPU's own interrupts, above those of the 8259 pair (x86_64/pic.h) and of messages.
 */
#define CPU_MESSAGE_VECTORS_FIRST 0x30
#define CPU_MESSAGE_VECTORS       0xc0
enum cpu_vector {
	CPU_VECTOR_TIMER = 0xf0,
	CPU_VECTOR_RESCHEDULE,
	CPU_VECTOR_CALL,
	CPU_VECTOR_NMI, /* an NMI has something to print */
	CPU_VECTOR_ERROR = 0xfe,
	CPU_VECTOR_SPURIOUS = 0xff,
};

struct cpu {
	struct cpu *self;                    /* [I] at offset 0, read through GS */
	uint32_t id;                         /* [I] */
	uint32_t slot;                       /* [c] id + 1; 0 in an interrupt handler */
	uint32_t preempt_count;              /* [c] spinlocks and platform_preempt_disable */
	uint32_t preempt_epoch;              /* [c] how often preempt_count left 0; for the watchdog */
	_Atomic bool reschedule;             /* [a] a better task waits; looked at when preemption becomes possible */
	uint32_t apic_id;                    /* [I] */
	uint32_t interrupt_depth;            /* [c] 0: a task runs; 1: an interrupt handler */
	const struct interrupt_frame *frame; /* [c] what the running handler interrupted */
	_Atomic bool call_pending;           /* [a] cpu_run_on_all waits for this CPU */
	struct task *_Atomic current;        /* [c] the running task */
	_Atomic uint64_t spurious;           /* [c] interrupts without a device behind them */
	_Atomic uint64_t interrupts[256];    /* [c] by vector */
	struct interrupt *_Atomic handlers[CPU_MESSAGE_VECTORS]; /* [a] of messages */
};

#if !__STDC_HOSTED__
_Static_assert(offsetof(struct cpu, id) == PLATFORM_CPU_ID && offsetof(struct cpu, slot) == PLATFORM_CPU_SLOT &&
		       offsetof(struct cpu, preempt_count) == PLATFORM_PREEMPT_COUNT &&
		       offsetof(struct cpu, preempt_epoch) == PLATFORM_PREEMPT_EPOCH &&
		       offsetof(struct cpu, reschedule) == PLATFORM_RESCHEDULE_DUE,
	       "as platform_cpu.h says");
#endif

/* The running CPU's; only stable while preemption or interrupts are off. */
static inline struct cpu *cpu_current(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* In one instruction each, so that a switch to another CPU cannot come in between. */
static inline struct task *cpu_current_task(void)
{
	struct task *task;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(task) : "i"(offsetof(struct cpu, current)));
	return task;
}

static inline uint32_t cpu_current_id(void)
{
	uint32_t id;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(id) : "i"(offsetof(struct cpu, id)));
	return id;
}

static inline uint32_t cpu_current_preempt_count(void)
{
	uint32_t count;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(count) : "i"(offsetof(struct cpu, preempt_count)) : "memory");
	return count;
}

/* Makes cpu_current() work on the first CPU, with preemption off. First of all. */
void cpu_init_first(void);

/* Adds a CPU, before others see it; at start-up only. NULL: no memory. */
struct cpu *cpu_add(struct heap *heap, uint32_t apic_id);

/* Counts the CPU that was added last: it runs and takes interrupts. */
void cpu_publish(void);

/* From now on this CPU's cpu_current() is `cpu`. */
void cpu_set_current(struct cpu *cpu);

/* CPUs that run. */
unsigned cpu_count(void);

/* CPU `id`, less than cpu_count(). */
struct cpu *cpu_get(unsigned id);

/*
 * Runs `run(context)` in interrupt context on every other CPU and, with interrupts off, on this
 * one, and waits for all. Where platform_may_sleep(). Calls of several tasks follow each other.
 */
void cpu_run_on_all(void (*run)(void *context), void *context);

/* What CPU_VECTOR_CALL does. */
void cpu_handle_call(struct cpu *cpu);

/* Makes `cpu` look at its run queue. Any context. */
void cpu_kick(struct cpu *cpu);

/*
 * Asks all other CPUs to stop for good, by NMI, without waiting for them; for panic. Any context.
 */
void cpu_stop_others(void);

/* True once cpu_stop_others was called: a CPU that takes an NMI from then on halts. */
bool cpu_is_stopping(void);
