// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an exception or interrupt leaves on the stack, and where it goes from there. entry.S has a
 * stub for each of the 256 vectors; it saves all general registers, calls one of the functions
 * below, restores the registers as they then stand in the frame, and returns. Interrupts are off
 * during the call. Vector registers are not saved: handlers do not use them.
 *
 * Intel SDM volume 3, sections 6.14 and 6.15.
 */
#pragma once

#include "runtime/base/types.h"

struct interrupt_frame {
	uint64_t r15;
	uint64_t r14;
	uint64_t r13;
	uint64_t r12;
	uint64_t r11;
	uint64_t r10;
	uint64_t r9;
	uint64_t r8;
	uint64_t rbp;
	uint64_t rdi;
	uint64_t rsi;
	uint64_t rdx;
	uint64_t rcx;
	uint64_t rbx;
	uint64_t rax;
	uint64_t vector;
	uint64_t error_code; /* 0 where the CPU pushes none */
	uint64_t rip;
	uint64_t cs;
	uint64_t rflags;
	uint64_t rsp;
	uint64_t ss;
};

enum exception_vector {
	EXCEPTION_DIVIDE = 0,
	EXCEPTION_DEBUG = 1,
	EXCEPTION_NMI = 2,
	EXCEPTION_BREAKPOINT = 3,
	EXCEPTION_OVERFLOW = 4,
	EXCEPTION_BOUND = 5,
	EXCEPTION_INVALID_OPCODE = 6,
	EXCEPTION_NO_DEVICE = 7,
	EXCEPTION_DOUBLE_FAULT = 8,
	EXCEPTION_INVALID_TSS = 10,
	EXCEPTION_NO_SEGMENT = 11,
	EXCEPTION_STACK = 12,
	EXCEPTION_PROTECTION = 13,
	EXCEPTION_PAGE_FAULT = 14,
	EXCEPTION_X87 = 16,
	EXCEPTION_ALIGNMENT = 17,
	EXCEPTION_MACHINE_CHECK = 18,
	EXCEPTION_VECTOR = 19,
	EXCEPTION_CONTROL_PROTECTION = 21,
};

/* Vectors from here on are free for interrupts. */
#define INTERRUPT_VECTOR_FIRST 32
#define INTERRUPT_VECTORS      256

/* Vectors 0 to 31 but the NMI; in kernel/exception.c, which reports and stops the machine. */
void exception_dispatch(struct interrupt_frame *frame);

/*
 * The NMI, on a stack of its own; in kernel/interrupt.c. Must not sleep, switch tasks or take
 * locks.
 */
void interrupt_dispatch_nmi(struct interrupt_frame *frame);

/*
 * Vectors 32 to 255, on the stack of the interrupted code; in kernel/interrupt.c. It may switch
 * tasks.
 */
void interrupt_dispatch(struct interrupt_frame *frame);
