// SPDX-License-Identifier: BSD-2-Clause
/*
 * The monitor command `interrupts`: counts of each CPU and of each device. It copies one entry at
 * a time under the lock, because printing is too slow for a spinlock.
 */
#include "cpu.h"
#include "interrupt_internal.h"
#include "runtime/base/command.h"
#include "runtime/base/format.h"
#include "runtime/base/log.h"

static void print_counts(const char *name, unsigned vector)
{
	print("%-24s", name);
	for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
		print(" %10llu", (unsigned long long)atomic_load(&cpu_get(cpu)->interrupts[vector]));
	print("\n");
}

static void print_cpus(void)
{
	print("%-24s", "on CPU");
	for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
		print(" %10u", cpu);
	print("\n");
	print_counts("timer", CPU_VECTOR_TIMER);
	print_counts("reschedule", CPU_VECTOR_RESCHEDULE);
	print_counts("call", CPU_VECTOR_CALL);
	print_counts("APIC error", CPU_VECTOR_ERROR);
	print("%-24s", "spurious or unhandled");
	for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
		print(" %10llu", (unsigned long long)atomic_load(&cpu_get(cpu)->spurious));
	print("\n");
}

/* Copies the `index`-th attached interrupt, because printing is too slow for the lock. */
static bool attached_get(unsigned index, struct interrupt *copy)
{
	uint64_t state = spinlock_lock_interrupts(&interrupt_lock);
	bool found = false;

	list_for_each (link, &interrupts_attached) {
		if (index-- == 0) {
			const struct interrupt *interrupt = container_of(link, struct interrupt, link);

			*copy = (struct interrupt){ .name = interrupt->name,
						    .line = interrupt->line,
						    .cpu = interrupt->cpu,
						    .vector = interrupt->vector };
			atomic_init(&copy->count, atomic_load(&interrupt->count));
			found = true;
			break;
		}
	}
	spinlock_unlock_interrupts(&interrupt_lock, state);
	return found;
}

static status_t command_interrupts(struct command *self, int argc, char **argv)
{
	struct interrupt interrupt;

	(void)self;
	(void)argv;
	if (argc != 1)
		return STATUS_INVALID;
	print_cpus();
	print("\ndevice                    how       cpu  vector       count\n");
	for (unsigned i = 0; attached_get(i, &interrupt); i++) {
		char how[16] = "message";

		if (interrupt.line >= 0)
			format_text(how, sizeof(how), "line %d", interrupt.line);
		print("%-24s  %-8s  %3u    0x%02x  %10llu\n", interrupt.name, how, interrupt.cpu, interrupt.vector,
		      (unsigned long long)atomic_load(&interrupt.count));
	}
	return STATUS_OK;
}

void interrupt_commands_register(struct command_table *table)
{
	static struct command interrupts = {
		.name = "interrupts",
		.arguments = "",
		.help = "interrupts by CPU and by device",
		.run = command_interrupts,
	};

	command_register(table, &interrupts);
}
