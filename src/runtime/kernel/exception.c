// SPDX-License-Identifier: BSD-2-Clause
/*
 * Exceptions. None is part of normal work, so each ends in a panic that says in words what went
 * wrong: which access, to what, and by which function.
 */
#include "runtime/base/format.h"
#include "runtime/base/platform.h"
#include "runtime/x86_64/boot_stacks.h"
#include "runtime/x86_64/cpu_registers.h"
#include "runtime/x86_64/interrupt_frame.h"
#include "runtime/x86_64/paging.h"

#include "cpu.h"
#include "guarded_memory.h"
#include "machine_check.h"
#include "panic.h"
#include "stack.h"
#include "symbols.h"
#include "task.h"

/* Intel SDM volume 3, section 4.7. */
#define FAULT_PRESENT  (1u << 0)
#define FAULT_WRITE    (1u << 1)
#define FAULT_RESERVED (1u << 3)
#define FAULT_EXECUTE  (1u << 4)

/* Addresses below this one are taken for a member or an element of a null pointer's target. */
#define NULL_POINTER_BYTES (64 * KIB)

#define EXPLANATION_BYTES 400
#define BANKS_BYTES       480

/* How long a CPU without an error in its banks leaves the report to others: 0.1 s and more. */
#define OTHERS_CYCLES (1ull << 29)

static const char *exception_name(uint64_t vector)
{
	static const char *const names[] = {
		[EXCEPTION_DIVIDE] = "division by zero, or its result does not fit",
		[EXCEPTION_DEBUG] = "debug exception",
		[EXCEPTION_BREAKPOINT] = "breakpoint instruction",
		[EXCEPTION_OVERFLOW] = "overflow exception",
		[EXCEPTION_BOUND] = "bound exception",
		[EXCEPTION_INVALID_OPCODE] = "invalid instruction (a compiler's trap, or execution went astray)",
		[EXCEPTION_DOUBLE_FAULT] = "double fault",
		[EXCEPTION_INVALID_TSS] = "invalid task state segment",
		[EXCEPTION_NO_SEGMENT] = "segment not present",
		[EXCEPTION_STACK] = "stack fault (the address is not canonical)",
		[EXCEPTION_PROTECTION] = "general protection fault (often an address that is not canonical)",
		[EXCEPTION_X87] = "x87 floating-point exception",
		[EXCEPTION_ALIGNMENT] = "alignment check",
		[EXCEPTION_VECTOR] = "floating-point exception in a vector instruction",
		[EXCEPTION_CONTROL_PROTECTION] = "control protection fault",
	};

	return vector < ARRAY_LENGTH(names) && names[vector] ? names[vector] : "reserved exception";
}

static const char *guard_owner(uint64_t address)
{
	const char *owner = boot_stack_guard_owner(address);

	return owner ? owner : stack_guard_owner(address);
}

static _Noreturn void page_fault_report(struct interrupt_frame *frame, uint64_t address)
{
	uint64_t error = frame->error_code;
	const char *access = error & FAULT_EXECUTE ? "execute" : error & FAULT_WRITE ? "write" : "read";
	static char explanation[EXPLANATION_BYTES]; /* there is one report */
	const char *reason;

	if (error & FAULT_RESERVED)
		reason = "the page tables are damaged";
	else if (error & FAULT_EXECUTE && error & FAULT_PRESENT)
		reason = "it is not code";
	else if (error & FAULT_PRESENT)
		reason = "it is read-only";
	else if (address < NULL_POINTER_BYTES)
		reason = "it is not mapped: null pointer";
	else if (guarded_memory_explain(address, explanation, sizeof(explanation)))
		reason = explanation;
	else
		reason = "it is not mapped";
	panic(frame, "page fault: cannot %s 0x%llx: %s", access, (unsigned long long)address, reason);
}

static _Noreturn void vector_report(struct interrupt_frame *frame)
{
	uint64_t offset = 0;
	const char *function = symbols_find(frame->rip, &offset);

	if (!function)
		function = "code that has no name";
	if (cpu_current()->interrupt_depth > 0)
		panic(frame,
		      "vector or floating-point instruction in %s, in an interrupt handler or timer callback: these use "
		      "general "
		      "registers only. Do this work in a task that is spawned with .vector = true, or move %s to a file that "
		      "is not "
		      "named *_vector.c",
		      function, function);
	panic(frame,
	      "vector or floating-point instruction in %s, in task %s, which may use none: spawn the task with .vector = true, "
	      "or "
	      "move %s to a file that is not named *_vector.c",
	      function, task_name(task_current()), function);
}

/* All CPUs get the exception; the one whose bank holds the error is to report it. */
static _Noreturn void machine_check_panic(struct interrupt_frame *frame)
{
	char text[BANKS_BYTES];
	const uint64_t start = tsc_read();

	if (machine_check_collect(text, sizeof(text)) == 0) {
		while (tsc_read() - start < OTHERS_CYCLES)
			platform_cpu_relax();
	}
	panic(frame, "machine check: the hardware reports a fault of its own%s",
	      text[0] ? text : "; the banks of this CPU do not say which");
}

void exception_dispatch(struct interrupt_frame *frame)
{
	uint64_t address = cr2_read();
	bool page_fault = frame->vector == EXCEPTION_PAGE_FAULT;
	const char *owner = NULL;

	/*
	 * A page fault cannot even be delivered on a stack that is full: that makes it a double
	 * fault.
	 */
	if (page_fault || frame->vector == EXCEPTION_DOUBLE_FAULT)
		owner = guard_owner(address);
	if (owner)
		panic(frame, "stack overflow: 0x%llx is in the guard page of the stack of %s", (unsigned long long)address,
		      owner);
	if (page_fault)
		page_fault_report(frame, address);
	if (frame->vector == EXCEPTION_NO_DEVICE)
		vector_report(frame);
	if (frame->vector == EXCEPTION_MACHINE_CHECK)
		machine_check_panic(frame);
	panic(frame, "%s (vector %u, error code 0x%llx)", exception_name(frame->vector), (unsigned)frame->vector,
	      (unsigned long long)frame->error_code);
}
