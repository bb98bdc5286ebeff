// SPDX-License-Identifier: BSD-2-Clause
/*
 * Page tables for the firmware, in the image, filled at start-up: 512 GB in pages of 1 GB, or 4 GB
 * in pages of 2 MB where the CPU has no larger ones; of as many levels as the CPU runs with. Code,
 * stack and tables lie in the image, which is mapped one to one by them as by ours.
 */
#include "firmware_call.h"

#include "cpu_registers.h"

#define ENTRIES        512u
#define DIRECTORIES    4u /* of 1 GB each */
#define LARGE_BYTES    (1ull << 21)
#define HUGE_BYTES     (1ull << 30)
#define ENTRY_WRITABLE 0x003ull
#define ENTRY_PAGE     0x083ull
#define FEATURE_HUGE   (1u << 26) /* CPUID 80000001h, EDX */
#define STACK_BYTES    (32 * KIB) /* runtime services may ask for 4 KB: UEFI 2.10, section 2.3.4 */

static uint64_t root[ENTRIES] __attribute__((aligned(4096)));
static uint64_t root_above[ENTRIES] __attribute__((aligned(4096))); /* where the CPU runs with five levels */
static uint64_t gigabytes[ENTRIES] __attribute__((aligned(4096)));
static uint64_t directories[DIRECTORIES][ENTRIES] __attribute__((aligned(4096)));
static uint8_t stack[STACK_BYTES] __attribute__((aligned(16)));

static uint64_t reset_system; /* 0: not to be called */

/* Returns where the mapped addresses end. */
static uint64_t tables_fill(void)
{
	const bool huge = cpuid_if_present(0x80000001u, 0).edx & FEATURE_HUGE;

	root_above[0] = (uintptr_t)root | ENTRY_WRITABLE;
	root[0] = (uintptr_t)gigabytes | ENTRY_WRITABLE;
	for (unsigned i = 0; i < ENTRIES; i++) {
		if (huge)
			gigabytes[i] = i * HUGE_BYTES | ENTRY_PAGE;
		else if (i < DIRECTORIES)
			gigabytes[i] = (uintptr_t)directories[i] | ENTRY_WRITABLE;
	}
	for (unsigned i = 0; i < DIRECTORIES * ENTRIES; i++)
		directories[i / ENTRIES][i % ENTRIES] = i * LARGE_BYTES | ENTRY_PAGE;
	return huge ? ENTRIES * HUGE_BYTES : DIRECTORIES * HUGE_BYTES;
}

bool firmware_call_prepare(uint64_t service)
{
	const uint64_t end = tables_fill();

	if (service == 0 || service >= end || (uintptr_t)&root >= end || (uintptr_t)firmware_reset >= end)
		return false;
	reset_system = service;
	return true;
}

void firmware_reset(enum firmware_reset how)
{
	/* ResetSystem(how, EFI_SUCCESS, 0, NULL), by the convention of UEFI. */
	register uint64_t first __asm__("rcx") = how;
	register uint64_t status __asm__("rdx") = 0;
	register uint64_t bytes __asm__("r8") = 0;
	register uint64_t data __asm__("r9") = 0;
	const uint64_t tables = (uintptr_t)(cr4_read() & CR4_LINEAR_ADDRESS_57 ? root_above : root);
	uint64_t service = reset_system;

	if (service == 0)
		return;
	reset_system = 0; /* a fault in it must not lead here again */
	__asm__ volatile("clts\n\t"
			 "movq %%rsp, %%rbx\n\t"
			 "movq %%cr3, %%r12\n\t"
			 "movq %[tables], %%cr3\n\t"
			 "movq %[top], %%rsp\n\t"
			 "subq $32, %%rsp\n\t"
			 "call *%%rax\n\t"
			 "movq %%r12, %%cr3\n\t"
			 "movq %%rbx, %%rsp"
			 : "+a"(service), "+r"(first), "+r"(status), "+r"(bytes), "+r"(data)
			 : [tables] "r"(tables), [top] "r"((uintptr_t)stack + STACK_BYTES)
			 : "rbx", "r12", "r10", "r11", "memory", "cc");
}
