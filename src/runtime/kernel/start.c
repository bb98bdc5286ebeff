// SPDX-License-Identifier: BSD-2-Clause
/*
 * The order in which the kernel starts. kernel_start does what needs no waiting, on the first CPU
 * alone, and makes that code its idle task; the first task does the rest, because it may sleep.
 */
#include "start.h"

#include "acpi.h"
#include "address_space.h"
#include "clock.h"
#include "clock_wall.h"
#include "console_serial.h"
#include "cpu.h"
#include "deferred.h"
#include "holds_command.h"
#include "interrupt_internal.h"
#include "mmio.h"
#include "power.h"
#include "power_button.h"
#include "power_ways.h"
#include "runtime/base/boot_info.h"
#include "runtime/base/log.h"
#include "runtime/console/log_command.h"
#include "runtime/console/monitor.h"
#include "runtime/x86_64/apic.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/fpu.h"
#include "runtime/x86_64/ioapic.h"
#include "scheduler.h"
#include "smp.h"
#include "stack.h"
#include "task.h"
#include "task_internal.h"
#include "timer.h"
#include "wait.h"
#include "watchdog.h"

#define APIC_BYTES   PAGE_BYTES
#define IOAPIC_BYTES 32

static struct task first_idle; /* what runs from kernel_main on becomes the first CPU's idle task */

/* A copy for start_task, since the structures that kernel_start got may be gone when it runs. */
static struct {
	struct kernel_config config;
	struct acpi_interrupts interrupts;
	struct heap *heap;
	void (*first_task)(void *context);
	void *context;
} start;

void kernel_early_init(void)
{
	struct stack stack = { 0 };

	cpu_init_first();
	atomic_store(&cpu_current()->current, &first_idle);
	task_init_idle(&first_idle, 0, &stack);
}

/* Messages in xAPIC mode do not reach all CPUs of the MADT. */
static bool needs_x2(const struct acpi_interrupts *interrupts)
{
	for (unsigned i = 0; i < interrupts->cpu_count; i++) {
		if (interrupts->apic_ids[i] > apic_id_max())
			return true;
	}
	return false;
}

static void local_apic_start(const struct acpi_interrupts *interrupts)
{
	void *registers = NULL;

	if (!apic_is_on())
		platform_panic("the local APIC is off or missing");
	if (!apic_is_x2() && apic_has_x2() && needs_x2(interrupts))
		apic_set_mode(true);
	if (!apic_is_x2()) {
		registers = mmio_map(apic_base(), APIC_BYTES);
		if (!registers)
			platform_panic("the local APIC at 0x%llx cannot be mapped", (unsigned long long)apic_base().value);
	}
	apic_init(registers);
	cpu_current()->apic_id = apic_id();
	for (unsigned i = 0; i < interrupts->ioapic_count; i++) {
		void *ioapic = mmio_map(interrupts->ioapics[i], IOAPIC_BYTES);

		if (ioapic)
			ioapic_mask_all(ioapic);
	}
	if (!interrupts->has_pic)
		log_warn("interrupt: this machine has no 8259 pair; legacy lines will not work");
	interrupt_init_cpu(true);
}

static void must(status_t status, const char *what)
{
	if (status != STATUS_OK)
		platform_panic("%s cannot be started: %s", what, status_text(status));
}

/* The rest of the start-up, as a task: it may wait, and interrupts are on. */
static void start_task(void *context)
{
	const struct task_options options = {
		.name = "main",
		.priority = TASK_NORMAL,
		.vector = true,
		.cpu = -1,
		.stack_bytes = start.config.first_task_stack_bytes,
	};

	(void)context;
	smp_start(&start.interrupts, start.heap, start.config.cpus_max);
	must(task_start_reaper(), "the reaper");
	must(deferred_start(), "deferred work");
	must(power_button_start(), "the power button");
	log_info("kernel: %u CPUs, %s, timer by %s", cpu_count(), apic_is_x2() ? "x2APIC" : "xAPIC",
		 apic_timer_has_deadline() ? "TSC deadline" : "count");
	must(task_spawn(&options, start.first_task, start.context, NULL), "the first task");
}

void kernel_start(const struct kernel_config *config, const struct boot_info *boot, struct heap *heap,
		  void (*first_task)(void *context), void *context)
{
	const struct task_options options = { .name = "start", .priority = TASK_HIGH, .cpu = 0 };

	start.config = *config;
	start.heap = heap;
	start.first_task = first_task;
	start.context = context;

	must(address_space_init(heap), "the address space");
	stack_init(heap);
	task_init(heap);
	wait_init();
	deferred_prepare();
	acpi_init(boot);
	console_serial_find();
	power_ways_prepare(boot);
	acpi_read_madt(acpi_find_table("APIC", 0, 0), &start.interrupts);
	clock_init(boot->exit_boot_services_tsc);
	clock_wall_init(boot);
	local_apic_start(&start.interrupts);
	timer_calibrate();
	fpu_init_cpu();
	scheduler_init(config->slice_ns);
	scheduler_init_cpu(&first_idle);
	task_register(&first_idle);
	watchdog_init(config->watchdog_ns);
	watchdog_start_cpu();
	must(task_spawn(&options, start_task, NULL, NULL), "the first task");
	interrupts_enable();
	scheduler_idle();
}

void kernel_commands_register(struct command_table *table)
{
	task_commands_register(table);
	interrupt_commands_register(table);
	holds_commands_register(table);
	clock_wall_commands_register(table);
	power_commands_register(table);
	monitor_commands_register(table);
	log_commands_register(table);
}
