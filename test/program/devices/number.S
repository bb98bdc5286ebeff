// SPDX-License-Identifier: BSD-2-Clause
/* Code in assembler, in a folder of its own. */
	.text
	.globl parts_in_assembler
	.hidden parts_in_assembler
parts_in_assembler:
	movl $PARTS_NUMBER, %eax
	ret

	.section .note.GNU-stack, "", @progbits
