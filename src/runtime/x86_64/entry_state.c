// SPDX-License-Identifier: BSD-2-Clause
/*
 * Turns on what the CPU has. A table of five levels is a new root above the firmware's tables;
 * the switch to it leads through 32-bit mode with paging off (la57.S).
 */
#include "entry_state.h"

#include "apic.h"
#include "cpu_registers.h"
#include "runtime/base/inject.h"
#include "runtime/base/platform.h"

#define LEAF_FEATURES      7
#define FEATURE_PCID       (1u << 17) /* CPUID 1, ECX */
#define FEATURE_FS_GS_BASE (1u << 0)  /* leaf 7, EBX */
#define FEATURE_SMEP       (1u << 7)
#define FEATURE_SMAP       (1u << 20)
#define FEATURE_KEYS       (1u << 3) /* leaf 7, ECX */
#define FEATURE_SHADOW     (1u << 7)
#define FEATURE_LA57       (1u << 16)
#define ENTRY_FLAGS        0x023ull /* present, writable, accessed */
#define ENTRY_ADDRESS      0x000ffffffffff000ull

void la57_switch(uint64_t root);

static void five_levels_begin(void)
{
	static uint64_t root[512] __attribute__((aligned(4096)));

	if (!(cpuid_if_present(LEAF_FEATURES, 0).ecx & FEATURE_LA57) || (uintptr_t)root > UINT32_MAX)
		platform_panic("inject=la57: the CPU has no such addresses, or the image lies above 4 GB");
	root[0] = (cr3_read() & ENTRY_ADDRESS) | ENTRY_FLAGS;
	la57_switch((uintptr_t)root);
}

static void supervisor_bits_set(void)
{
	const struct cpuid features = cpuid_if_present(LEAF_FEATURES, 0);
	uint64_t cr4 = cr4_read();

	cr4 |= cpuid(1, 0).ecx & FEATURE_PCID ? CR4_PROCESS_CONTEXT_ID : 0;
	cr4 |= features.ebx & FEATURE_FS_GS_BASE ? CR4_FS_GS_BASE : 0;
	cr4 |= features.ebx & FEATURE_SMEP ? CR4_SUPERVISOR_NO_EXEC : 0;
	cr4 |= features.ebx & FEATURE_SMAP ? CR4_SUPERVISOR_NO_ACCESS : 0;
	cr4 |= features.ecx & FEATURE_KEYS ? CR4_PROTECTION_KEYS : 0;
	cr4 |= features.ecx & FEATURE_SHADOW ? CR4_CONTROL_FLOW_ENFORCE : 0;
	if (!(cr4 & CR4_SUPERVISOR_NO_EXEC))
		platform_panic("inject=supervisor: the CPU has no SMEP");
	cr0_write(cr0_read() | CR0_WRITE_PROTECT); /* which shadow stacks need */
	cr4_write(cr4);
}

void entry_state_inject(void)
{
	if (INJECTED("la57"))
		five_levels_begin();
	if (INJECTED("supervisor"))
		supervisor_bits_set();
	if (INJECTED("x2apic")) {
		if (!apic_has_x2())
			platform_panic("inject=x2apic: the CPU has no x2APIC");
		apic_set_mode(true);
	}
}
