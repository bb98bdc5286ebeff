// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where the CPU enters C: from the loader, and at exceptions and interrupts. The stubs, 16 bytes
 * each, bring every vector to one form (interrupt_frame.h): those that push no error code push a 0.
 */
#define CR4_CONTROL_FLOW_BIT 23

	.section .text.entry, "ax"

	.globl kernel_entry
	.type kernel_entry, @function
kernel_entry:
	cli
	cld
	/* A shadow stack that firmware left on would not know this stack, nor the far return that loads CS. */
	movq %cr4, %rax
	btrq $CR4_CONTROL_FLOW_BIT, %rax
	movq %rax, %cr4
	movq boot_stack_main_top(%rip), %rsp
	xorl %ebp, %ebp
	call kernel_main
	ud2
	.size kernel_entry, . - kernel_entry

/*
 * Vectors with an error code: Intel SDM volume 3, table 6-1, and for 29 and 30 AMD's manual, volume
 * 2, table 8-1.
 */
#define HAS_ERROR_CODE(vector) \
	((vector) == 8 || ((vector) >= 10 && (vector) <= 14) || (vector) == 17 || (vector) == 21 || (vector) == 29 || (vector) == 30)

	.globl interrupt_stubs
	.type interrupt_stubs, @function
	.balign 16
interrupt_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !HAS_ERROR_CODE(vector)
	pushq $0
	.endif
	pushq $vector
	jmp interrupt_common
	.set vector, vector + 1
	.endr
	.size interrupt_stubs, . - interrupt_stubs

	.type interrupt_common, @function
	.balign 16
interrupt_common:
	pushq %rax
	pushq %rbx
	pushq %rcx
	pushq %rdx
	pushq %rsi
	pushq %rdi
	pushq %rbp
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	movq %rsp, %rdi
	movq 15 * 8(%rsp), %rax
	cmpq $2, %rax
	je 1f
	cmpq $32, %rax
	jb 2f
	call interrupt_dispatch
	jmp 3f
1:	call interrupt_dispatch_nmi
	jmp 3f
2:	call exception_dispatch
3:	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rbp
	popq %rdi
	popq %rsi
	popq %rdx
	popq %rcx
	popq %rbx
	popq %rax
	addq $16, %rsp
	iretq
	.size interrupt_common, . - interrupt_common

	.section .note.GNU-stack, "", @progbits
