// SPDX-License-Identifier: BSD-2-Clause
/*
 * From a vector to its handler, and which vectors are taken by messages. Each CPU has a table by
 * vector, which dispatch reads without a lock; a handler is off for good when every CPU has run an
 * empty call, which none does inside of a handler. Lines are in interrupt_line.c.
 */
#include "interrupt.h"

#include "cpu.h"
#include "interrupt_internal.h"
#include "interrupt_route.h"
#include "machine_check.h"
#include "nmi.h"
#include "runtime/base/assert.h"
#include "runtime/base/log.h"
#include "runtime/base/spinlock.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/fpu.h"
#include "runtime/x86_64/interrupt_frame.h"
#include "runtime/x86_64/pic.h"
#include "scheduler.h"
#include "task_internal.h"
#include "timer.h"
#include "watchdog.h"

#define MESSAGE_ADDRESS      0xfee00000ull /* Intel SDM volume 3, section 11.11: fixed delivery to one CPU, edge */
#define MESSAGE_CPU_SHIFT    12
#define UNEXPECTED_LOG_LIMIT 8

struct spinlock interrupt_lock = { .name = "interrupts" };
struct list interrupts_attached = { &interrupts_attached, &interrupts_attached };

static struct interrupt_target targets[PLATFORM_CPUS_MAX]; /* `used`: [interrupt_lock] */
static _Atomic unsigned unexpected_logged;

void interrupt_init_cpu(bool first)
{
	static const struct apic_vectors vectors = {
		.timer = CPU_VECTOR_TIMER,
		.error = CPU_VECTOR_ERROR,
		.spurious = CPU_VECTOR_SPURIOUS,
	};

	if (first)
		pic_init();
	apic_init_cpu(&vectors, first);
	targets[cpu_current_id()].apic_id = cpu_current()->apic_id;
	machine_check_init_cpu();
}

void interrupt_unexpected(struct cpu *cpu, unsigned vector, const char *what)
{
	atomic_fetch_add_explicit(&cpu->spurious, 1, memory_order_relaxed);
	if (atomic_fetch_add(&unexpected_logged, 1) < UNEXPECTED_LOG_LIMIT)
		log_warn("interrupt: %s, vector 0x%x on CPU %u", what, vector, cpu->id);
}

static void message_dispatch(struct cpu *cpu, unsigned vector)
{
	struct interrupt *interrupt = atomic_load(&cpu->handlers[vector - CPU_MESSAGE_VECTORS_FIRST]);

	if (interrupt) {
		interrupt->handler(interrupt->context);
		atomic_fetch_add_explicit(&interrupt->count, 1, memory_order_relaxed);
	} else {
		interrupt_unexpected(cpu, vector, "message without a handler");
	}
}

static void own_dispatch(struct cpu *cpu, unsigned vector)
{
	switch (vector) {
	case CPU_VECTOR_TIMER:
		timer_handle_interrupt();
		break;
	case CPU_VECTOR_RESCHEDULE:
		scheduler_handle_kick(cpu);
		break;
	case CPU_VECTOR_CALL:
		cpu_handle_call(cpu);
		break;
	case CPU_VECTOR_NMI:
		nmi_report(cpu);
		break;
	case CPU_VECTOR_ERROR:
		log_warn("interrupt: local APIC of CPU %u reports errors 0x%x", cpu->id, apic_take_errors());
		break;
	default:
		interrupt_unexpected(cpu, vector, "unassigned vector");
	}
}

static void dispatch(struct cpu *cpu, unsigned vector)
{
	if (vector == CPU_VECTOR_SPURIOUS) {
		atomic_fetch_add_explicit(&cpu->spurious, 1, memory_order_relaxed);
		return; /* the APIC has nothing in service */
	}
	if (vector < PIC_VECTOR_BASE + PIC_LINES) {
		interrupt_dispatch_line(cpu, vector - PIC_VECTOR_BASE); /* nor here: it was the 8259's */
		return;
	}
	if (vector < CPU_MESSAGE_VECTORS_FIRST + CPU_MESSAGE_VECTORS)
		message_dispatch(cpu, vector);
	else
		own_dispatch(cpu, vector);
	apic_end();
}

