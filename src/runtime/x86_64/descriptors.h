// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments, task state and interrupt vectors of a CPU. Each CPU has its own GDT and TSS; the IDT is
 * one for all. Double fault, NMI and machine check run on stacks of their own, so that a broken
 * stack can still be reported.
 *
 * Intel SDM volume 3, sections 3.5 (GDT), 6.11 (IDT) and 7.7 (64-bit TSS).
 */
#pragma once

#include "runtime/base/types.h"

#define SELECTOR_CODE 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_TSS  0x18

enum exception_stack {
	EXCEPTION_STACK_DOUBLE_FAULT,
	EXCEPTION_STACK_NMI,
	EXCEPTION_STACK_MACHINE_CHECK,
	EXCEPTION_STACKS,
};

#define EXCEPTION_STACK_BYTES (16 * KIB)

struct task_state {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t io_map;
} __attribute__((packed));

/* One for each CPU; stays where it is for good. */
struct descriptors {
	uint64_t gdt[5]; /* null, code, data, TSS (two entries) */
	struct task_state task_state;
};

/* The first CPU: its descriptors and stacks lie in the image. Once, with interrupts off. */
void descriptors_init(void);

/*
 * Another CPU, on that CPU: fills `descriptors` and loads them and the IDT. `stack_tops`: the upper
 * end of a stack of EXCEPTION_STACK_BYTES for each enum exception_stack. Leaves FS, GS and their
 * bases alone.
 */
void descriptors_init_cpu(struct descriptors *descriptors, void *const stack_tops[EXCEPTION_STACKS]);
