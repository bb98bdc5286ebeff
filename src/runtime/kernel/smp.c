// SPDX-License-Identifier: BSD-2-Clause
/*
 * Starts the other CPUs, one after the other. A new CPU gets stacks, descriptors and an idle task
 * first, and then goes through stages that it and the first CPU tell each other by one word. On
 * the way both compare their time-stamp counters. The first CPU waits a second at most for one that
 * stops on the way, puts it back to where INIT leaves it, and goes on with the next.
 */
#include "smp.h"

#include "acpi.h"
#include "boot_heap.h"
#include "clock.h"
#include "cpu.h"
#include "interrupt_internal.h"
#include "interrupt_route.h"
#include "runtime/base/format.h"
#include "runtime/base/heap.h"
#include "runtime/base/inject.h"
#include "runtime/base/log.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/descriptors.h"
#include "runtime/x86_64/fpu.h"
#include "runtime/x86_64/paging.h"
#include "runtime/x86_64/trampoline.h"
#include "scheduler.h"
#include "stack.h"
#include "task.h"
#include "task_internal.h"
#include "watchdog.h"

/* Intel SDM volume 3, section 9.4.4.1: INIT, 10 ms, SIPI, 200 us, SIPI. */
#define INIT_WAIT_NS    (10 * NS_PER_MS)
#define STARTUP_WAIT_NS (200 * NS_PER_US)
#define ANSWER_WAIT_NS  NS_PER_S
#define TSC_TRIES       4

enum stage {
	STAGE_ASKED,
	STAGE_ANSWERED, /* on its own stack, and its local APIC is set up */
	STAGE_TSC_ASKED,
	STAGE_TSC_READ,
	STAGE_GO,
};

/* What a CPU needs for good. */
struct secondary {
	struct cpu *cpu;
	struct descriptors descriptors;
	struct stack exception_stacks[EXCEPTION_STACKS];
	char stack_names[EXCEPTION_STACKS][TASK_NAME_BYTES];
	struct task idle;
	_Atomic uint32_t stage;
	uint64_t tsc;
};

static void *stack_top(const struct stack *stack)
{
	return (char *)stack->bottom + stack->bytes;
}

static void stage_wait(struct secondary *secondary, enum stage stage)
{
	while (atomic_load(&secondary->stage) != stage)
		platform_cpu_relax();
}

/* The new CPU, on its idle task's stack. */
static void secondary_main(void *argument)
{
	struct secondary *secondary = argument;
	void *tops[EXCEPTION_STACKS];

	paging_init_cpu();
	cpu_set_current(secondary->cpu);
	for (unsigned i = 0; i < EXCEPTION_STACKS; i++)
		tops[i] = stack_top(&secondary->exception_stacks[i]);
	descriptors_init_cpu(&secondary->descriptors, tops);
	fpu_init_cpu();
	interrupt_init_cpu(false);
	atomic_store(&secondary->stage, STAGE_ANSWERED);
	while (INJECTED("dead-cpu") && secondary->cpu->apic_id == 1)
		cpu_halt();
	for (unsigned i = 0; i < TSC_TRIES; i++) {
		stage_wait(secondary, STAGE_TSC_ASKED);
		secondary->tsc = tsc_read();
		atomic_store(&secondary->stage, STAGE_TSC_READ);
	}
	stage_wait(secondary, STAGE_GO);
	scheduler_init_cpu(&secondary->idle);
	watchdog_start_cpu();
	interrupts_enable();
	scheduler_idle();
}

/* The first CPU's side of stage_wait. False: the CPU has not come there by the deadline. */
static bool stage_reached(struct secondary *secondary, enum stage stage, uint64_t deadline_ns)
{
	while (atomic_load(&secondary->stage) != stage) {
		if (clock_now_ns() >= deadline_ns)
			return false;
		platform_cpu_relax();
	}
	return true;
}

/* Compares the counters some times; the closest reading counts. */
static bool tsc_compare(struct secondary *secondary, uint64_t deadline_ns)
{
	uint64_t best_before = 0, best_reading = 0, best_after = UINT64_MAX;

	for (unsigned i = 0; i < TSC_TRIES; i++) {
		uint64_t before = tsc_read(), after;

		atomic_store(&secondary->stage, STAGE_TSC_ASKED);
		if (!stage_reached(secondary, STAGE_TSC_READ, deadline_ns))
			return false;
		after = tsc_read();
		if (after - before < best_after - best_before) {
			best_before = before;
			best_reading = secondary->tsc;
			best_after = after;
		}
	}
	clock_adopt_cpu(secondary->cpu->id, best_before, best_reading, best_after);
	return true;
}

static status_t stacks_alloc(struct secondary *secondary, struct stack *main_stack)
{
	static const char *const kinds[EXCEPTION_STACKS] = { "double fault", "NMI", "machine check" };
	status_t status = stack_alloc(main_stack, TASK_STACK_BYTES, secondary->idle.name);

	for (unsigned i = 0; i < EXCEPTION_STACKS && status == STATUS_OK; i++) {
		format_text(secondary->stack_names[i], TASK_NAME_BYTES, "%s of CPU %u", kinds[i], secondary->cpu->id);
		status = stack_alloc(&secondary->exception_stacks[i], EXCEPTION_STACK_BYTES, secondary->stack_names[i]);
	}
	return status;
}

static struct secondary *secondary_create(struct heap *heap, uint32_t apic_id)
{
	struct secondary *secondary = heap_alloc_zeroed(heap, sizeof(*secondary), 64);
	struct stack stack = { 0 };

