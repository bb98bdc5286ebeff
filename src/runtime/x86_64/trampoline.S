// SPDX-License-Identifier: BSD-2-Clause
/*
 * Where a CPU starts: in real mode, at the beginning of the page that this code is copied to
 * (trampoline.c). It goes through protected mode to long mode and calls `entry` in the parameters
 * at the end. A second CPU that comes here without a new aim halts.
 *
 * Intel SDM volume 3, sections 9.4.4 and 10.8.5.
 */
#define OFFSET(label) (label - trampoline_start)

#define SELECTOR_CODE32 0x08
#define SELECTOR_DATA   0x10
#define SELECTOR_CODE64 0x18

	.section .rodata
	.globl	trampoline_start, trampoline_end, trampoline_parameters
	.hidden	trampoline_start, trampoline_end, trampoline_parameters

	.balign	16
trampoline_start:
	.code16
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	movzwl	%ax, %ebx
	shll	$4, %ebx
	leal	OFFSET(protected)(%ebx), %eax
	movl	%eax, OFFSET(far32)
	leal	OFFSET(long_mode)(%ebx), %eax
	movl	%eax, OFFSET(far64)
	leal	OFFSET(gdt)(%ebx), %eax
	movl	%eax, OFFSET(gdt_pointer) + 2
	lgdtl	OFFSET(gdt_pointer)
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	*OFFSET(far32)

	.code32
protected:
	movw	$SELECTOR_DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	OFFSET(cr4)(%ebx), %eax		/* PAE, and LA57 where the tables have five levels */
	movl	%eax, %cr4
	movl	OFFSET(root)(%ebx), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx		/* EFER: long mode, no-execute */
	rdmsr
	orl	$0x900, %eax
	wrmsr
	movl	$0x80010031, %eax		/* CR0: paging, write protection, numeric errors; caches on */
	movl	%eax, %cr0
	ljmpl	*OFFSET(far64)(%ebx)

	.code64
long_mode:
	lock btsl $0, OFFSET(claimed)(%rbx)
	jc	halt
	movq	OFFSET(stack)(%rbx), %rsp
	movq	OFFSET(argument)(%rbx), %rdi
	xorl	%ebp, %ebp
	pushq	$0
	jmp	*OFFSET(entry)(%rbx)
halt:
	hlt
	jmp	halt

	.balign	8
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00af9b000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	0
far32:
	.long	0
	.word	SELECTOR_CODE32
far64:
	.long	0
	.word	SELECTOR_CODE64

	/* struct parameters in trampoline.c */
	.balign	8
trampoline_parameters:
root:
	.long	0
cr4:
	.long	0
claimed:
	.long	0
	.long	0
stack:
	.quad	0
entry:
	.quad	0
argument:
	.quad	0
trampoline_end:
	.section .note.GNU-stack, "", @progbits
