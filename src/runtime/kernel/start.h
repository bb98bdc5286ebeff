// SPDX-License-Identifier: BSD-2-Clause
/*
 * From one CPU with paging and a heap to a machine with tasks: ACPI, local APIC, clock, interrupts,
 * address space, the other CPUs, and the first task.
 */
#pragma once

#include "runtime/base/types.h"

struct boot_info;
struct command_table;
struct heap;

/* What the wiring takes from config.h. */
struct kernel_config {
	unsigned cpus_max;             /* CPUs to start at most; 1 to PLATFORM_CPUS_MAX */
	uint64_t slice_ns;             /* a task's turn while an equal one waits */
	uint64_t watchdog_ns;          /* time in one handler or with preemption off that is reported; 0: never */
	size_t first_task_stack_bytes; /* 0: TASK_STACK_BYTES */
};

/*
 * Makes cpu_current(), platform_cpu(), the preemption count and with them spinlocks work, on the
 * first CPU. The first call in kernel_main; needs nothing. Nothing may load a selector into GS
 * after it.
 */
void kernel_early_init(void);

/*
 * Starts the kernel and runs `first_task(context)` as a task named "main", of priority TASK_NORMAL,
 * that may use vector registers. `heap` serves stacks and per-CPU data for good: it works before
 * tasks run, and from many CPUs afterwards.
 */
_Noreturn void kernel_start(const struct kernel_config *config, const struct boot_info *boot, struct heap *heap,
			    void (*first_task)(void *context), void *context);

/* Tasks, interrupts, holds, date, power, the log, and help. */
void kernel_commands_register(struct command_table *table);