	if (!secondary)
		return NULL;
	secondary->cpu = cpu_add(heap, apic_id);
	if (!secondary->cpu || stacks_alloc(secondary, &stack) != STATUS_OK)
		return NULL; /* Start-up without memory does not go on for long, so what is lost here does not matter. */
	task_init_idle(&secondary->idle, secondary->cpu->id, &stack);
	atomic_store(&secondary->cpu->current, &secondary->idle);
	return secondary;
}

static void send(void (*message)(uint32_t id, struct phys_addr page), uint32_t id, struct phys_addr page)
{
	uint64_t state = platform_interrupts_save();

	message(id, page);
	platform_interrupts_restore(state);
}

static void send_init(uint32_t id, struct phys_addr page)
{
	(void)page;
	apic_send_init(id);
}

/* Sends what starts the CPU, twice if need be. False: it does not answer. */
static bool startup(struct secondary *secondary, struct phys_addr page, uint64_t deadline_ns)
{
	const uint32_t id = secondary->cpu->apic_id;

	if (INJECTED("mute-cpu") && id == 1)
		return stage_reached(secondary, STAGE_ANSWERED, deadline_ns);
	send(apic_send_startup, id, page);
	if (stage_reached(secondary, STAGE_ANSWERED, clock_now_ns() + STARTUP_WAIT_NS))
		return true;
	send(apic_send_startup, id, page);
	return stage_reached(secondary, STAGE_ANSWERED, deadline_ns);
}

/* The CPU has had its INIT. */
static void secondary_start(const struct trampoline *trampoline, struct heap *heap, uint32_t apic_id)
{
	struct secondary *secondary = secondary_create(heap, apic_id);
	struct phys_addr page = platform_phys(trampoline->code);
	const uint64_t deadline_ns = clock_now_ns() + ANSWER_WAIT_NS;

	if (!secondary) {
		log_error("smp: no memory for the CPU with APIC id %u", apic_id);
		return;
	}
	trampoline_aim(trampoline, stack_top(&secondary->idle.stack), secondary_main, secondary);
	if (!startup(secondary, page, deadline_ns) || !tsc_compare(secondary, deadline_ns)) {
		log_error("smp: the CPU with APIC id %u does not answer; left out", apic_id);
		send(send_init, apic_id, page); /* so that the CPU does not start later, unexpected */
		clock_delay_ns(INIT_WAIT_NS);
		return;
	}
	task_register(&secondary->idle);
	cpu_publish();
	atomic_store(&secondary->stage, STAGE_GO);
}

static bool pages_take(struct trampoline *trampoline)
{
	bool complete = (trampoline->code = boot_heap_take_low_page()) != NULL;

	for (unsigned i = 0; i < TRAMPOLINE_TABLES_MAX; i++)
		complete &= (trampoline->tables[i] = boot_heap_take_low_page()) != NULL;
	return complete;
}

static void pages_give(const struct trampoline *trampoline)
{
	heap_free(boot_heap(), trampoline->code);
	for (unsigned i = 0; i < TRAMPOLINE_TABLES_MAX; i++)
		heap_free(boot_heap(), trampoline->tables[i]);
}

/* INIT ends what firmware has CPUs do: for all, those that are not to start as well. */
static void init_all(const struct acpi_interrupts *interrupts)
{
	for (unsigned i = 0; i < interrupts->cpu_count; i++) {
		uint32_t id = interrupts->apic_ids[i];

		if (id != cpu_get(0)->apic_id && id <= apic_id_max())
			send(send_init, id, (struct phys_addr){ 0 });
	}
	clock_delay_ns(INIT_WAIT_NS);
}

static void start_all(const struct acpi_interrupts *interrupts, const struct trampoline *trampoline, struct heap *heap,
		      unsigned cpus_max)
{
	unsigned surplus = interrupts->cpus_ignored, unreachable = 0, without_messages = 0;

	for (unsigned i = 0; i < interrupts->cpu_count; i++) {
		uint32_t id = interrupts->apic_ids[i];

		if (id == cpu_get(0)->apic_id)
			continue;
		if (id > apic_id_max())
			unreachable++;
		else if (cpu_count() >= cpus_max)
			surplus++;
		else
			secondary_start(trampoline, heap, id);
	}
	for (unsigned i = 0; i < cpu_count(); i++)
		without_messages += cpu_get(i)->apic_id > INTERRUPT_APIC_ID_MAX;
	if (unreachable)
		log_warn("smp: %u CPUs are left out: their APIC ids are above %u, and the CPUs have no x2APIC", unreachable,
			 apic_id_max());
	if (surplus)
		log_warn("smp: %u CPUs are left out: KERNEL_CPUS_MAX is %u", surplus, cpus_max);
	if (without_messages)
		log_info("smp: %u CPUs have APIC ids above %u; interrupts of devices go to the others", without_messages,
			 INTERRUPT_APIC_ID_MAX);
}

void smp_start(const struct acpi_interrupts *interrupts, struct heap *heap, unsigned cpus_max)
{
	struct trampoline trampoline = { 0 };

	if (interrupts->cpu_count < 2)
		return;
	if (pages_take(&trampoline)) {
		trampoline_init(&trampoline);
		init_all(interrupts);
		start_all(interrupts, &trampoline, heap, MIN(cpus_max, PLATFORM_CPUS_MAX));
	} else {
		log_error("smp: no memory below 1 MB; only one CPU runs");
	}
	pages_give(&trampoline);
}
