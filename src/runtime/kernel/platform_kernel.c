// SPDX-License-Identifier: BSD-2-Clause
/*
 * platform.h for the image: each function there is one call into the kernel or the CPU's room. The
 * header says what each of them promises.
 */
#include "runtime/base/platform.h"

#include "address_space.h"
#include "clock.h"
#include "cpu.h"
#include "runtime/base/assert.h"
#include "runtime/base/string.h"
#include "runtime/console/console.h"
#include "runtime/console/monitor.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/paging.h"
#include "scheduler.h"
#include "task.h"
#include "task_internal.h"
#include "wait.h"

unsigned platform_cpu_count(void)
{
	return cpu_count();
}

void platform_preempt_enable_slow(void)
{
	if ((int32_t)cpu_current_preempt_count() < 0)
		platform_panic("preemption enabled more often than disabled");
	if (interrupts_are_enabled())
		scheduler_preempt();
}

bool platform_may_sleep(void)
{
	/* Handlers run with interrupts off. */
	return interrupts_are_enabled() && cpu_current_preempt_count() == 0 && !task_current()->idle;
}

bool platform_in_handler(void)
{
	uint32_t depth;

	__asm__ volatile("movl %%gs:%c1, %0" : "=r"(depth) : "i"(offsetof(struct cpu, interrupt_depth)) : "memory");
	return depth != 0;
}

uint64_t platform_interrupts_save(void)
{
	uint64_t state = rflags_read();

	interrupts_disable();
	if (state & RFLAGS_INTERRUPT)
		hold_interrupts_begin(__builtin_return_address(0));
	return state;
}

void platform_interrupts_restore(uint64_t state)
{
	struct cpu *cpu;

	if (!(state & RFLAGS_INTERRUPT))
		return;
	cpu = cpu_current();
	if (atomic_load_explicit(&cpu->reschedule, memory_order_relaxed) && cpu->preempt_count == 0)
		scheduler_preempt();
	interrupts_enable();
}

void platform_run_on_all_cpus(void (*run)(void *context), void *context)
{
	assert(platform_may_sleep());
	cpu_run_on_all(run, context);
}

status_t platform_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
	return wait_on(word, expected, deadline_ns);
}

void platform_wake(const _Atomic uint32_t *word)
{
	wait_wake(word);
}

void platform_yield(void)
{
	task_yield();
}

const void *platform_task(void)
{
	return task_current();
}

unsigned platform_priority(void)
{
	return task_current()->own;
}

void platform_lend_priority(const void *task, unsigned priority)
{
	struct task *borrower = (struct task *)task;

	scheduler_set_priority(borrower, &borrower->lent, (enum task_priority)priority);
}

bool platform_set_cleaning(bool cleaning)
{
	struct task *task = task_current();
	const bool before = task->cleaning;

	task->cleaning = cleaning;
	return before;
}

bool platform_is_cleaning(void)
{
	return task_current()->cleaning && !platform_in_handler();
}

uint64_t platform_now_ns(void)
{
	return clock_now_ns();
}

struct phys_addr platform_phys(const void *memory)
{
	return (struct phys_addr){ (uint64_t)memory };
}

void *platform_virt(struct phys_addr address)
{
	return (void *)address.value;
}

status_t platform_map(const struct phys_range *pieces, uint32_t count, void **mapped)
{
	assert(platform_may_sleep());
	return address_space_map(pieces, count, PAGING_WRITE, mapped);
}

void platform_unmap(void *mapped, uint64_t bytes)
{
	assert(platform_may_sleep());
	address_space_unmap(mapped, bytes);
}

uint64_t platform_random(void)
{
	static _Atomic uint64_t calls;
	uint64_t x = tsc_read() + atomic_fetch_add(&calls, 1) * 0x9e3779b97f4a7c15ull;

	/* Murmur3's finisher: each bit of the input reaches each bit of the output. */
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

void platform_log(enum log_level level, const char *line)
{
	console_log(level, line);
}

void platform_print(const char *text)
{
	const size_t bytes = strlen(text);

	if (!monitor_takes(text, bytes))
		console_write(text, bytes);
}
