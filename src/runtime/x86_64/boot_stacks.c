// SPDX-License-Identifier: BSD-2-Clause
/*
 * The stacks that stand in the image, each above a page of its own that paging_init takes away. A
 * fault in such a page is explained by the name of the stack above it.
 */
#include "boot_stacks.h"

struct boot_stack boot_stacks[BOOT_STACKS];

void *const boot_stack_main_top = boot_stacks[BOOT_STACK_MAIN].memory + BOOT_STACK_BYTES;

const char *boot_stack_guard_owner(uint64_t address)
{
	static const char *const names[BOOT_STACKS] = {
		[EXCEPTION_STACK_DOUBLE_FAULT] = "double fault",
		[EXCEPTION_STACK_NMI] = "NMI",
		[EXCEPTION_STACK_MACHINE_CHECK] = "machine check",
		[BOOT_STACK_MAIN] = "start-up",
	};

	for (unsigned i = 0; i < BOOT_STACKS; i++) {
		if (address - (uintptr_t)boot_stacks[i].guard < sizeof(boot_stacks[i].guard))
			return names[i];
	}
	return NULL;
}
