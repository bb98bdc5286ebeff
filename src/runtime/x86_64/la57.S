// SPDX-License-Identifier: BSD-2-Clause
/*
 * void la57_switch(uint64_t root): from four levels of page tables to five. CR4.LA57 can only be
 * changed with paging off, and so in 32-bit mode: all of this lies below 4 GB, at its physical
 * address. Interrupts are off. Leaves a GDT of its own loaded. For entry_state.c.
 *
 * Intel SDM volume 3, sections 4.5 and 10.8.5.4.
 */
#define SELECTOR_CODE32 0x08
#define SELECTOR_DATA   0x10
#define SELECTOR_CODE64 0x18
#define GDT_BYTES       32

#define CR0_PAGING 0x80000000
#define CR4_LA57   0x1000

	.text
	.globl la57_switch
	.type la57_switch, @function
la57_switch:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	leaq gdt(%rip), %rax
	subq $16, %rsp
	movw $(GDT_BYTES - 1), 6(%rsp)
	movq %rax, 8(%rsp)
	lgdt 6(%rsp)
	addq $16, %rsp
	leaq 2f(%rip), %rsi
	leaq 1f(%rip), %rax
	pushq $SELECTOR_CODE32
	pushq %rax
	lretq

	.code32
1:	movl $SELECTOR_DATA, %eax
	movl %eax, %ss
	movl %eax, %ds
	movl %eax, %es
	movl %cr0, %eax
	andl $~CR0_PAGING, %eax
	movl %eax, %cr0
	movl %cr4, %ecx
	orl $CR4_LA57, %ecx
	movl %ecx, %cr4
	movl %edi, %cr3
	orl $CR0_PAGING, %eax
	movl %eax, %cr0
	pushl $SELECTOR_CODE64
	pushl %esi
	lretl

	.code64
2:	movl %esp, %esp			/* upper halves are undefined after 32-bit mode */
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
	.size la57_switch, . - la57_switch

	.section .rodata
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x00af9b000000ffff

	.section .note.GNU-stack, "", @progbits