/*
 * The vector registers still hold what the interrupted task has in them. A handler has no saved
 * state of its own, so it may not use them: a vector instruction in it is a panic, instead of
 * damage to the task's numbers.
 */
static void dispatch_guarded(struct cpu *cpu, unsigned vector)
{
	const bool registers_in_use = atomic_load(&cpu->current)->vector_state != NULL;

	if (registers_in_use)
		fpu_forbid();
	dispatch(cpu, vector);
	if (registers_in_use)
		fpu_allow();
}

void interrupt_dispatch(struct interrupt_frame *frame)
{
	struct cpu *cpu = cpu_current();
	unsigned vector = (unsigned)frame->vector;

	hold_interrupts_begin(__builtin_return_address(0));
	cpu->interrupt_depth++;
	cpu->slot = 0;
	cpu->frame = frame;
	atomic_fetch_add_explicit(&cpu->interrupts[vector], 1, memory_order_relaxed);
	dispatch_guarded(cpu, vector);
	assert(cpu == cpu_current() && cpu->interrupt_depth == 1);
	cpu->interrupt_depth--;
	cpu->slot = cpu->id + 1;
	scheduler_preempt();
	hold_interrupts_end();
}

void interrupt_dispatch_nmi(struct interrupt_frame *frame)
{
	if (cpu_is_stopping()) {
		for (;;)
			cpu_halt();
	}
	if (!watchdog_handle_nmi(frame))
		nmi_handle(frame);
}

static status_t vector_take(struct cpu *cpu, struct interrupt *interrupt)
{
	for (unsigned i = 0; i < CPU_MESSAGE_VECTORS; i++) {
		if (atomic_load(&cpu->handlers[i]))
			continue;
		interrupt->vector = (uint8_t)(CPU_MESSAGE_VECTORS_FIRST + i);
		interrupt->cpu = cpu->id;
		atomic_store(&cpu->handlers[i], interrupt);
		targets[cpu->id].used++;
		return STATUS_OK;
	}
	return STATUS_BUSY;
}

void interrupt_prepare(struct interrupt *interrupt, const char *name, void (*handler)(void *context), void *context)
{
	interrupt->name = name;
	interrupt->handler = handler;
	interrupt->context = context;
	interrupt->line = -1;
	atomic_store(&interrupt->count, 0);
	list_init(&interrupt->link);
	list_init(&interrupt->line_link);
}

status_t interrupt_attach_message(struct interrupt *interrupt, const char *name, int cpu_id, void (*handler)(void *context),
				  void *context, struct interrupt_message *message)
{
	uint64_t state;
	status_t status;
	int target;

	if (interrupt->attached || cpu_id >= (int)cpu_count())
		return STATUS_INVALID;
	interrupt_prepare(interrupt, name, handler, context);
	state = spinlock_lock_interrupts(&interrupt_lock);
	target = interrupt_route(targets, cpu_count(), cpu_id);
	status = target != INTERRUPT_NO_TARGET ? vector_take(cpu_get((unsigned)target), interrupt) : STATUS_UNSUPPORTED;
	if (status == STATUS_OK) {
		list_insert_last(&interrupts_attached, &interrupt->link);
		interrupt->attached = true;
		message->address = MESSAGE_ADDRESS | (uint64_t)targets[target].apic_id << MESSAGE_CPU_SHIFT;
		message->data = interrupt->vector;
	}
	spinlock_unlock_interrupts(&interrupt_lock, state);
	return status;
}

static void nothing(void *context)
{
	(void)context;
}

void interrupt_detach(struct interrupt *interrupt)
{
	uint64_t state;

	if (!interrupt->attached)
		return;
	state = spinlock_lock_interrupts(&interrupt_lock);
	list_remove(&interrupt->link);
	interrupt->attached = false;
	if (interrupt->line >= 0) {
		interrupt_close_line(interrupt);
	} else {
		struct cpu *cpu = cpu_get(interrupt->cpu);

		atomic_store(&cpu->handlers[interrupt->vector - CPU_MESSAGE_VECTORS_FIRST], NULL);
		targets[cpu->id].used--;
	}
	spinlock_unlock_interrupts(&interrupt_lock, state);
	/* Handlers run with interrupts off: a CPU that takes this call is in none of them. */
	cpu_run_on_all(nothing, NULL);
}
