// SPDX-License-Identifier: BSD-2-Clause
/*
 * The report of a panic. The first CPU that panics becomes the reporter by one compare-and-swap;
 * it stops the others by NMI, prints, and ends the machine. It takes no lock that the failed code
 * may hold.
 */
#include "panic.h"

#include <stdatomic.h>

#include "runtime/base/format.h"
#include "runtime/base/log.h"
#include "runtime/base/version.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/interrupt_frame.h"

#include "backtrace.h"
#include "clock.h"
#include "cpu.h"
#include "power.h"
#include "runtime/console/console.h"
#include "symbols.h"
#include "task.h"

#define MESSAGE_BYTES   640
#define READING_SECONDS 30u

/* The APIC id of the CPU that reports, + 1; 0: all is well. */
static _Atomic uint32_t reporter;

static void (*_Atomic writer)(void);
static void (*_Atomic ending)(void);

void panic_set_writer(void (*write)(void))
{
	atomic_store(&writer, write);
}

void panic_set_end(void (*end)(void))
{
	atomic_store(&ending, end);
}

/* Works on a CPU that has no per-CPU data yet. */
static uint32_t apic_id(void)
{
	return cpuid(1, 0).ebx >> 24;
}

bool panic_is_active(void)
{
	return atomic_load_explicit(&reporter, memory_order_relaxed) != 0;
}

/*
 * Only one report is made. A CPU that panics later waits for its end; the reporting CPU, when it
 * panics again, ends it.
 */
static void reporter_become(void)
{
	uint32_t expected = 0;

	if (atomic_compare_exchange_strong(&reporter, &expected, apic_id() + 1))
		return;
	if (expected == apic_id() + 1) {
		print("\nA second failure during the report.\n");
		power_exit(PANIC_EXIT_STATUS);
	}
	for (;;)
		cpu_halt();
}

static void place_print(void)
{
	const struct cpu *cpu = cpu_current();
	const struct task *task = atomic_load(&cpu->current);

	print("    CPU %u, %s%s, Weir %s at 0x%llx\n", cpu->id, task ? "task " : "at start-up", task ? task_name(task) : "",
	      weir_version, (unsigned long long)symbols_image_base());
}

static void registers_print(const struct interrupt_frame *frame)
{
	const struct {
		const char *name;
		uint64_t value;
	} registers[] = {
		{ "rax", frame->rax }, { "rbx", frame->rbx },      { "rcx", frame->rcx }, { "rdx", frame->rdx },
		{ "rsi", frame->rsi }, { "rdi", frame->rdi },      { "rbp", frame->rbp }, { "rsp", frame->rsp },
		{ "r8", frame->r8 },   { "r9", frame->r9 },        { "r10", frame->r10 }, { "r11", frame->r11 },
		{ "r12", frame->r12 }, { "r13", frame->r13 },      { "r14", frame->r14 }, { "r15", frame->r15 },
		{ "rip", frame->rip }, { "flags", frame->rflags }, { "cr2", cr2_read() }, { "cr3", cr3_read() },
	};

	for (size_t i = 0; i < ARRAY_LENGTH(registers); i++)
		print("    %-5s 0x%016llx%s", registers[i].name, (unsigned long long)registers[i].value,
		      i % 3 == 2 || i + 1 == ARRAY_LENGTH(registers) ? "\n" : "");
}

/* On a real machine the user wants to read the screen before it is gone. */
static void reading_time_give(void)
{
	if (power_has_debug_exit())
		return;
	print("The machine restarts in %u seconds.\n", READING_SECONDS);
	console_flush();
	clock_delay_ns(READING_SECONDS * NS_PER_S);
}

static _Noreturn void report(const struct interrupt_frame *frame, uint64_t frame_pointer, const char *format,
			     __builtin_ms_va_list arguments)
{
	static char message[MESSAGE_BYTES];

	interrupts_disable();
	reporter_become();
	console_panic();
	cpu_stop_others();
	format_text_list(message, sizeof(message), format, arguments);
	print("\npanic: %s\n", message);
	place_print();
	if (frame) {
		registers_print(frame);
		print("backtrace:\n");
		backtrace_print_interrupted(frame);
	} else {
		print("backtrace:\n");
		backtrace_print(0, frame_pointer);
	}
	void (*const write)(void) = atomic_load(&writer);
	if (write)
		write();
	void (*const end)(void) = atomic_load(&ending);
	if (end)
		end();
	reading_time_give();
	power_exit(PANIC_EXIT_STATUS);
}

PRINTF_LIKE(2, 3) void panic(const struct interrupt_frame *frame, const char *format, ...)
{
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	report(frame, (uintptr_t)__builtin_frame_address(0), format, arguments);
}

PRINTF_LIKE(1, 2) void platform_panic(const char *format, ...)
{
	__builtin_ms_va_list arguments;

	__builtin_ms_va_start(arguments, format);
	report(NULL, (uintptr_t)__builtin_frame_address(0), format, arguments);
}
