// SPDX-License-Identifier: BSD-2-Clause
/*
 * Control registers, model-specific registers, CPUID and the few instructions that C lacks. Each is
 * one instruction on the calling CPU. Numbers and bits: Intel SDM volume 3, section 2.5 (control
 * registers), and volume 4 (MSRs).
 */
#pragma once

#include "runtime/base/holds.h"
#include "runtime/base/types.h"

#define RFLAGS_INTERRUPT (1ull << 9)

#define CR0_MONITOR_COPROCESSOR (1ull << 1)
#define CR0_EMULATION           (1ull << 2)
#define CR0_TASK_SWITCHED       (1ull << 3)
#define CR0_NUMERIC_ERROR       (1ull << 5)
#define CR0_WRITE_PROTECT       (1ull << 16)
#define CR0_NOT_WRITE_THROUGH   (1ull << 29)
#define CR0_CACHE_DISABLE       (1ull << 30)
#define CR0_PAGING              (1ull << 31)

#define CR4_PAE                  (1ull << 5)
#define CR4_MACHINE_CHECK        (1ull << 6)
#define CR4_PAGE_GLOBAL          (1ull << 7)
#define CR4_FXSAVE               (1ull << 9)
#define CR4_VECTOR_EXCEPTIONS    (1ull << 10)
#define CR4_LINEAR_ADDRESS_57    (1ull << 12)
#define CR4_VIRTUAL_MACHINES     (1ull << 13)
#define CR4_FS_GS_BASE           (1ull << 16)
#define CR4_PROCESS_CONTEXT_ID   (1ull << 17)
#define CR4_XSAVE                (1ull << 18)
#define CR4_SUPERVISOR_NO_EXEC   (1ull << 20)
#define CR4_SUPERVISOR_NO_ACCESS (1ull << 21)
#define CR4_PROTECTION_KEYS      (1ull << 22)
#define CR4_CONTROL_FLOW_ENFORCE (1ull << 23)
#define CR4_SUPERVISOR_KEYS      (1ull << 24)

#define MSR_APIC_BASE      0x1bu
#define MSR_MICROCODE      0x8bu
#define MSR_PAT            0x277u
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_X2APIC_BASE    0x800u
#define MSR_EFER           0xc0000080u
#define MSR_FS_BASE        0xc0000100u
#define MSR_GS_BASE        0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u

#define EFER_LONG_MODE_ENABLE (1ull << 8)
#define EFER_NO_EXECUTE       (1ull << 11)

struct cpuid {
	uint32_t eax;
	uint32_t ebx;
	uint32_t ecx;
	uint32_t edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid result;

	__asm__ volatile("cpuid"
			 : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
			 : "a"(leaf), "c"(subleaf));
	return result;
}

/* Like cpuid(); all zero when the CPU has no such leaf. */
static inline struct cpuid cpuid_if_present(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid highest = cpuid(leaf & 0xffff0000u, 0);

	if (highest.eax < leaf || ((highest.eax ^ leaf) & 0xffff0000u))
		return (struct cpuid){ 0 };
	return cpuid(leaf, subleaf);
}

static inline uint64_t msr_read(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

#define DEFINE_CONTROL_REGISTER(name)                                                                                          \
	static inline uint64_t name##_read(void)                                                                               \
	{                                                                                                                      \
		uint64_t value;                                                                                                \
		__asm__ volatile("movq %%" #name ", %0" : "=r"(value) : : "memory");                                           \
		return value;                                                                                                  \
	}                                                                                                                      \
	static inline void name##_write(uint64_t value)                                                                        \
	{                                                                                                                      \
		__asm__ volatile("movq %0, %%" #name : : "r"(value) : "memory");                                               \
	}

DEFINE_CONTROL_REGISTER(cr0)
DEFINE_CONTROL_REGISTER(cr2)
DEFINE_CONTROL_REGISTER(cr3)
DEFINE_CONTROL_REGISTER(cr4)
#undef DEFINE_CONTROL_REGISTER

static inline uint64_t rflags_read(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

static inline void interrupts_enable(void)
{
	hold_interrupts_end();
	__asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static inline bool interrupts_are_enabled(void)
{
	return (rflags_read() & RFLAGS_INTERRUPT) != 0;
}

static inline void cpu_halt(void)
{
	__asm__ volatile("hlt" : : : "memory");
}

/* Turns interrupts on and halts in one step: an interrupt that is pending ends the halt. */
static inline void cpu_enable_and_halt(void)
{
	hold_interrupts_end();
	__asm__ volatile("sti; hlt" : : : "memory");
}

/* The time-stamp counter, not before all earlier loads have finished. */
static inline uint64_t tsc_read(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void tlb_flush_page(uint64_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}
