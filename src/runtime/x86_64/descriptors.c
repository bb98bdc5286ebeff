// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fills and loads GDT, TSS and IDT. The IDT's gates lead to stubs of equal size in entry.S, so a
 * gate's address follows from its number.
 */
#include "descriptors.h"

#include "boot_stacks.h"
#include "cpu_registers.h"
#include "interrupt_frame.h"

/* Present, ring 0, accessed; base and limit of code and data do not count in 64-bit mode. */
#define SEGMENT_CODE 0x00209b0000000000ull
#define SEGMENT_DATA 0x0000930000000000ull
#define TSS_PRESENT  0x0000890000000000ull

#define GATE_INTERRUPT 0x8e /* present, ring 0, clears the interrupt flag */

#define STUB_BYTES 16

#define CPUID_MACHINE_CHECK (1u << 7)

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t stack; /* 0: the running one, else an entry of the IST, counted from 1 */
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

/* entry.S */
extern const char interrupt_stubs[INTERRUPT_VECTORS * STUB_BYTES];

static struct gate gates[INTERRUPT_VECTORS];
static struct descriptors boot_descriptors;

static void gates_fill(void)
{
	for (unsigned vector = 0; vector < INTERRUPT_VECTORS; vector++) {
		uint64_t stub = (uintptr_t)interrupt_stubs + vector * STUB_BYTES;
		gates[vector] = (struct gate){
			.offset_low = (uint16_t)stub,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
			.selector = SELECTOR_CODE,
			.type = GATE_INTERRUPT,
		};
	}
	gates[EXCEPTION_DOUBLE_FAULT].stack = EXCEPTION_STACK_DOUBLE_FAULT + 1;
	gates[EXCEPTION_NMI].stack = EXCEPTION_STACK_NMI + 1;
	gates[EXCEPTION_MACHINE_CHECK].stack = EXCEPTION_STACK_MACHINE_CHECK + 1;
}

static void descriptors_load(const struct descriptors *descriptors)
{
	struct table_register gdt = { sizeof(descriptors->gdt) - 1, (uintptr_t)descriptors->gdt };
	struct table_register idt = { sizeof(gates) - 1, (uintptr_t)gates };
	uint64_t scratch;

	/* The far return loads CS. */
	__asm__ volatile(
		"lgdt %[gdt]\n\t"
		"leaq 1f(%%rip), %[scratch]\n\t"
		"pushq %[code]\n\t"
		"pushq %[scratch]\n\t"
		"lretq\n"
		"1:\n\t"
		"movl %[data], %%ds\n\t"
		"movl %[data], %%es\n\t"
		"movl %[data], %%ss\n\t"
		"ltr %w[tss]\n\t"
		"lidt %[idt]"
		: [scratch] "=&r"(scratch)
		: [gdt] "m"(gdt), [idt] "m"(idt), [code] "i"(SELECTOR_CODE), [data] "r"(SELECTOR_DATA), [tss] "r"(SELECTOR_TSS)
		: "memory");
}

void descriptors_init_cpu(struct descriptors *descriptors, void *const stack_tops[EXCEPTION_STACKS])
{
	uint64_t base = (uintptr_t)&descriptors->task_state;
	uint64_t limit = sizeof(descriptors->task_state) - 1;

	descriptors->task_state = (struct task_state){ .io_map = sizeof(descriptors->task_state) };
	for (unsigned i = 0; i < EXCEPTION_STACKS; i++)
		descriptors->task_state.ist[i] = (uintptr_t)stack_tops[i];
	descriptors->gdt[0] = 0;
	descriptors->gdt[SELECTOR_CODE / 8] = SEGMENT_CODE;
	descriptors->gdt[SELECTOR_DATA / 8] = SEGMENT_DATA;
	descriptors->gdt[SELECTOR_TSS / 8] = TSS_PRESENT | limit | (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
	descriptors->gdt[SELECTOR_TSS / 8 + 1] = base >> 32;
	descriptors_load(descriptors);
	/* Until now a machine check would have reset the machine without a report. */
	if (cpuid(1, 0).edx & CPUID_MACHINE_CHECK)
		cr4_write(cr4_read() | CR4_MACHINE_CHECK);
}

void descriptors_init(void)
{
	void *stack_tops[EXCEPTION_STACKS];

	for (unsigned i = 0; i < EXCEPTION_STACKS; i++)
		stack_tops[i] = boot_stack_top(i);
	gates_fill();
	descriptors_init_cpu(&boot_descriptors, stack_tops);
}
