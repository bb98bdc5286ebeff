/*
 * CPUs and what each has of its own, found through the GS base. Ids run from 0 (the one that booted) to cpu_count() - 1.
 */
#pragma once

#include <stdatomic.h>

#include "runtime/base/platform.h"

struct task;

struct cpu {
	struct cpu *self;             /* [I] at offset 0, read through GS */
	uint32_t id;                  /* [I] */
	uint32_t apic_id;             /* [I] */
	uint32_t preempt_count;       /* [c] spinlocks and platform_preempt_disable */
	uint32_t interrupt_depth;     /* [c] handlers that run: 0 or 1, deeper in NMI and faults */
	_Atomic bool reschedule;      /* a better task waits; looked at when preemption becomes possible */
	struct task *_Atomic current; /* [c] the running task */
	_Atomic bool online;          /* runs tasks */
};

/* The running CPU's; only stable while preemption or interrupts are off. */
static inline struct cpu *cpu_current(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* CPUs that run. */
unsigned cpu_count(void);

/* CPU `id`, less than cpu_count(). */
struct cpu *cpu_get(unsigned id);

/*
 * Runs `run(context)` in interrupt context on every other CPU and on this one, and waits for all. Interrupts are on, preemption
 * on or off; no lock may be held that a handler or `run` takes. Calls of several CPUs follow each other.
 */
void cpu_run_on_all(void (*run)(void *context), void *context);

/* Asks all other CPUs to stop for good, by NMI, without waiting for them; for panic. Any context. */
void cpu_stop_others(void);
