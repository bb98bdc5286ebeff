// SPDX-License-Identifier: BSD-2-Clause
/*
 * The stacks in the image: the one that kernel_main runs on, and the first CPU's exception stacks.
 * Each lies above a guard page that paging_init takes away.
 */
#pragma once

#include "runtime/base/types.h"

#include "descriptors.h"

#define BOOT_STACK_MAIN  EXCEPTION_STACKS /* after the exception stacks, in the order of enum exception_stack */
#define BOOT_STACKS      (EXCEPTION_STACKS + 1)
#define BOOT_STACK_BYTES (32 * KIB)

struct boot_stack {
	uint8_t guard[PAGE_BYTES];
	uint8_t memory[BOOT_STACK_BYTES];
} __attribute__((aligned(4096)));

extern struct boot_stack boot_stacks[BOOT_STACKS];
extern void *const boot_stack_main_top;

static inline void *boot_stack_top(unsigned index)
{
	return boot_stacks[index].memory + BOOT_STACK_BYTES;
}

/* The name of the stack in whose guard page `address` lies, or NULL. */
const char *boot_stack_guard_owner(uint64_t address);
