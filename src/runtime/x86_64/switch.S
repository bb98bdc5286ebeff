// SPDX-License-Identifier: BSD-2-Clause
/*
 * context_switch(void **save, void *load): see context.h; the layout on the stack is struct saved
 * in context.c.
 */
	.text
	.globl	context_switch
	.hidden	context_switch
	.type	context_switch, @function
context_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	context_switch, . - context_switch
	.section .note.GNU-stack, "", @progbits
