// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table of CPUs, and calls that run on all of them. A CPU finds its own struct through the GS
 * base. A call is sent as an interrupt, and each CPU counts itself off when it is done.
 */
#include "cpu.h"

#include "clock.h"
#include "runtime/base/heap.h"
#include "runtime/base/mutex.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/cpu_registers.h"

#define CPU_ALIGNMENT 64
#define CALL_SPIN_NS  (20 * NS_PER_US)

static struct cpu first_cpu;
static struct cpu *cpus[PLATFORM_CPUS_MAX] = { &first_cpu };
static unsigned count = 1;

/*
 * One call at a time: the task that holds the mutex owns `run` and `context` until `missing` is 0.
 */
static struct {
	struct mutex mutex;
	void (*run)(void *context);
	void *context;
	_Atomic uint32_t missing;
} call = { .mutex = { .name = "calls to all CPUs" } };

static _Atomic bool stopping;

void cpu_set_current(struct cpu *cpu)
{
	msr_write(MSR_GS_BASE, (uint64_t)cpu);
}

void cpu_init_first(void)
{
	first_cpu.self = &first_cpu;
	first_cpu.slot = 1;
	first_cpu.preempt_count = 1;
	cpu_set_current(&first_cpu);
}

struct cpu *cpu_add(struct heap *heap, uint32_t apic_id)
{
	struct cpu *cpu = heap_alloc_zeroed(heap, sizeof(*cpu), CPU_ALIGNMENT);

	if (!cpu)
		return NULL;
	cpu->self = cpu;
	cpu->id = count;
	cpu->slot = count + 1;
	cpu->apic_id = apic_id;
	cpu->preempt_count = 1;
	cpus[count] = cpu;
	return cpu;
}

void cpu_publish(void)
{
	count++;
}

unsigned cpu_count(void)
{
	return count;
}

struct cpu *cpu_get(unsigned id)
{
	return cpus[id];
}

void cpu_kick(struct cpu *cpu)
{
	uint64_t state = platform_interrupts_save();

	apic_send(cpu->apic_id, CPU_VECTOR_RESCHEDULE);
	platform_interrupts_restore(state);
}

void cpu_handle_call(struct cpu *cpu)
{
	if (!atomic_exchange(&cpu->call_pending, false))
		return;
	call.run(call.context);
	if (atomic_fetch_sub(&call.missing, 1) == 1)
		platform_wake(&call.missing);
}

static void call_others(void)
{
	uint64_t state = platform_interrupts_save();

	atomic_store(&call.missing, count - 1);
	for (unsigned i = 0; i < count; i++) {
		if (i == cpu_current_id())
			continue;
		atomic_store(&cpus[i]->call_pending, true);
		apic_send(cpus[i]->apic_id, CPU_VECTOR_CALL);
	}
	/*
	 * This CPU's own share. Interrupts have been off since the loop, so it is still the one
	 * that was left out.
	 */
	call.run(call.context);
	platform_interrupts_restore(state);
}

/* Calls mostly end within microseconds; but an emulator may not run a CPU for a while. */
static void call_wait(void)
{
	uint64_t spin_end_ns = clock_now_ns() + CALL_SPIN_NS;
	uint32_t missing;

	while ((missing = atomic_load(&call.missing)) != 0) {
		if (clock_now_ns() < spin_end_ns)
			platform_cpu_relax();
		else
			(void)platform_wait(&call.missing, missing, PLATFORM_FOREVER);
	}
}

void cpu_run_on_all(void (*run)(void *context), void *context)
{
	mutex_lock(&call.mutex);
	call.run = run;
	call.context = context;
	call_others();
	call_wait();
	mutex_unlock(&call.mutex);
}

void cpu_stop_others(void)
{
	atomic_store(&stopping, true);
	/* One by one: a CPU that was left out has no code to take an NMI with. */
	for (unsigned i = 0; i < count; i++) {
		if (cpus[i] != cpu_current())
			apic_send_nmi(cpus[i]->apic_id);
	}
}

bool cpu_is_stopping(void)
{
	return atomic_load(&stopping);
}
